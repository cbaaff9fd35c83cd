"""Photographs that EXIF data turn, and masks drawn on them upright or as they are stored."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from mogabench.data.shapes import SCENE_CLASSES, sample_shapes
from mogabench.tasks.segmentation.drawing import DrawMasks

TURN_BACK = {3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90}
"""From what one sees to what a camera stores with such an orientation."""


@pytest.fixture
def turned(tmp_path):
    """Four drawn scenes a split, oblong, as photographs turned by EXIF data."""

    def make(orientation, *, stored_masks):
        exif = Image.Exif()
        exif[0x0112] = orientation
        for split in ("training", "validation"):
            for kind in ("images", "annotations"):
                source = sample_shapes() / "ade" / kind / split
                target = tmp_path / "ade" / kind / split
                target.mkdir(parents=True)
                for file in sorted(source.iterdir())[:4]:
                    image = Image.open(file).crop((0, 0, 96, 64))
                    if kind == "images":
                        image = image.transpose(TURN_BACK[orientation])
                        image.save(target / f"{file.stem}.png", exif=exif)
                    else:
                        turn = TURN_BACK[orientation] if stored_masks else None
                        (image.transpose(turn) if turn else image).save(target / file.name)
        return tmp_path / "ade"

    return make


@pytest.mark.slow
@pytest.mark.parametrize("stored_masks", [False, True])
def test_a_training_and_its_resumption(turned, tmp_path, mogabench, stored_masks):
    (tmp_path / "names.txt").write_text("\n".join(SCENE_CLASSES))
    command = [
        *("run", "segmentation", "--backbone", "test_resnet", "--train", "--workers", "0"),
        *("--data", turned(6, stored_masks=stored_masks), "--class-map", "names.txt"),
        *("--recipe", "sample_shapes_segmentation", "--set", "batch_size=2"),
        *("--set", "schedule.steps=2", "--set", "schedule.warmup_steps=1"),
        *("--set", "input.crop=32", "--quiet", "--work-dir", "work", "--results", "results"),
    ]
    mogabench(*command)
    mogabench(*command, "--resume")
    assert (tmp_path / "work" / "predictions.png").exists()


@pytest.mark.parametrize(
    ("orientation", "stored_masks"), [(3, False), (6, False), (6, True)], ids=str
)
def test_drawings_and_masks_agree(turned, orientation, stored_masks):
    folder = turned(orientation, stored_masks=stored_masks)
    (file, *_) = sorted((folder / "images" / "validation").iterdir())
    shape = (96, 64) if stored_masks else (64, 96)
    nothing = SimpleNamespace(data=torch.full((1, *shape), 255))
    sample = SimpleNamespace(
        img_path=file, ori_shape=shape, gt_sem_seg=nothing, pred_sem_seg=nothing
    )
    seen = Image.open(sample_shapes() / "ade/images/validation" / file.name).crop((0, 0, 96, 64))
    expected = seen.transpose(TURN_BACK[orientation]) if stored_masks else seen
    for drawn in DrawMasks([(0, 0, 0)]).draw(None, [sample]):
        assert np.array_equal(drawn, np.asarray(expected))
