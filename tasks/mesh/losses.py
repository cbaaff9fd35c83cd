"""The training losses of hands and faces (ExPose, Section 3.3, as MMHuman3D has it)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from mogabench.engine.processes import share_of
from mogabench.tasks.mesh.code import from_axis_angle

if TYPE_CHECKING:
    from torch import Tensor

    from mogabench.tasks.mesh.code import Parameters
    from mogabench.tasks.mesh.recipe import MeshLoss

_PLANES = ((1, 2), (2, 0), (0, 1))
"""Of a rotation around x, y and z."""


def losses(
    found: Parameters, keypoints: Tensor, target: dict[str, Tensor], weigh: MeshLoss
) -> dict[str, Tensor]:
    """The losses by name, each a number; only those that weigh anything.

    Args:
        found: What the network regressed.
        keypoints: ``(N, K, 3)``, the key points of the body with these parameters.
        target: The items of `mogabench.tasks.mesh.pictures.TrainingPictures`.
        weigh: What each weighs.
    """
    rotations = from_axis_angle(target["rotations"])
    rotations = torch.cat([target["turn"][:, None] @ rotations[:, :1], rotations[:, 1:]], 1)
    turns = angles(found.rotations, rotations)
    expression_errors = (found.expression - target["expression"]).square().sum(1)
    values = {
        "keypoints": (found.project(keypoints) - target["keypoints"]).abs().sum((1, 2)).mean(),
        "rotations": turns[:, 0].mean() + turns[:, 1:].mean(),
        "shape": (found.shape - target["shape"]).square().sum(1).mean(),
        "expression": _mean_of_known(expression_errors, target["has_expression"]),
        "shape_prior": beyond(found.shape, weigh.margin),
    }
    weights = {name: getattr(weigh, name) for name in values}
    return {f"loss_{name}": weights[name] * values[name] for name in values if weights[name]}


def _mean_of_known(errors: Tensor, known: Tensor) -> Tensor:
    """The mean of the errors ``(N,)`` whose target is known ``(N,)``; 0 if none is.

    Of all processes: see `share_of`.
    """
    return (errors * known).sum() / share_of(known.sum())


def angles(rotations: Tensor, others: Tensor) -> Tensor:
    """The angle in radians ``(...)`` between rotation matrices ``(..., 3, 3)``: the geodesic.

    From its sine and cosine together: the cosine alone says little near 0 and half a turn, where
    it is flat. At these two angles the gradient is 0.
    """
    between = rotations.mT @ others
    cosines = (between.diagonal(dim1=-2, dim2=-1).sum(-1) - 1) / 2
    axes = torch.stack([between[..., j, i] - between[..., i, j] for i, j in _PLANES], dim=-1) / 2
    return torch.atan2(torch.linalg.vector_norm(axes, dim=-1), cosines)


def beyond(coefficients: Tensor, margin: float) -> Tensor:
    """The mean square of the coefficients whose size is over the margin; 0 if none's is.

    Of all processes: see `share_of`.
    """
    outside = coefficients.abs() > margin
    return (coefficients * outside).square().sum() / share_of(outside.sum())
