"""Masks that are not ADE20K's: what 0 means, kinds of files, and what is refused before a run."""

import struct
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mogabench.data.images import ImageError
from mogabench.engine.job import Job
from mogabench.engine.run import run
from mogabench.errors import UserError
from mogabench.subject import Subject
from mogabench.tasks import load_recipe
from mogabench.tasks.segmentation import TASK
from mogabench.tasks.segmentation.data import (
    class_ids,
    evaluation_split,
    look_at_masks,
    training_split,
)

SIZE = 32
SPLITS = ("training", "validation")


def square(number):
    """Ids 0 and 1: an object of 16 x 16 pixels, a quarter of the image."""
    ids = np.zeros((SIZE, SIZE), np.uint8)
    ids[number : number + 16, 8:24] = 1
    return ids


@pytest.fixture
def binary(tmp_path):
    """Light squares on dark noise with masks of 0 and 1, four to train on and four to evaluate."""
    random = np.random.default_rng(0)
    for split in SPLITS:
        for kind in ("images", "annotations"):
            (tmp_path / "data" / kind / split).mkdir(parents=True)
        for number in range(4):
            pixels = random.integers(0, 60, (SIZE, SIZE, 3), np.uint8)
            pixels[square(number) > 0] += 150
            Image.fromarray(pixels).save(tmp_path / "data/images" / split / f"{number}.png")
            save(tmp_path / "data", square(number), split, f"{number}.png")
    (tmp_path / "names.txt").write_text("background\nobject\n")
    return tmp_path / "data"


def save(folder, ids, split="validation", name="0.png"):
    Image.fromarray(ids).save(folder / "annotations" / split / name)


def change(folder, function):
    """Changes the ids of all masks."""
    for file in (folder / "annotations").rglob("*.png"):
        Image.fromarray(function(np.asarray(Image.open(file)))).save(file)


def job(folder, mask_zero=None, **changes):
    recipe = load_recipe(
        "sample_shapes_segmentation",
        overrides=[
            *("batch_size=2", "schedule.steps=2", "schedule.warmup_steps=0"),
            *("input.crop=32", "input.short_side=32"),
        ],
    )
    wanted = Job(
        Subject(
            task="segmentation",
            method="semantic_fpn",
            backbone="test_resnet",
            input_size=(32, 128),
        ),
        recipe,
        str(folder),
        TASK.Options(class_map=folder.parent / "names.txt", mask_zero=mask_zero),
        work_dir=folder.parent / "work",
        train=True,
        workers=0,
        quiet=True,
    )
    return replace(wanted, **changes)


def look(job_):
    ids = class_ids(job_)
    splits = [training_split(job_, job_.recipe, ids), evaluation_split(job_, ids)]
    return look_at_masks(job_, splits, ids)


def evaluated(job_):
    return evaluation_split(job_, class_ids(job_))


def truth(job_):
    return evaluated(job_).scenes[0]["data_samples"].gt_sem_seg.data[0].numpy()


@pytest.mark.slow
def test_a_command_on_masks_from_0_needs_a_word_and_its_resumption_the_same(
    binary, tmp_path, mogabench
):
    command = [
        *("run", "segmentation", "--backbone", "test_resnet", "--train", "--workers", "0"),
        *("--data", binary, "--class-map", "names.txt", "--recipe", "sample_shapes_segmentation"),
        *("--set", "schedule.steps=2", "--set", "schedule.warmup_steps=0", "--quiet"),
        *("--set", "batch_size=2", "--set", "input.crop=32", "--device", "cpu"),
        *("--work-dir", "work", "--results", "results"),
    ]
    _, err = mogabench(*command, status=2)
    assert "ids from 0 to 1, and there are 2 classes: --mask-zero class if 0 is 'background'" in err
    assert not (tmp_path / "work" / "checkpoint.pth").exists()
    out, _ = mogabench(*command, "--mask-zero", "class")
    assert "0 in the masks is the class background (--mask-zero class)" in out
    _, err = mogabench(*command, "--mask-zero", "ignore", "--resume", status=2)
    assert "is of another training: its data digest was" in err


