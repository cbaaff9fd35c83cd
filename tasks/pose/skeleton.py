"""COCO's person: its key points, their mirror images, and what joins them."""

from __future__ import annotations

KEYPOINTS = (
    "nose",
    "left_eye",
    "right_eye",
    "left_ear",
    "right_ear",
    "left_shoulder",
    "right_shoulder",
    "left_elbow",
    "right_elbow",
    "left_wrist",
    "right_wrist",
    "left_hip",
    "right_hip",
    "left_knee",
    "right_knee",
    "left_ankle",
    "right_ankle",
)
"""COCO's names, in its order."""


def _other_side(name: str) -> str:
    side, _, part = name.partition("_")
    return {"left": f"right_{part}", "right": f"left_{part}"}.get(side, name)


def _numbers(pairs: str) -> tuple[tuple[int, int], ...]:
    named = (pair.split("-") for pair in pairs.split())
    return tuple((KEYPOINTS.index(start), KEYPOINTS.index(end)) for start, end in named)


MIRRORED = tuple(KEYPOINTS.index(_other_side(name)) for name in KEYPOINTS)
"""For each key point the one that takes its place in a mirrored picture."""

UPPER_BODY = range(KEYPOINTS.index("left_hip"))
"""The head and the arms; the others are the lower body."""

LIMBS = _numbers(
    "left_ankle-left_knee left_knee-left_hip right_ankle-right_knee right_knee-right_hip "
    "left_hip-right_hip left_shoulder-left_hip right_shoulder-right_hip "
    "left_shoulder-right_shoulder left_shoulder-left_elbow left_elbow-left_wrist "
    "right_shoulder-right_elbow right_elbow-right_wrist nose-left_eye nose-right_eye "
    "left_eye-left_ear right_eye-right_ear"
)
"""Pairs of key points to draw a line between."""

SIGMAS = (
    *(0.026, 0.025, 0.025, 0.035, 0.035),
    *(0.079, 0.079, 0.072, 0.072, 0.062, 0.062),
    *(0.107, 0.107, 0.087, 0.087, 0.089, 0.089),
)
"""How far annotators disagree on each key point, relative to the person's size (COCO)."""

STRIDE = 4
"""Pixels of the network's input per cell of a heat map."""
