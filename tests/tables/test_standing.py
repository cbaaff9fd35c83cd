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
    faster, slower = Point(101.0, 90.0, "Else-D"), Point(9.9, 70.0, "Else-E")
    found = standing(plot(*OURS, better, worse, level, faster, slower))
    assert found.above == [(better, 1.0)] and found.below == [(worse, -0.5)]
    assert found.level == [(level, 0.2)] and found.outside == [faster, slower]


def test_a_size_that_another_one_beats_is_no_part_of_the_line():
    beaten = Point(90.0, 70.0, "Ours-XS")  # slower and less accurate than S
    new = Point(10 * 10**0.75, 82.0, "New-A")  # 81.0 on the line from B to S
    assert standing(plot(*OURS, beaten, new)).above == [(new, 1.0)]
    costs = Scatter("a", "A", "operations", "G", [*OURS[:1], Point(200.0, 84.0, "Ours-B")], "Ours")
    dearer = Point(120.0, 79.0, "Ours-XS")
    costs = replace(costs, points=[*costs.points, dearer, new], front=[new])
    assert standing(costs).outside == [new]  # cheaper than all


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
    assert "front at equal measured speed, each network in its fastest runtime. " in text
    assert "More accurate: New B (+7.9), A (+7.2). " in text
    assert "Within 0.2 points: none. Less accurate: none." in text
