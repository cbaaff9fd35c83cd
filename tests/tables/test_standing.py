"""Who is more accurate at equal cost, on points whose distances are worked out by hand."""

from dataclasses import replace

from mogabench.tables.points import Point, Scatter, fastest
from mogabench.tables.standing import standing, standing_text


def plot(*points, front=True):
    shown = points[:1] if front else ()
    return Scatter("a", "A", "rate", "img/s", list(points), "Ours", shown, best=max)


OURS = (Point(100.0, 80.0, "Ours-S"), Point(10.0, 84.0, "Ours-B"))
"""Two points of accuracy are lost with each factor of the root of ten."""


def test_the_line_is_straight_over_the_logarithm_of_the_rate():
    better = Point(10 * 10**0.5, 83.0, "New-A")  # 82.0 on the line
    worse = Point(10 * 10**0.25, 82.5, "New-B")  # 83.0 on the line
    level = Point(10 * 10**0.75, 81.2, "Else-C")  # 81.0 on the line
    found = standing(plot(*OURS, better, worse, level))
    assert found.above == [(better, 1.0)] and found.below == [(worse, -0.5)]
    assert found.level == [(level, 0.2)] and not found.outside


def test_beyond_the_line_who_wins_or_loses_in_both_is_compared_with_its_end():
    wins, loses = Point(101.0, 81.0, "New-A"), Point(9.9, 83.0, "New-B")
    faster_and_less_accurate = Point(101.0, 79.0, "New-C")
    slower_and_more_accurate = Point(9.9, 85.0, "New-D")
    as_accurate = [Point(101.0, 79.9, "New-E"), Point(9.9, 84.2, "New-F")]
    points = (wins, loses, faster_and_less_accurate, slower_and_more_accurate, *as_accurate)
    found = standing(plot(*OURS, *points))
    assert found.above == [(wins, 1.0)] and found.below == [(loses, -1.0)]
    assert found.outside == [faster_and_less_accurate, slower_and_more_accurate]
    assert {point for point, _ in found.level} == set(as_accurate)


def test_a_size_that_another_one_beats_is_no_part_of_the_line():
    beaten = Point(90.0, 70.0, "Ours-XS")  # slower and less accurate than S
    new = Point(10 * 10**0.75, 82.0, "New-A")  # 81.0 on the line from B to S
    assert standing(plot(*OURS, beaten, new)).above == [(new, 1.0)]
    costs = Scatter("a", "A", "operations", "G", [*OURS[:1], Point(200.0, 84.0, "Ours-B")], "Ours")
    dearer = Point(120.0, 79.0, "Ours-XS")
    costs = replace(costs, points=[*costs.points, dearer, new], front=[new])
    assert standing(costs).above == [(new, 2.0)]  # cheaper than all, and beside S
    less = Point(new.cost, 79.0, "New-A")
    assert standing(replace(costs, points=[*costs.points[:3], less])).outside == [less]


def test_each_network_counts_in_its_fastest_runtime():
    small, base = (replace(point, row=row) for row, point in enumerate(OURS))
    slow = Point(5.0, 85.0, "New-A", row=2)
    fast = replace(slow, cost=100.0, runtime="openvino")
    larger = replace(fast, cost=10.0, accuracy=86.0, row=3)  # the same name, at another input size
    found = standing(plot(*fastest([small, base, replace(small, cost=1000.0), slow, fast, larger])))
    # half way from 84 to 80 as the sizes are now timed, and beside B
    assert found.above == [(fast, 3.0), (larger, 2.0)] and not found.outside


def test_a_plot_without_a_front_or_with_one_size_says_nothing():
    other = Point(20.0, 80.0, "New-A")
    assert standing(plot(*OURS, other, front=False)) is None
    assert standing_text(plot(OURS[0], other)) == ""


def test_the_text_names_families_once():
    text = standing_text(plot(*OURS, Point(20.0, 90.0, "New-A"), Point(30.0, 90.0, "New-B")))
    assert "equal measured speed, each network in its fastest runtime, and beyond it with" in text
    assert "More accurate: New B (+7.9), A (+7.2). " in text
    assert "Within 0.2 points: none. Less accurate: none." in text
