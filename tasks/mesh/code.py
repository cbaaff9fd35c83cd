"""The vector that a network regresses: rotations, shape, expression, camera."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

if TYPE_CHECKING:
    from torch import Tensor

_UPRIGHT = (1.0, 0.0, 0.0, 1.0, 0.0, 0.0)
"""No rotation: the first two columns of the identity, row by row."""

_UPSIDE_DOWN = (1.0, 0.0, 0.0, -1.0, 0.0, 0.0)
"""Half a turn around x: FLAME's y goes up, an image's down."""


@dataclass(frozen=True)
class Parameters:
    """What a body model and a camera need, of each picture.

    Attributes:
        rotations: ``(N, J, 3, 3)``, the whole body's, then each joint's in its parent's frame.
        shape: ``(N, S)``.
        expression: ``(N, E)``.
        scale: ``(N, 1)``: half widths of the picture per metre.
        shift: ``(N, 2)`` in metres, before scaling.
    """

    rotations: Tensor
    shape: Tensor
    expression: Tensor
    scale: Tensor
    shift: Tensor

    def project(self, points: Tensor) -> Tensor:
        """Weak perspective: points ``(N, K, 3)`` to ``(N, K, 2)``, from -1 to 1 in the picture."""
        return self.scale[:, None] * (points[..., :2] + self.shift[:, None])


@dataclass(frozen=True)
class Code:
    """How the vector is made up (ExPose, Section 3; MMHuman3D's configurations).

    Attributes:
        rotations: How many, of six numbers each.
        shape: Coefficients of the body's shape.
        expression: Coefficients of the facial expression.
        scale: The camera's at first, in half widths of the picture per metre.
        upright: Whether the body's y goes down as the picture's does, before any rotation.
    """

    rotations: int
    shape: int
    expression: int
    scale: float
    upright: bool

    @property
    def width(self) -> int:
        """Numbers in the vector, the camera's three included."""
        return 6 * self.rotations + self.shape + self.expression + 3

    def start(self) -> Tensor:
        """The vector ``(width,)`` that the regression starts from: nothing bent, a mean shape."""
        first = _UPRIGHT if self.upright else _UPSIDE_DOWN
        coefficients = [0.0] * (self.shape + self.expression)
        camera = [math.log(math.expm1(self.scale)), 0.0, 0.0]
        return torch.tensor([*first, *_UPRIGHT * (self.rotations - 1), *coefficients, *camera])

    def read(self, vectors: Tensor) -> Parameters:
        """Takes vectors ``(N, width)`` apart; the camera's scale is their number's softplus."""
        rotations, shape, expression, scale, shift = vectors.split(
            [6 * self.rotations, self.shape, self.expression, 1, 2], dim=1
        )
        return Parameters(
            rotations=to_matrices(rotations.unflatten(1, (self.rotations, 6))),
            shape=shape,
            expression=expression,
            scale=functional.softplus(scale),
            shift=shift,
        )


CODES = {
    "expose_hand": Code(rotations=16, shape=10, expression=0, scale=0.9, upright=True),
    "expose_face": Code(rotations=2, shape=100, expression=50, scale=8.0, upright=False),
}
"""By method: a hand's 109 numbers, a face's (whose joints are the whole head and the jaw) 165."""


def to_matrices(sixes: Tensor) -> Tensor:
    """Rotation matrices of the six-dimensional code (Zhou et al., CVPR 2019, Equation 15).

    Args:
        sixes: ``(..., 6)``, the first two columns row by row, of any length and angle.

    Returns:
        ``(..., 3, 3)``.
    """
    first, second = sixes.unflatten(-1, (3, 2)).unbind(-1)
    x = functional.normalize(first, dim=-1)
    y = functional.normalize(second - (x * second).sum(-1, keepdim=True) * x, dim=-1)
    return torch.stack([x, y, torch.linalg.cross(x, y)], dim=-1)


def to_sixes(matrices: Tensor) -> Tensor:
    """The code ``(..., 6)`` of rotation matrices ``(..., 3, 3)``."""
    return matrices[..., :2].flatten(-2)


def from_axis_angle(vectors: Tensor) -> Tensor:
    """Rotation matrices ``(..., 3, 3)`` around vectors ``(..., 3)``, by their length in radians."""
    x, y, z = vectors.unbind(-1)
    zero = torch.zeros_like(x)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], dim=-1).unflatten(-1, (3, 3))
    matrices: Tensor = torch.linalg.matrix_exp(cross)
    return matrices
