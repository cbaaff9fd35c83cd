"""The sample of pose: drawn stick figures, in COCO's folders and files."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from mogabench.data.cache import written_once
from mogabench.tasks.pose.skeleton import KEYPOINTS, LIMBS

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

IMAGES = {"train": 512, "val": 64}
HEIGHT, WIDTH = 160, 240
"""Of the images, in pixels."""

_SEED = 0
_PERSON = 1
_BODY = 5
"""Key points before it are the face's."""

_TRUNK = {
    "eye": (0.12, -1.37),
    "ear": (0.25, -1.3),
    "shoulder": (0.35, -0.9),
    "hip": (0.22, 0.0),
}
"""Places on the left, to the right and down from between the hips."""

_JOINTED = (
    ("shoulder", ("elbow", "wrist"), 0.5, (0, 160)),
    ("hip", ("knee", "ankle"), 0.6, (-10, 70)),
)
"""Where a limb starts, its joints, the length of each part, and its angle outwards from below."""


def sample_figures() -> Path:
    """Draws the images on the first call: 512 to train on and 64 to evaluate, of two figures each.

    The figures face the viewer, so left and right follow from the picture; arms, legs, size and
    tilt are random, all key points labelled.

    Returns:
        The folder of ``annotations/``, ``train2017/`` and ``val2017/``.

    Raises:
        UserError: The cache folder cannot be written.
    """
    return written_once("sample-figures", "1", _write)


def _write(folder: Path) -> None:
    random = np.random.default_rng(_SEED)
    for split, count in IMAGES.items():
        images: list[dict[str, Any]] = []
        annotations: list[dict[str, Any]] = []
        (folder / f"{split}2017").mkdir(parents=True)
        for number in range(1, count + 1):
            name = f"{number:04}.png"
            canvas = _background(random)
            for place in range(2):
                points = _figure(random, middle=WIDTH * (1 + 2 * place) / 4)
                _draw(canvas, points, random)
                annotations.append(_annotation(len(annotations) + 1, number, points))
            encoded = cv2.imencode(".png", canvas)[1]
            (folder / f"{split}2017" / name).write_bytes(encoded.tobytes())
            images.append({"id": number, "file_name": name, "height": HEIGHT, "width": WIDTH})
        content = {
            "images": images,
            "annotations": annotations,
            "categories": [{"id": _PERSON, "name": "person", "keypoints": KEYPOINTS}],
        }
        file = folder / "annotations" / f"person_keypoints_{split}2017.json"
        file.parent.mkdir(exist_ok=True)
        file.write_text(json.dumps(content))


def _background(random: np.random.Generator) -> NDArray[np.uint8]:
    coarse = random.integers(90, 200, (4, 6, 3), dtype=np.uint8)
    smooth = cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    noisy = smooth + random.normal(0, 8, smooth.shape)
    return np.asarray(noisy.clip(0, 255), np.uint8)


def _figure(random: np.random.Generator, middle: float) -> NDArray[np.float64]:
    """Key points ``(17, 2)`` of a figure that faces the viewer, in pixels of the image."""
    places = {"nose": (0.0, -1.25)}
    for side, sign in (("left", 1), ("right", -1)):
        places |= {f"{side}_{part}": (sign * x, y) for part, (x, y) in _TRUNK.items()}
        for start, joints, length, spread in _JOINTED:
            x, y = places[f"{side}_{start}"]
            angle = np.deg2rad(random.uniform(*spread))
            for joint in joints:
                x, y = x + sign * length * np.sin(angle), y + length * np.cos(angle)
                places[f"{side}_{joint}"] = (x, y)
                angle += np.deg2rad(random.uniform(-60, 60))
    points = np.array([places[name] for name in KEYPOINTS])
    tilt = np.deg2rad(random.uniform(-15, 15))
    turn = np.array([[np.cos(tilt), -np.sin(tilt)], [np.sin(tilt), np.cos(tilt)]])
    center = np.array([middle, HEIGHT * 0.55]) + random.uniform(-6, 6, 2)
    placed: NDArray[np.float64] = points @ turn.T * random.uniform(35, 50) + center
    return placed


def _draw(
    canvas: NDArray[np.uint8], points: NDArray[np.float64], random: np.random.Generator
) -> None:
    color = random.integers(0, 80, 3).tolist()
    cells = [tuple(point) for point in np.rint(points).astype(int).tolist()]
    for start, end in LIMBS:
        if min(start, end) >= _BODY:
            cv2.line(canvas, cells[start], cells[end], color, 4, cv2.LINE_AA)
    radius = round(float(np.linalg.norm(points[3] - points[4])) / 2)
    cv2.circle(canvas, cells[0], radius, color, -1, cv2.LINE_AA)
    for cell in cells[:_BODY]:
        cv2.circle(canvas, cell, 2, (255, 255, 255), -1, cv2.LINE_AA)


def _annotation(number: int, image: int, points: NDArray[np.float64]) -> dict[str, Any]:
    low, high = points.min(0) - 8, points.max(0) + 8
    width, height = (high - low).tolist()
    return {
        "id": number,
        "image_id": image,
        "category_id": _PERSON,
        "bbox": [*low.tolist(), width, height],
        # COCO's people fill about half of their boxes.
        "area": width * height / 2,
        "iscrowd": 0,
        "keypoints": np.column_stack([points, np.full(len(points), 2)]).ravel().tolist(),
        "num_keypoints": len(points),
    }
