"""The sample of 3D hands: a rendered hand in FreiHAND's files, with its body model in MANO's.

The geometry, ``hand.npz``, is MakeHuman's and in the public domain (CC0 1.0);
``tests/tasks/mesh/make_hand.py`` made it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import torch

from mogabench.data.cache import written_once
from mogabench.tasks.mesh.body import Hand
from mogabench.tasks.mesh.code import Parameters, from_axis_angle
from mogabench.tasks.mesh.drawing import draw_mesh
from mogabench.tasks.mesh.files import FOLDER, MANO

if TYPE_CHECKING:
    from mogabench.tasks.mesh.alignment import Array
    from mogabench.tasks.mesh.files import Arrays

HANDS = {"training": 1600, "evaluation": 160}
SIZE = 64
"""Width and height of the images in pixels."""

_GEOMETRY = Path(__file__).with_name("hand.npz")
_FOCUS, _DISTANCE = 240.0, 0.8
"""The camera's focal length in pixels, and how far away the hands are, in metres."""

_JOINTS, _SHAPES = 16, 10
_INDEX, _MIDDLE, _RING = 0, 1, 3
"""Among MANO's fingers, of which the thumb is the last."""

_PALM = np.array([0.0, 0.0, -1.0])
"""Where the palm of the hand at rest looks to: the viewer."""

_MEAN_BEND, _MOST_BEND, _SPREAD = 0.6, 0.7, 0.1
"""Radians: how far each joint is bent on average, how far from that, and sideways."""

_MOST_TURN = (0.3, 0.3, 0.3)
"""Radians around x, y and z by which a hand is turned."""


def sample_hands() -> Path:
    """Renders the images on the first call: 1600 hands to train on, 160 to evaluate.

    Every image shows another right hand, of random shape, pose, direction, colour and light, before
    a smooth background.

    Returns:
        A folder in FreiHAND's structure, with ``body_models/hand_model.npz`` in MANO's.

    Raises:
        UserError: The cache folder cannot be written.
    """
    return written_once("sample-hands", "2", _write)


def hand_arrays() -> Arrays:
    """The hand's body model, by the names in MANO's file."""
    with np.load(_GEOMETRY) as content:
        stored = {name: array.astype(np.float64) for name, array in content.items()}
    template, shapes = stored["template"], stored["shapes"]
    missing = np.zeros((*template.shape, _SHAPES - shapes.shape[2]))
    joints = stored["regressor"] / stored["regressor"].sum(1, keepdims=True)
    weights = stored["weights"] / stored["weights"].sum(1, keepdims=True)
    fingers = np.arange(1, _JOINTS)
    parents = np.where(fingers % 3 == 1, 0, fingers - 1)
    return {
        "v_template": template.astype(np.float32),
        "shapedirs": np.concatenate([shapes, missing], axis=2).astype(np.float32),
        "posedirs": np.zeros((*template.shape, 9 * (_JOINTS - 1)), np.float32),
        "J_regressor": joints.astype(np.float32),
        "weights": weights.astype(np.float32),
        "kintree_table": np.stack([[0, *parents], np.arange(_JOINTS)]),
        "f": stored["triangles"].astype(np.int64),
        "tips": stored["tips"].astype(np.int64),
        "hands_mean": (_bending_axes(joints @ template) * _MEAN_BEND).ravel().astype(np.float32),
    }


def _bending_axes(joints: Array) -> Array:
    """Around which axes ``(15, 3)`` the fingers' joints ``(16, 3)`` bend towards the palm."""
    fingers = joints[1:].reshape(5, 3, 3)
    along = fingers[:, 2] - fingers[:, 0]
    axes = np.cross(along, _PALM)
    axes /= np.linalg.norm(axes, axis=1, keepdims=True)
    return np.repeat(axes, 3, axis=0)