@pytest.mark.slow
def test_weights_trained_with_0_as_a_class_are_evaluated_so(binary):
    """Masks of objects alone hold 1, which is the first class where ids count from 1."""
    trained = run(job(binary, "class"), TASK)
    change(binary, np.ones_like)
    later = job(binary, train=False, weights=trained.checkpoint, work_dir=None, recipe=None)
    for class_map in (later.options.class_map, None):  # the weights name the same classes
        outcome = run(replace(later, options=TASK.Options(class_map=class_map)), TASK)
        assert "0 in the masks is the class background (--mask-zero class)" in outcome.notes
        assert outcome.by_class["Acc (%)"].keys() == {"object"}


@pytest.mark.slow
def test_what_0_is(binary):
    with pytest.raises(UserError, match=r"--mask-zero ignore if 0 is none .* 1 is 'background'$"):
        look(job(binary))
    assert np.array_equal(truth(job(binary, "class")), square(0))
    ignoring = truth(job(binary, "ignore"))
    assert np.array_equal(ignoring, np.where(square(0), 0, 255))
    assert look(job(binary, "ignore")) == [
        "training: 75.0% of the masks' pixels are ignored",
        "training: 1 of 2 classes do not occur: object",
        "validation: 75.0% of the masks' pixels are ignored",
        "validation: 1 of 2 classes do not occur: object",
    ]


@pytest.mark.slow
def test_masks_from_1_are_not_doubtful(binary):
    change(binary, lambda ids: ids + np.uint8(1))
    assert look(job(binary)) == []
    assert np.array_equal(truth(job(binary)), square(0))
    change(binary, lambda ids: np.where(ids == 1, 0, ids).astype(np.uint8))  # 0 and 2
    assert look(job(binary))[0] == "training: 75.0% of the masks' pixels are ignored"


@pytest.mark.slow
def test_ade20ks_own_ids_are_not_doubtful_where_few_images_lack_the_last(binary):
    own = job(binary)
    own = replace(own, options=TASK.Options())
    assert "149 of 150 classes do not occur: building, sky, " in look(own)[1]
    save(binary, np.arange(SIZE * SIZE, dtype=np.int64).reshape(SIZE, SIZE).astype(np.uint8) % 150)
    with pytest.raises(UserError, match="ids from 0 to 149, and there are 150 classes: --mask-zer"):
        look(own)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("spoil", "zero", "message"),
    [
        (lambda ids: ids * np.uint8(255), None, "hold only 0 and 255, which is ignored: masks of"),
        (lambda ids: ids * np.uint8(255), "class", "training masks hold only 0 and 255, which is"),
        (lambda ids: ids * np.uint8(0), "ignore", "no pixel of the training masks has a class"),
        (lambda ids: ids + np.uint8(1), "class", r"/0\.png holds the class id 2; the 2 .* 0 to 1"),
        (lambda ids: ids * np.uint8(3), None, r"/0\.png holds the class id 3; the 2 .* 1 to 2"),
        (lambda ids: np.stack([ids] * 3, 2), None, r"/0\.png is a picture in colours"),
        (lambda ids: ids[:16], "class", r"/0\.png is of 32x16 pixels, but its image 0\.png of 32x"),
        (lambda ids: ids.astype(np.uint16) * 65535, "class", "holds the class id 65535"),
    ],
)
def test_what_is_refused_before_a_run(binary, spoil, zero, message):
    change(binary, spoil)
    with pytest.raises(UserError, match=f"^[^\n]*{message}[^\n]*$"):
        TASK.prepare(job(binary, zero))


@pytest.mark.slow
def test_masks_that_jpeg_changed_are_refused(binary):
    file = binary / "annotations/validation/0.png"
    Image.open(file).convert("L").save(file.with_suffix(".jpg"))
    file.unlink()
    with pytest.raises(UserError, match=r"0\.jpg is a JPEG file, which may change the class ids"):
        look(job(binary, "class"))


def palette(ids):
    image = Image.fromarray(ids, "P")
    image.putpalette([255, 0, 0, 0, 255, 0])
    return image


