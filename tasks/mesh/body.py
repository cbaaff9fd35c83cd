"""Body models: a mesh that bends at its joints, by linear blend skinning."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from mogabench.errors import UserError
from mogabench.tasks.mesh.arrays import check_numbers
from mogabench.tasks.mesh.files import (
    FLAME,
    MANO,
    MOVING_LANDMARKS,
    STATIC_LANDMARKS,
    read_arrays,
)

if TYPE_CHECKING:
    from pathlib import Path

    from mogabench.tasks.mesh.code import Parameters
    from mogabench.tasks.mesh.files import Arrays, Shape

_MANO_VERTICES = 778
MANO_TIPS = (744, 320, 443, 555, 672)
"""MANO's vertices at the tips of thumb, index, middle, ring and little finger (FreiHAND)."""

_HAND_ORDER = (0, 13, 14, 15, 16, 1, 2, 3, 17, 4, 5, 6, 18, 10, 11, 12, 19, 7, 8, 9, 20)
"""FreiHAND's 21 key points, from the thumb on, among MANO's 16 joints and the five tips."""

_JAW = 2
_SHAPES, _EXPRESSIONS = 100, 50
_FIRST_EXPRESSION = 300
"""FLAME's first 300 directions are the shape's, 100 of the expression follow."""

_NOW_LANDMARKS = (19, 22, 25, 28, 16, 31, 37)
"""Among FLAME's 51: the corners of the eyes, the nose's bottom, the mouth's corners."""

_WIDEST_TURN = 39
"""Degrees to a side up to which FLAME has outlines, one for each degree."""


@dataclass(frozen=True)
class Body:
    """Posed meshes.

    Attributes:
        vertices: ``(N, V, 3)`` in metres.
        keypoints: ``(N, K, 3)``, as the training data has them.
        landmarks: ``(N, 7, 3)``, a face's, in the order of `tasks.mesh.surface.LANDMARKS`;
            of a hand none, ``(N, 0, 3)``.
    """

    vertices: Tensor
    keypoints: Tensor
    landmarks: Tensor


class SkinnedMesh(nn.Module):
    """A mesh with joints (SMPL, Loper et al., 2015, Equations 2 to 10).

    Its arrays are those of the published files: the mesh at rest ``v_template`` ``(V, 3)``, what
    each coefficient of the shape adds ``shapedirs`` ``(V, 3, S)``, what each entry of the joints'
    rotation matrices adds ``posedirs`` ``(V, 3, 9 (J - 1))``, ``J_regressor`` ``(J, V)``, how much
    each vertex follows each joint ``weights`` ``(V, J)``, the joints' parents ``kintree_table``
    ``(2, J)`` and the triangles ``f`` ``(F, 3)``. Nothing of it is saved with a network.

    Args:
        arrays: By those names.
    """

    template: Tensor
    shape_directions: Tensor
    pose_directions: Tensor
    joint_regressor: Tensor
    weights: Tensor

    def __init__(self, arrays: Arrays) -> None:
        super().__init__()
        for name, array in (
            ("template", arrays["v_template"]),
            ("shape_directions", arrays["shapedirs"]),
            ("pose_directions", arrays["posedirs"]),
            ("joint_regressor", arrays["J_regressor"]),
            ("weights", arrays["weights"]),
        ):
            self.register_buffer(name, torch.tensor(array, dtype=torch.float32), persistent=False)
        self.faces = arrays["f"].astype(np.int64)
        # The root's parent is written as the largest unsigned number.
        self.parents = [0, *arrays["kintree_table"][0, 1:].astype(int).tolist()]

    def pose(self, rotations: Tensor, shape: Tensor) -> tuple[Tensor, Tensor]:
        """Shapes and bends the mesh.

        Args:
            rotations: ``(N, J, 3, 3)``, the root's first, then each joint's in its parent's frame.
            shape: ``(N, S)``.

        Returns:
            The vertices ``(N, V, 3)`` and the joints ``(N, J, 3)``.
        """
        rest = self.template + torch.einsum("vcs,ns->nvc", self.shape_directions, shape)
        joints = torch.einsum("jv,nvc->njc", self.joint_regressor, rest)
        bends = (rotations[:, 1:] - torch.eye(3, device=rest.device)).flatten(1)
        rest = rest + torch.einsum("vcp,np->nvc", self.pose_directions, bends)
        turned, placed = [rotations[:, 0]], [joints[:, 0]]
        for joint, parent in enumerate(self.parents[1:], 1):
            bone = (joints[:, joint] - joints[:, parent])[..., None]
            placed.append(placed[parent] + (turned[parent] @ bone).squeeze(-1))
            turned.append(turned[parent] @ rotations[:, joint])
        turns, places = torch.stack(turned, 1), torch.stack(placed, 1)
        shifts = places - torch.einsum("njab,njb->nja", turns, joints)
        blended = torch.einsum("vj,njab->nvab", self.weights, turns)
        vertices = torch.einsum("nvab,nvb->nva", blended, rest) + self.weights @ shifts
        return vertices, places


