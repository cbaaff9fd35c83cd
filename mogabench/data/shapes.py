"""The sample of detection and segmentation: drawn shapes, as a COCO and as an ADE20K folder."""

from __future__ import annotations

import json
from colorsys import hsv_to_rgb
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from mogabench.data.cache import written_once

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    Mask = NDArray[np.bool_]

CLASSES = ("disc", "square", "triangle")
"""What is drawn, in the order of COCO's category ids, from 1."""

SCENE_CLASSES = ("background", *CLASSES)
"""What a pixel may show, in the order of the ids in the class masks, from 1; 0 would be ignored."""

SIZE = 96
"""Width and height of the images in pixels."""

_IMAGES = {"train": 240, "val": 60}
_MOST_SHAPES = 4
_RADIUS = (12, 26)
_NOISE = 10.0


@dataclass
class _Shape:
    """A drawn shape: which class, all its pixels, and those that no later shape covers."""

    kind: int
    whole: Mask
    visible: Mask


def sample_shapes() -> Path:
    """Draws the images on the first call; the same ones on every machine.

    On a noisy, greyish gradient lie one to four discs, squares and triangles of random colour, size
    and rotation; later ones cover earlier ones, by at most half. Each class has a third of the hues
    to itself, so that minutes of training are enough. 240 images are for training, 60 held out,
    each ``SIZE`` pixels wide and high.

    Returns:
        A folder with the same images twice: ``coco/`` (``train2017/``, ``val2017/`` and
        ``annotations/instances_{train,val}2017.json``) and ``ade/`` (``images/`` and
        ``annotations/``, in each ``training/`` and ``validation/``).

    Raises:
        UserError: The cache folder cannot be written.
    """
    return written_once("sample-shapes", "2", _write)


def _write(folder: Path) -> None:
    for seed, (split, count) in enumerate(_IMAGES.items()):
        random = np.random.default_rng(seed)
        images: list[dict[str, Any]] = []
        annotations: list[dict[str, Any]] = []
        for number in range(1, count + 1):
            pixels, shapes = _scene(random)
            name = f"{number:012}.png"
            _write_scene(folder, split, name, pixels, shapes)
            images.append({"id": number, "file_name": name, "width": SIZE, "height": SIZE})
            for shape in shapes:
                annotations.append(_annotation(shape, number, len(annotations) + 1))
        categories = [{"id": number, "name": name} for number, name in enumerate(CLASSES, 1)]
        file = folder / "coco" / "annotations" / f"instances_{split}2017.json"
        file.parent.mkdir(exist_ok=True)
        file.write_text(
            json.dumps({"images": images, "annotations": annotations, "categories": categories})
        )


def _write_scene(
    folder: Path, split: str, name: str, pixels: NDArray[np.uint8], shapes: list[_Shape]
) -> None:
    ade_split = {"train": "training", "val": "validation"}[split]
    classes = np.ones((SIZE, SIZE), np.uint8)
    for shape in shapes:
        classes[shape.visible] = shape.kind + 2
    for place, content in (
        (f"coco/{split}2017", pixels),
        (f"ade/images/{ade_split}", pixels),
        (f"ade/annotations/{ade_split}", classes),
    ):
        file = folder / place / name
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(content).save(file)


def _annotation(shape: _Shape, image: int, number: int) -> dict[str, Any]:
    """COCO's entry for what is visible of a shape."""
    from pycocotools import mask

    runs = mask.encode(np.asfortranarray(shape.visible))
    return {
        "id": number,
        "image_id": image,
        "category_id": shape.kind + 1,
        "segmentation": {"size": runs["size"], "counts": runs["counts"].decode("ascii")},
        "area": int(shape.visible.sum()),
        "bbox": mask.toBbox(runs).tolist(),
        "iscrowd": 0,
    }


def _scene(random: np.random.Generator) -> tuple[NDArray[np.uint8], list[_Shape]]:
    """An image ``(SIZE, SIZE, 3)`` and its shapes, from the lowest to the topmost."""
    pixels = _gradient(random, [_colour(random, (0, 1), (0, 0.3), (0.2, 0.9)) for _ in range(2)])
    shapes: list[_Shape] = []
    for _ in range(random.integers(1, _MOST_SHAPES + 1)):
        kind = int(random.integers(len(CLASSES)))
        whole = _outline(random, kind)
        hue = ((kind + 0.1) / len(CLASSES), (kind + 0.9) / len(CLASSES))
        colour = _colour(random, hue, (0.6, 1), (0.5, 1))
        if any((shape.visible & ~whole).sum() < shape.whole.sum() / 2 for shape in shapes):
            continue
        for shape in shapes:
            shape.visible &= ~whole
        shapes.append(_Shape(kind, whole, whole.copy()))
        pixels[whole] = colour
    noisy = pixels + random.normal(0, _NOISE, pixels.shape)
    return noisy.clip(0, 255).astype(np.uint8), shapes


def _grid() -> NDArray[np.float64]:
    """The coordinates ``(2, SIZE, SIZE)`` of the pixels' centres: x, y."""
    centres = np.arange(SIZE) + 0.5
    return np.stack(np.meshgrid(centres, centres))


def _gradient(
    random: np.random.Generator, ends: Sequence[NDArray[np.float64]]
) -> NDArray[np.float64]:
    direction = random.normal(size=2)
    along = np.tensordot(direction, _grid(), axes=1)
    share = ((along - along.min()) / np.ptp(along))[..., None]
    gradient: NDArray[np.float64] = ends[0] * (1 - share) + ends[1] * share
    return gradient


def _colour(
    random: np.random.Generator,
    hue: tuple[float, float],
    saturation: tuple[float, float],
    value: tuple[float, float],
) -> NDArray[np.float64]:
    """A random colour, RGB up to 255, from ranges in HSV up to 1."""
    colour = hsv_to_rgb(*(random.uniform(*bounds) for bounds in (hue, saturation, value)))
    return 255 * np.array(colour)


def _outline(random: np.random.Generator, kind: int) -> Mask:
    """The pixels of a shape of a random size, place and rotation; it may reach over the edge."""
    radius = random.uniform(*_RADIUS)
    centre = random.uniform(radius * 0.7, SIZE - radius * 0.7, 2)
    across = _grid() - centre[:, None, None]
    if CLASSES[kind] == "disc":
        disc: Mask = (across**2).sum(0) <= radius**2
        return disc
    corners = {"square": 4, "triangle": 3}[CLASSES[kind]]
    normals = random.uniform(0, 2 * np.pi) + 2 * np.pi * np.arange(corners) / corners
    distances = np.tensordot(np.stack([np.cos(normals), np.sin(normals)], 1), across, axes=1)
    # A regular polygon is where all its sides' planes agree; this is its inner radius.
    inside: Mask = (distances <= radius * np.cos(np.pi / corners)).all(0)
    return inside