def four_bits(ids):
    """A PNG file of greys in 4 bits, which Pillow reads but does not write."""

    def chunk(kind, content):
        check = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)

    rows = b"".join(b"\0" + bytes(row[::2] << 4 | row[1::2]) for row in ids)
    header = struct.pack(">IIBBBBB", SIZE, SIZE, 4, 0, 0, 0, 0)
    parts = (chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("0.png", lambda ids, file: palette(ids).save(file)),
        ("0.PNG", lambda ids, file: Image.fromarray(ids > 0).save(file, "PNG")),
        ("0.png", lambda ids, file: Image.fromarray(ids.astype(np.uint16)).save(file)),
        ("0.png", lambda ids, file: file.write_bytes(four_bits(ids))),
        ("0.tif", lambda ids, file: Image.fromarray(ids.astype(np.uint16)).save(file)),
        ("0.BMP", lambda ids, file: Image.fromarray(ids).save(file, "BMP")),
        ("0.webp", lambda ids, file: Image.fromarray(ids).save(file, lossless=True)),
    ],
)
def test_kinds_of_masks(binary, name, write):
    (binary / "annotations/validation/0.png").unlink()
    write(square(0), binary / "annotations/validation" / name)
    assert np.array_equal(truth(job(binary, "class")), square(0))
    assert look(job(binary, "class")) == [
        "0 in the masks is the class background (--mask-zero class)"
    ]


@pytest.mark.slow
def test_images_of_any_ending_in_folders_and_what_has_no_partner(binary):
    plain = evaluated(job(binary, "class"))
    images, masks = binary / "images/validation", binary / "annotations/validation"
    for kind in (images, masks):
        (kind / "town").mkdir()
        (kind / "1.png").rename(kind / "town" / "1.png")
        (kind / ".cache").mkdir()
        Image.new("L", (4, 4)).save(kind / ".cache" / "9.png")
        (kind / "._0.png").write_bytes(b"Mac OS X")
    Image.open(images / "0.png").save(images / "0.TIF", "TIFF")
    (images / "0.png").unlink()
    (images / "2.png").unlink()
    (masks / "3.png").unlink()
    (images / "notes.txt").write_text("")
    split = evaluated(job(binary, "class"))
    assert [Path(split.scenes[n]["data_samples"].img_path).name for n in (0, 1)] == [
        "0.TIF",
        "1.png",
    ]
    assert (plain.identity.samples, split.identity.samples) == (4, 2)
    assert plain.identity.digest != split.identity.digest
    assert split.notes == (
        "images/validation: left out hidden and system files or folders: 2, such as ._0.png",
        "images/validation: left out files that are not images: 1 .txt",
        "annotations/validation: left out hidden and system files or folders: 2, such as ._0.png",
        "validation: left out 1 images without a mask, such as 3.png",
        "validation: left out 1 masks without an image, such as 2.png",
    )
    assert set(split.notes) <= set(look(job(binary, "class")))
    save(binary, square(0), name="0.bmp")
    with pytest.raises(
        UserError, match=r"validation/0\.bmp and 0\.png differ only in their ending"
    ):
        evaluated(job(binary, "class"))


def test_a_mask_of_too_many_pixels_is_an_image_that_cannot_be_read(binary, monkeypatch):
    scenes = evaluated(job(binary, "class")).scenes
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(ImageError, match="it has more than 200 pixels"):
        scenes[0]


@pytest.mark.slow
def test_masks_that_cannot_be_read(binary):
    """Skipped with their images, or ignored whole; truncated ones are not filled with class 0."""
    broken = []
    for split in SPLITS:
        broken.append(binary / "annotations" / split / "1.png")
        broken[-1].write_bytes(broken[-1].read_bytes()[:-40])
    with pytest.raises(UserError, match=r"^cannot read the mask .*training/1\.png: "):
        run(job(binary, "class", on_bad_image="fail"), TASK)
    skipped = run(job(binary, "class", on_bad_image="skip"), TASK)
    assert f"1 val image(s) cannot be read: {broken[1]}" in skipped.notes
    filled = run(job(binary, "class", on_bad_image="fill", work_dir=binary.parent / "other"), TASK)
    assert f"1 val image(s) were truncated and filled: {broken[1]}" in filled.notes
    # The same weights on the same pixels: of the filled mask none counts.
    again = job(binary, "class", train=False, weights=filled.checkpoint, work_dir=None, recipe=None)
    figures = [run(replace(again, on_bad_image=how), TASK).metrics for how in ("fill", "skip")]
    assert figures[0] == figures[1]
