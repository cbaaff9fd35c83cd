"""Masks that pycocotools would trip over, and those that it wrote itself."""

import numpy as np
import pycocotools.mask
import pytest

from mogabench.errors import UserError
from mogabench.tasks.detection.masks import check_masks

HEIGHT, WIDTH = 20, 30
PIXELS = HEIGHT * WIDTH
OTHER = {"segmentation": [[0, 0, 1, 0, 1, 1]]}


def check(item, tmp_path, height=HEIGHT, width=WIDTH):
    image = {"id": 4, "file_name": "a.png", "height": height, "width": width}
    annotations = [{"id": number, "image_id": 4, **x} for number, x in ((7, OTHER), (8, item))]
    check_masks(tmp_path / "instances.json", {"images": [image], "annotations": annotations})


def runs(counts, size=(HEIGHT, WIDTH)):
    return {"size": list(size), "counts": counts}


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (None, "is missing: it has no segmentation"),
        ([], r"should be polygons \[\[x1, y1, .*\] or run lengths .*, not \[\]"),
        ([[]], r"should be polygons .*, not \[\[\]\]"),
        ("abc", "should be polygons .*, not 'abc'"),
        ([[1, 2, 3, 4]], r"should be polygons .*, not \[\[1, 2, 3, 4\]\]"),
        ([OTHER["segmentation"][0], [1, 2, 3, 4, 5, 6, 7]], "has a polygon of 7 numbers; they sh"),
        (
            [[-99, 1, 5, 1, 5, 5]],
            "from x = -99 to 5, far outside its image of 30x20 pixels",
        ),
        ([[1, 1, 5, 1, 5, 1e12]], r"reaches from y = 1 to 1e\+12, far outside"),
        (runs([600], (WIDTH, HEIGHT)), r"size \[30, 20\], but .* 20 high and 30 wide"),
        (runs([5, 6]), r"has runs of 11 pixels in all, but its image has 600 \(30x20\)"),
        (runs([-1, 601]), "should be polygons"),
        (runs(""), "has counts that are not run lengths as pycocotools writes them: ''"),
        (runs("\x7fzz"), "not run lengths"),
        (runs("é"), "not run lengths"),
        (runs("P"), "not run lengths"),  # says that another digit follows
        (runs("P" * 12 + "1"), "not run lengths"),  # more bits than an integer has
        (runs("N2"), "not run lengths"),  # a run of -2
        (runs("01"), "has runs of 1 pixels in all"),
    ],
)
def test_a_corrupt_mask_is_reported_with_its_annotation(tmp_path, mask, message):
    item = {} if mask is None else {"segmentation": mask}
    with pytest.raises(UserError, match=f"instances.json: the mask of annotation 8 .*{message}"):
        check(item, tmp_path)


def test_masks_of_pycocotools_are_sound_until_a_character_is_lost(tmp_path):
    random = np.random.default_rng(0)
    for _ in range(200):
        height, width, grain = random.integers(1, 90, 3)
        coarse = random.random((height // grain + 1, width // grain + 1)) < random.random()
        pixels = np.kron(coarse, np.ones((grain, grain)))[:height, :width]
        encoded = pycocotools.mask.encode(np.asfortranarray(pixels.astype(np.uint8)))
        counts = encoded["counts"].decode()
        size = (int(height), int(width))
        check({"segmentation": runs(counts, size)}, tmp_path, *size)
        with pytest.raises(UserError, match="the mask of annotation 8"):
            check({"segmentation": runs(counts[:-1], size)}, tmp_path, *size)


def test_what_lies_outside_the_image_is_cut_off(tmp_path):
    rectangles = [[-10, 5, 10, 5, 10, 15, -10, 15], [20, -9, 25, -9, 25, 35, 20, 35]]
    check({"segmentation": rectangles}, tmp_path)
    encoded = pycocotools.mask.frPyObjects(rectangles, HEIGHT, WIDTH)
    assert pycocotools.mask.area(encoded).tolist() == [10 * 10, 5 * HEIGHT]
