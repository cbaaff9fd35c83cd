"""``predict`` on images alone against what the evaluation of their data set wrote."""

import csv
import json
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mogabench import load
from mogabench.data.digits import sample_digits
from mogabench.data.shapes import sample_shapes
from mogabench.tasks import get_task
from mogabench.tasks.mesh.sample import sample_hands
from mogabench.tasks.pose.sample import sample_figures


def predict_the_same(name, file, weights, few_shapes, mogabench):
    """Predicts what the evaluation did, and compares.

    Args:
        name: The task's.
        file: What the evaluation wrote.
        weights: What it evaluated.
        few_shapes: The data of detection.
        mogabench: Runs a command.
    """
    images, guides = given_of(name, weights, few_shapes)
    if name == "pose":
        # The same boxes, of two persons at once, which an image has.
        again = ["--data", "sample", "--workers", "0", "--batch-size", "2", "-q"]
        mogabench("run", name, *again, "--weights", weights, *guides, "--predictions", file)
    out, _ = mogabench(
        "predict", images, "--weights", weights, *guides, "--format", "json", "-o", "predicted"
    )
    pictures = [path for path in Path("predicted").rglob("*.png") if "_mask" not in path.name]
    assert len(pictures) == (3 if name == "video" else sum(1 for path in images.rglob("*.*")))
    COMPARISONS[name](json.loads(out), file)


def given_of(name, weights, few_shapes):
    """Images or sequences of the evaluation, and the options that go with them."""
    if name == "mesh":
        Path("hands").mkdir()
        for hand in sorted((sample_hands() / "evaluation" / "rgb").iterdir())[:8]:
            shutil.copy(hand, "hands")
    if name == "video":
        write_seen(weights, "seen.npy", count=3)
    return {
        "classification": (sample_digits() / "val" / "3", []),
        "detection": (few_shapes / "val2017", []),
        "segmentation": (sample_shapes() / "ade" / "images" / "validation", []),
        "pose": (sample_figures() / "val2017", ["--boxes", write_boxes()]),
        "mesh": (Path("hands"), []),
        "video": (Path("seen.npy"), ["--layout", "NTCHW"]),
    }[name]


def make_bold(file):
    """Raises the scores of a RetinaNet's boxes."""
    content = torch.load(file, weights_only=True)
    (name,) = [name for name in content["state_dict"] if name.endswith("retina_cls.bias")]
    content["state_dict"][name] += 4
    torch.save(content, file)


def write_boxes():
    """The boxes of the sample's persons as if a detector had found them."""
    content = json.loads(
        (sample_figures() / "annotations/person_keypoints_val2017.json").read_text()
    )
    boxes = [
        {key: one[key] for key in ("image_id", "category_id", "bbox")} | {"score": 0.9}
        for one in content["annotations"]
    ]
    Path("boxes.json").write_text(json.dumps(boxes))
    return "boxes.json"


def write_seen(weights, file, count):
    """What the evaluation shows the network of its first sequences."""
    job = replace(load(weights).job, data="sample")
    test = get_task("video").prepare(job).test
    frames = test.collate([test.items[number] for number in range(count)])["frames"]
    np.save(file, frames[:, : job.subject.input_size[0]].numpy())


def compare_classes(found, file):
    rows = {Path(row["image"]).name: row for row in csv.DictReader(file.open())}
    assert len(rows) > len(found) > 0
    for one in found:
        row = rows[one["image"]]
        given = [(item["name"], item["probability"]) for item in one["classes"]]
        assert [label for label, _ in given] == [row[f"class_{n}"] for n in range(1, 6)]
        # The evaluation takes 64 images at once, which may change the last digit.
        expected = [float(row[f"probability_{n}"]) for n in range(1, 6)]
        assert [share for _, share in given] == pytest.approx(expected, abs=2e-6)


def compare_boxes(found, file):
    keys = ("image_id", "category_id", "bbox", "score")
    expected, given = (
        [[one[key] for key in keys] for one in results]
        for results in (json.loads(file.read_text()), found)
    )
    assert given == expected
    assert given


def compare_masks(found, file):
    with zipfile.ZipFile(file) as archive:
        assert len(archive.namelist()) == len({one["image_id"] for one in found})
        for entry in archive.namelist():
            mask = Path("predicted") / f"{entry.removesuffix('.png')}_mask.png"
            with Image.open(archive.open(entry)) as expected, Image.open(mask) as given:
                assert expected.tobytes() == given.tobytes()


def compare_poses(found, file):
    expected = json.loads(file.read_text())
    assert [{key: one[key] for key in expected[0]} for one in found] == expected


def compare_meshes(found, file):
    for kind, expected in zip(("keypoints", "vertices"), json.loads(file.read_text()), strict=True):
        # The evaluation takes 64 images at once; coordinates are written in micrometres.
        np.testing.assert_allclose([one[kind] for one in found], expected[:8], atol=2e-6)


def compare_frames(found, file):
    expected = np.load(file)
    assert len(found) == 3
    for number in range(3):
        frames = np.load(f"predicted/seen-{number + 1}_predicted.npy")
        # The evaluation takes 16 sequences at once.
        np.testing.assert_allclose(frames, expected[number], atol=1e-5)


COMPARISONS = {
    "classification": compare_classes,
    "detection": compare_boxes,
    "segmentation": compare_masks,
    "pose": compare_poses,
    "mesh": compare_meshes,
    "video": compare_frames,
}
