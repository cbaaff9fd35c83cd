"""The drawn shapes: the two layouts agree, and every drawing is the same."""

import hashlib

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO

from mogabench.data.shapes import CLASSES, SCENE_CLASSES, SIZE, sample_shapes

SPLITS = {"train": ("training", 240), "val": ("validation", 60)}


@pytest.fixture(scope="module")
def draw(tmp_path_factory):
    """Draws into a new cache folder."""

    def draw():
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("MOGABENCH_CACHE", str(tmp_path_factory.mktemp("cache")))
            return sample_shapes()

    return draw


@pytest.fixture(scope="module")
def folder(draw):
    return draw()


@pytest.mark.slow
def test_every_drawing_is_the_same(draw, folder):
    def digests(root):
        files = sorted(file for file in root.rglob("*") if file.is_file())
        return {
            str(file.relative_to(root)): hashlib.sha256(file.read_bytes()).hexdigest()
            for file in files
        }

    first = digests(folder)
    assert len(first) == 3 * 300 + 2
    assert digests(draw()) == first


@pytest.mark.parametrize("split", SPLITS)
def test_both_layouts_show_the_same(folder, split, capsys):
    ade_split, count = SPLITS[split]
    coco = COCO(folder / "coco" / "annotations" / f"instances_{split}2017.json")
    assert [coco.cats[number]["name"] for number in (1, 2, 3)] == list(CLASSES)
    assert len(coco.imgs) == count
    assert min(coco.anns) == 1  # pycocotools takes an id of 0 for no match
    for image in coco.imgs.values():
        name = image["file_name"]
        pixels = (folder / "coco" / f"{split}2017" / name).read_bytes()
        assert pixels == (folder / "ade" / "images" / ade_split / name).read_bytes()
        classes = np.asarray(Image.open(folder / "ade" / "annotations" / ade_split / name))
        assert classes.shape == (SIZE, SIZE) == (image["height"], image["width"])
        drawn = np.ones_like(classes)
        for annotation in coco.loadAnns(coco.getAnnIds(image["id"])):
            mask = coco.annToMask(annotation).astype(bool)
            assert (drawn[mask] == 1).all()  # the visible parts are apart
            drawn[mask] = SCENE_CLASSES.index(CLASSES[annotation["category_id"] - 1]) + 1
            rows, columns = np.nonzero(mask)
            assert annotation["area"] == mask.sum() > 0
            assert annotation["bbox"] == [
                columns.min(),
                rows.min(),
                np.ptp(columns) + 1,
                np.ptp(rows) + 1,
            ]
        assert (drawn == classes).all()


def test_all_classes_are_about_as_frequent(folder, capsys):
    coco = COCO(folder / "coco" / "annotations" / "instances_train2017.json")
    counts = [len(coco.getAnnIds(catIds=[number])) for number in (1, 2, 3)]
    assert min(counts) > 0.25 * sum(counts)
    assert 1.5 < sum(counts) / len(coco.imgs) < 3