class Hand(SkinnedMesh):
    """MANO's right hand (Romero et al., 2017), or one in its format.

    Attributes:
        mean_pose: ``(15, 3)``, axis and angle of each joint, what FreiHAND's poses are added to.

    Args:
        arrays: As for `SkinnedMesh`; ``hands_mean`` ``(45,)``; where it is not MANO's mesh also the
            fingers' tips ``tips`` ``(5,)``, numbers of vertices from the thumb on.
    """

    def __init__(self, arrays: Arrays) -> None:
        super().__init__(arrays)
        self.mean_pose = torch.tensor(arrays["hands_mean"], dtype=torch.float32).reshape(15, 3)
        self.tips = arrays.get("tips", np.array(MANO_TIPS)).astype(np.int64).tolist()

    @classmethod
    def read(cls, data: Path) -> Hand:
        """Reads it from the data's folder or the cache folder.

        Raises:
            UserError: There is none, or it is not what it should be.
        """
        file = MANO.find(data)
        shapes = _shapes(joints=16, shapes=10) | {"hands_mean": (45,), "tips": (5,)}
        arrays = read_arrays(file, shapes, optional=["tips"])
        _check_structure(file, arrays)
        count = len(arrays["v_template"])
        if "tips" in arrays:
            check_numbers(file, "tips", arrays["tips"], "vertex", count)
        elif count != _MANO_VERTICES:
            raise UserError(
                f"{file} has {count} vertices, so it is not MANO's mesh, of {_MANO_VERTICES}, and "
                "needs an array tips: the five fingertips' vertices, from the thumb on"
            )
        return cls(arrays)

    def forward(self, parameters: Parameters) -> Body:
        """The hand's mesh and FreiHAND's 21 key points, with the wrist at the origin."""
        vertices, joints = self.pose(parameters.rotations, parameters.shape)
        keypoints = torch.cat([joints, vertices[:, self.tips]], 1)[:, list(_HAND_ORDER)]
        wrist = keypoints[:, :1]
        return Body(vertices - wrist, keypoints - wrist, keypoints[:, :0])


