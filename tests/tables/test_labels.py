"""Labels of a plot lie beside their marks, and on nothing else."""

import random
from itertools import combinations

import pytest

from mogabench.tables.labels import Box, Spot, place_labels

FRAME = Box(200, 150, 400, 300)


def test_boxes_meet_and_are_crossed_as_drawn_on_paper():
    box = Box(10, 10, 4, 2)  # from 8 to 12 across, from 9 to 11 down
    assert box.meets(Box(13, 10, 4, 2)) and not box.meets(Box(15, 10, 4, 2))
    assert box.is_inside(Box(10, 10, 4, 2)) and not box.is_inside(Box(10, 10, 3, 2))
    assert box.is_crossed((0, 10), (20, 10)) and box.is_crossed((9, 0), (11, 20))
    assert not box.is_crossed((0, 8), (20, 8)) and not box.is_crossed((0, 10), (7, 10))
    assert box.is_crossed((10, 0), (10, 9.5))


def test_labels_of_a_crowd_overlap_nothing():
    generator = random.Random(0)
    spots = [
        Spot(generator.uniform(50, 350), generator.uniform(50, 250), 4, 30, 9) for _ in range(40)
    ]
    places = place_labels(spots, FRAME)
    boxes = [Box(place.x, place.y, 30, 9) for place in places if place is not None]
    assert len(boxes) > 30
    assert all(box.is_inside(FRAME) for box in boxes)
    assert not any(one.meets(other) for one, other in combinations(boxes, 2))
    assert not any(box.meets(spot.box) for box in boxes for spot in spots)


def test_a_label_stands_to_the_right_unless_a_line_goes_there_or_the_frame_ends():
    [free] = place_labels([Spot(100, 100, 4, 30, 9)], FRAME)
    assert (free.x, free.y, free.is_far) == (100 + 4 + 3 + 15, pytest.approx(100), False)
    [crossed] = place_labels([Spot(100, 100, 4, 30, 9)], FRAME, [[(100, 100), (200, 100)]])
    assert crossed.x < 100
    [at_the_edge] = place_labels([Spot(390, 100, 4, 30, 9)], FRAME)
    assert at_the_edge.x < 390


def test_a_mark_without_a_label_only_takes_its_place():
    nameless = Spot(112, 100, 8)
    first, second = place_labels([Spot(100, 100, 4, 30, 9), nameless], FRAME)
    assert second is None and not Box(first.x, first.y, 30, 9).meets(nameless.box)