def _write(folder: Path) -> None:
    (folder / FOLDER).mkdir(parents=True)
    arrays: dict[str, Any] = hand_arrays()
    np.savez_compressed(folder / FOLDER / MANO.names[-1], **arrays)
    hand = Hand(arrays)
    camera = np.array([[_FOCUS, 0, SIZE / 2], [0, _FOCUS, SIZE / 2], [0, 0, 1]])
    for seed, (split, count) in enumerate(HANDS.items()):
        random = np.random.default_rng(seed)
        mano = _parameters(random, count, arrays)
        vertices, keypoints = _pose(hand, mano)
        shift = np.array([0, 0, _DISTANCE]) - keypoints.mean(1, keepdims=True)
        shift[..., :2] += random.uniform(-0.01, 0.01, (count, 1, 2))
        _write_json(folder / f"{split}_K.json", np.broadcast_to(camera, (count, 3, 3)))
        _write_json(folder / f"{split}_mano.json", mano[:, None])
        _write_json(folder / f"{split}_xyz.json", keypoints + shift)
        if split == "evaluation":
            _write_json(folder / f"{split}_verts.json", vertices + shift)
        (folder / split / "rgb").mkdir(parents=True)
        for number, points in enumerate(vertices + shift):
            image = _image(random, points, camera, arrays["f"])
            encoded = cv2.imencode(".jpg", image[..., ::-1])[1]
            (folder / split / "rgb" / f"{number:08}.jpg").write_bytes(encoded.tobytes())


def _parameters(random: np.random.Generator, count: int, arrays: Arrays) -> Array:
    """FreiHAND's 61 numbers of each hand: pose, shape, and a place and a scale that we leave 0."""
    axes = arrays["hands_mean"].reshape(15, 3) / _MEAN_BEND
    # A finger's joints bend together, more or less, and a middle finger never stands alone.
    bends = random.uniform(-_MOST_BEND, _MOST_BEND, (count, 5, 1)) * 0.8
    bends[:, _MIDDLE] = (bends[:, _INDEX] + bends[:, _RING]) / 2
    bends = bends + random.uniform(-_MOST_BEND, _MOST_BEND, (count, 5, 3)) * 0.2
    pose = bends.reshape(count, 15, 1) * axes
    sideways = random.uniform(-_SPREAD, _SPREAD, (count, 5, 1)) * _PALM
    pose[:, ::3] += sideways
    turn = random.uniform(-1, 1, (count, 3)) * _MOST_TURN
    shape = random.normal(0, 1, (count, _SHAPES)).clip(-2, 2)
    place = np.zeros((count, 3))
    return np.concatenate([turn, pose.reshape(count, 45), shape, place], axis=1)


def _pose(hand: Hand, mano: Array) -> tuple[Array, Array]:
    """The vertices and key points of hands with those parameters, in metres from the wrist."""
    poses = torch.from_numpy(mano[:, :48]).float().reshape(-1, _JOINTS, 3)
    poses[:, 1:] += hand.mean_pose
    nothing = torch.zeros(len(mano), 0)
    shape = torch.from_numpy(mano[:, 48:58]).float()
    body = hand(Parameters(from_axis_angle(poses), shape, nothing, nothing, nothing))
    return body.vertices.double().numpy(), body.keypoints.double().numpy()


def _image(random: np.random.Generator, points: Array, camera: Array, faces: Any) -> Any:
    """The image ``(SIZE, SIZE, 3)`` of a hand, in RGB."""
    coarse = random.integers(20, 60, (3, 3, 3), dtype=np.uint8)
    canvas = np.asarray(cv2.resize(coarse, (SIZE, SIZE), interpolation=cv2.INTER_CUBIC), np.uint8)
    seen = points @ camera.T
    seen[:, :2] /= seen[:, 2:]
    seen[:, 2] *= _FOCUS / _DISTANCE
    light = np.array([*random.uniform(-0.6, 0.6, 2), -1.0])
    skin = np.array([230, 180, 150]) * random.uniform(0.8, 1.1, 3)
    draw_mesh(canvas, seen, faces, skin.clip(0, 255).tolist(), light / np.linalg.norm(light))
    return canvas


def _write_json(file: Path, numbers: Array) -> None:
    file.write_text(json.dumps(np.round(numbers, 6).tolist()))