class Head(SkinnedMesh):
    """FLAME (Li et al., 2017), with its first 100 shapes and 50 expressions.

    Args:
        arrays: As for `SkinnedMesh`.
        static: 51 landmarks on the mesh: their triangles ``lmk_face_idx`` and the corners' shares
            ``lmk_b_coords`` ``(51, 3)``.
        moving: The same of the 17 landmarks on the outline, for each of 79 degrees of turn.
    """

    def __init__(self, arrays: Arrays, static: Arrays, moving: Arrays) -> None:
        directions = arrays["shapedirs"]
        expressions = directions[..., _FIRST_EXPRESSION:][..., :_EXPRESSIONS]
        kept = np.concatenate([directions[..., :_SHAPES], expressions], axis=-1)
        super().__init__(arrays | {"shapedirs": kept})
        for name, landmarks in (("static", static), ("moving", moving)):
            corners = self.faces[landmarks["lmk_face_idx"].astype(np.int64)]
            shares = torch.tensor(landmarks["lmk_b_coords"], dtype=torch.float32)
            self.register_buffer(f"{name}_corners", torch.tensor(corners), persistent=False)
            self.register_buffer(f"{name}_shares", shares, persistent=False)

    @classmethod
    def read(cls, data: Path) -> Head:
        """Reads model and landmarks from the data's folder or the cache folder.

        Raises:
            UserError: A file is missing, or not what it should be.
        """
        file = FLAME.find(data)
        arrays = read_arrays(file, _shapes(joints=5, shapes="shapes"))
        _check_structure(file, arrays)
        count, least = arrays["shapedirs"].shape[2], _FIRST_EXPRESSION + _EXPRESSIONS
        if count < least:
            raise UserError(f"{file}: shapedirs has {count} shapes, and FLAME at least {least}")
        turns = 2 * _WIDEST_TURN + 1
        fixed: dict[str, Shape] = {"lmk_face_idx": (51,), "lmk_b_coords": (51, 3)}
        turning: dict[str, Shape] = {"lmk_face_idx": (turns, 17), "lmk_b_coords": (turns, 17, 3)}
        static, moving = (
            _landmarks(published.find(data), shapes, len(arrays["f"]))
            for published, shapes in ((STATIC_LANDMARKS, fixed), (MOVING_LANDMARKS, turning))
        )
        return cls(arrays, static, moving)

    def forward(self, parameters: Parameters) -> Body:
        """The head's mesh and 73 key points: 5 joints, 51 landmarks, 17 of the outline."""
        turns = parameters.rotations
        rotations = torch.eye(3, device=turns.device).expand(len(turns), 5, 3, 3).clone()
        rotations[:, 0], rotations[:, _JAW] = turns[:, 0], turns[:, 1]
        shape = torch.cat([parameters.shape, parameters.expression], 1)
        vertices, joints = self.pose(rotations, shape)
        corners: Any = self.static_corners
        static = torch.einsum("nlcx,lc->nlx", vertices[:, corners], self.static_shares)
        keypoints = torch.cat([joints, static, self._outline(vertices, turns[:, 0])], 1)
        return Body(vertices, keypoints, static[:, list(_NOW_LANDMARKS)])

    def _outline(self, vertices: Tensor, turns: Tensor) -> Tensor:
        """The outline's landmarks ``(N, 17, 3)``, where they are on heads turned like that."""
        forward = torch.hypot(turns[:, 0, 0], turns[:, 1, 0])
        degrees = torch.rad2deg(torch.atan2(turns[:, 2, 0], forward)).round().long()
        # Rows 0 to 39 are for turns to one side, 40 to 78 for 1 to 39 degrees to the other.
        wide = degrees.abs().clamp(max=_WIDEST_TURN)
        rows = torch.where(degrees < 0, wide + _WIDEST_TURN, wide)
        every: Any = self.moving_corners
        shares: Any = self.moving_shares
        people = torch.arange(len(vertices), device=vertices.device)[:, None, None]
        return torch.einsum("nlcx,nlc->nlx", vertices[people, every[rows]], shares[rows])


def _shapes(joints: int, shapes: int | str) -> dict[str, Shape]:
    return {
        "v_template": ("vertices", 3),
        "shapedirs": ("vertices", 3, shapes),
        "posedirs": ("vertices", 3, 9 * (joints - 1)),
        "J_regressor": (joints, "vertices"),
        "weights": ("vertices", joints),
        "kintree_table": (2, joints),
        "f": ("triangles", 3),
    }


def _check_structure(file: Path, arrays: Arrays) -> None:
    """Makes sure that triangles have vertices for corners, and joints have parents.

    Raises:
        UserError: One has not.
    """
    check_numbers(file, "f", arrays["f"], "vertex", len(arrays["v_template"]))
    for joint, parent in enumerate(arrays["kintree_table"][0, 1:], 1):
        if not 0 <= parent < joint:
            raise UserError(
                f"{file}: kintree_table has {parent:.0f} for the parent of joint {joint}; it "
                f"should be a joint before that, 0 to {joint - 1}"
            )


def _landmarks(file: Path, shapes: dict[str, Shape], triangles: int) -> Arrays:
    """Landmarks on a mesh of so many triangles."""
    arrays = read_arrays(file, shapes)
    check_numbers(file, "lmk_face_idx", arrays["lmk_face_idx"], "triangle", triangles)
    return arrays
