"""Reading ADE20K's folders, and the errors of folders that are wrong."""

import os
import random
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import mmseg
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmseg.registry import DATASETS
from PIL import Image

from mogabench import load
from mogabench.checkpoints import Description, save_checkpoint
from mogabench.engine.job import Job
from mogabench.engine.run import run
from mogabench.errors import UserError
from mogabench.subject import Subject
from mogabench.tasks import load_recipe
from mogabench.tasks.segmentation import TASK
from mogabench.tasks.segmentation.data import (
    class_ids,
    evaluation_resizing,
    evaluation_split,
    training_split,
)
from mogabench.tasks.segmentation.masks import IGNORED

SIZES = {"training": [(640, 480), (300, 500)], "validation": [(700, 512), (400, 411)]}
"""Widths and heights."""


@pytest.fixture
def ade(tmp_path):
    """Noise in ADE20K's layout, two images a split."""
    random = np.random.default_rng(0)
    for split, sizes in SIZES.items():
        for kind in ("images", "annotations"):
            (tmp_path / "ade" / kind / split).mkdir(parents=True)
        for number, (width, height) in enumerate(sizes):
            pixels = random.integers(0, 256, (height, width, 3), np.uint8)
            Image.fromarray(pixels).save(tmp_path / "ade/images" / split / f"{number}.jpg")
            coarse = random.integers(0, 151, (height // 20 + 1, width // 20 + 1), np.uint8)
            ids = np.kron(coarse, np.ones((20, 20), np.uint8))[:height, :width]
            Image.fromarray(ids).save(tmp_path / "ade/annotations" / split / f"{number}.png")
    return tmp_path / "ade"


def job(folder, *overrides, train=True, class_map=None, **changes):
    return Job(
        Subject(
            task="segmentation",
            method="semantic_fpn",
            backbone="resnet18",
            input_size=(512, 2048),
        ),
        load_recipe("semantic_fpn_80k", overrides=overrides),
        str(folder),
        TASK.Options(class_map=class_map),
        work_dir=folder.parent / "work",
        train=train,
        weights=None if train else Path("any"),
        workers=0,
        quiet=True,
        **changes,
    )


@pytest.mark.slow
@pytest.mark.parametrize("split", ["train", "val"])
def test_the_pictures_are_those_of_mmsegs_own_configuration(ade, split):
    config = Config.fromfile(
        str(files(mmseg) / ".mim/configs/_base_/datasets/ade20k.py"), import_custom_modules=False
    )
    theirs_config = config[f"{split}_dataloader"].dataset
    theirs_config.data_root = str(ade)
    with DefaultScope.overwrite_default_scope("mmseg"):
        theirs = DATASETS.build(theirs_config)
    job_ = job(ade, "input.test_divisor=null")
    is_train = split == "train"
    ours = (
        training_split(job_, job_.recipe, class_ids(job_))
        if is_train
        else evaluation_split(job_, class_ids(job_))
    ).scenes
    assert len(ours) == len(theirs) == 2
    for index in range(2):
        for seed in range(4):
            items = []
            for scenes in (ours, theirs):
                random.seed(seed)
                np.random.seed(seed)
                items.append(scenes[index])
            mine, other = items
            assert torch.equal(mine["inputs"], other["inputs"])
            samples = [item["data_samples"].gt_sem_seg.data for item in items]
            assert torch.equal(*samples)
            assert len(samples[0].unique()) > 5


def test_at_test_the_sides_are_stretched_to_a_multiple_and_the_mask_is_not(ade):
    job_ = job(ade)
    scenes = evaluation_split(job_, class_ids(job_)).scenes
    for item, (width, height), (new_width, new_height) in zip(
        (scenes[0], scenes[1]), SIZES["validation"], [(704, 512), (512, 544)], strict=True
    ):
        assert item["inputs"].shape == (3, new_height, new_width)
        assert item["data_samples"].gt_sem_seg.data.shape == (1, height, width)


@pytest.mark.parametrize(
    ("size", "instead"), [((2048, 512), "2048x8192"), ((512, 512), "512x2048")]
)
def test_a_size_of_other_proportions_is_refused(tmp_path, size, instead):
    job_ = job(tmp_path)
    subject = job_.subject.model_copy(update={"input_size": size})
    for resize in (
        lambda: job_.recipe.at_size(size),
        lambda: evaluation_resizing(replace(job_, subject=subject, recipe=None)),
    ):
        with pytest.raises(UserError, match=f"at most 4 times that: give --size {instead}, or"):
            resize()


def test_ids_count_from_one_and_none_is_ignored(ade):
    file = ade / "annotations/validation/0.png"
    ids = np.asarray(Image.open(file)).copy()
    ids[0, :4] = [0, 1, 150, 255]
    Image.fromarray(ids).save(file)
    job_ = job(ade)
    mask = evaluation_split(job_, class_ids(job_)).scenes[0]["data_samples"].gt_sem_seg.data
    assert mask[0, 0, :4].tolist() == [255, 0, 149, 255]


def spoil_colours(folder):
    Image.new("RGB", SIZES["validation"][0], "red").save(folder / "annotations/validation/0.png")


def spoil_size(folder):
    Image.new("L", (512, 700)).save(folder / "annotations/validation/0.png")


def spoil_ids(folder):
    Image.new("L", SIZES["validation"][0], 151).save(folder / "annotations/validation/0.png")


def spoil_mask(folder):
    (folder / "annotations/validation/0.png").write_bytes(b"\x89PNG no more")


def spoil_image(folder):
    (folder / "images/validation/0.jpg").write_bytes(b"not a picture")


def empty_image(folder):
    (folder / "images/validation/0.jpg").write_bytes(b"")


def lose_mask(folder):
    for file in (folder / "annotations/training").iterdir():
        file.rename(file.with_stem(f"{file.stem}_mask"))


def lose_images(folder):
    for file in (folder / "images/training").iterdir():
        file.unlink()


def lose_folder(folder):
    (folder / "annotations").rename(folder / "masks")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            spoil_colours,
            r"mask .*/0\.png is a picture in colours .* mode RGB\), not of class ids; it",
        ),
        (spoil_size, r"mask .*/0\.png is of 512x700 pixels, but its image 0\.jpg of 700x512$"),
        (spoil_ids, r"holds the class id 151; the 150 classes have 1 to 150, and 0 or 255 is ig"),
        (spoil_mask, r"^cannot read the mask .*validation/0\.png: it is damaged, or in none of"),
        (spoil_image, r"^cannot read the image .*validation/0\.jpg: it is damaged, or in none of"),
        (empty_image, r"^cannot read the image .*validation/0\.jpg: it is empty$"),
        (
            lose_mask,
            r"no image in .*/training has a mask in .*: 2 files such as 0\.jpg and 2 files",
        ),
        (lose_images, r"images/training has no image; images and masks end in \.jpg, "),
        (lose_folder, r"no folder .*annotations.*\{images,annotations\}/\{training,validation\}/"),
    ],
)
def test_errors_of_wrong_data(ade, spoil, message):
    spoil(ade)
    with pytest.raises(UserError, match=message) as error:
        for split in (
            lambda job: training_split(job, job.recipe, class_ids(job)),
            lambda job: evaluation_split(job, class_ids(job)),
        ):
            scenes = split(job(ade)).scenes
            scenes[0], scenes[1]
    assert "\n" not in str(error.value)


@pytest.mark.slow
def test_the_line_comes_through_a_worker_and_the_runner(ade):
    spoil_size(ade)
    overrides = ("schedule.steps=1", "batch_size=2", "input.crop=32", "input.short_side=32")
    with pytest.raises(UserError, match=r"^the mask .* of 700x512$") as error:
        run(replace(job(ade, *overrides), workers=1), TASK)
    assert "\n" not in str(error.value)


def test_other_classes_are_named_by_a_class_map(ade, tmp_path):
    names = tmp_path / "names.txt"
    names.write_text("road\nsky\n")
    for folder, greatest in ((ade, "150"), (Path("sample"), "[34]")):
        with pytest.raises(UserError, match=f"class id {greatest}; the 2 classes have 1 to 2"):
            evaluation_split(named := job(folder, class_map=names), class_ids(named)).scenes[0]
    names.write_text("road\n")
    with pytest.raises(UserError, match=r"names\.txt: 1 class.* need 2 to 254; .* one per line$"):
        evaluation_split(named := job(ade, class_map=names), class_ids(named))


def test_weights_of_more_classes_than_a_mask_tells_apart(ade, tmp_path):
    """Class 256 of a mask of bytes would be class 0, without a word."""
    classes = tuple(f"class {number}" for number in range(255))
    stated = Description("segmentation", "semantic_fpn", "resnet18", classes=classes)
    file = tmp_path / "w.pth"
    save_checkpoint(file, {"state_dict": {"weight": torch.zeros(1)}, "meta": stated.to_meta()})
    with pytest.raises(UserError, match=r"w\.pth: 255 class.* need 2 to 254"):
        load(file)
    with pytest.raises(UserError, match=r"w\.pth: 255 class.* need 2 to 254"):
        class_ids(replace(job(ade, train=False), weights=file))


def test_the_masks_of_real_photographs(tmp_path):
    """PASCAL VOC photographs with palette masks from labelme's source distribution."""
    if "LABELME_EXAMPLES" not in os.environ:
        pytest.skip("needs LABELME_EXAMPLES=…/examples of labelme-6.3.1's source")
    given = Path(os.environ["LABELME_EXAMPLES"]) / "semantic_segmentation" / "data_dataset_voc"
    for kind, source in (("images", "JPEGImages"), ("annotations", "SegmentationClass")):
        (tmp_path / "voc" / kind).mkdir(parents=True)
        (tmp_path / "voc" / kind / "validation").symlink_to(given / source)
    names = tmp_path / "names.txt"
    names.write_text("".join((given / "class_names.txt").read_text().splitlines(True)[1:]))
    job_ = job(tmp_path / "voc", class_map=names)
    scenes = evaluation_split(replace(job_, recipe=None), class_ids(job_)).scenes
    assert len(scenes) == 3
    for item in (scenes[index] for index in range(3)):
        sample = item["data_samples"]
        ids = np.load(given / "SegmentationClassNpy" / f"{Path(sample.img_path).stem}.npy")
        classes = sample.gt_sem_seg.data[0].numpy().astype(int)
        assert np.array_equal(np.where(classes == IGNORED, 0, classes + 1), np.maximum(ids, 0))
        assert min(item["inputs"].shape[1:]) == 512
