"""Small body models and data sets in the formats of the published ones."""

import json
import pickle
import sys
import types

import cv2
import numpy as np
import pytest
import scipy.sparse

from mogabench.tasks.mesh.sample import hand_arrays


class Arrays:
    """A module's class whose objects pickle as chumpy's do: a name and a state."""

    def __init__(self, **state):
        self.__dict__.update(state)


def fake(monkeypatch, name, kind):
    """A class of that name in a module of that name, as long as the patches last."""
    made = type(kind, (Arrays,), {"__module__": name})
    package = types.ModuleType(name)
    setattr(package, kind, made)
    monkeypatch.setitem(sys.modules, name, package)
    return made


@pytest.fixture
def write_pickle(monkeypatch):
    """Writes arrays as the published body models have them, by protocol 2; without chumpy."""

    def write(file, arrays):
        parents = np.array(arrays["kintree_table"], dtype=np.int64)
        parents[0, 0] = 2**32 - 1
        with monkeypatch.context() as patches:
            patches.setitem(sys.modules, "chumpy", types.ModuleType("chumpy"))
            plain = fake(patches, "chumpy.ch", "Ch")
            select = fake(patches, "chumpy.reordering", "Select")
            shapes = arrays["shapedirs"]
            published = arrays | {
                "v_template": plain(x=arrays["v_template"], _dirty_vars=set(), _itr=None),
                # Every second entry of a longer array.
                "shapedirs": select(
                    a=plain(x=np.repeat(shapes, 2, axis=0)),
                    idxs=np.arange(2 * shapes.size).reshape(2 * len(shapes), -1)[::2].ravel(),
                    preferred_shape=shapes.shape,
                ),
                "J_regressor": scipy.sparse.csc_matrix(arrays["J_regressor"]),
                "kintree_table": parents.astype(np.uint32),
                "bs_type": "lrotmin",
            }
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(pickle.dumps(published, protocol=2))

    return write


@pytest.fixture
def hand():
    """The sample's hand, by the names in MANO's file, with pose directions that do something."""
    arrays = hand_arrays()
    random = np.random.default_rng(1)
    shape = arrays["posedirs"].shape
    return arrays | {"posedirs": random.normal(0, 1e-4, shape).astype(np.float32)}


VERTICES = 300


@pytest.fixture
def head():
    """An egg with FLAME's structure."""
    random = np.random.default_rng(0)
    points = random.normal(size=(VERTICES, 3))
    points *= 0.1 / np.linalg.norm(points, axis=1, keepdims=True)
    weights = random.uniform(size=(VERTICES, 5)) ** 8
    regressor = random.uniform(size=(5, VERTICES))
    return {
        "v_template": points,
        "shapedirs": random.normal(0, 1e-3, (VERTICES, 3, 400)),
        "posedirs": random.normal(0, 1e-3, (VERTICES, 3, 36)),
        "J_regressor": regressor / regressor.sum(1, keepdims=True),
        "weights": weights / weights.sum(1, keepdims=True),
        "kintree_table": np.array([[0, 0, 1, 1, 1], range(5)]),
        "f": scipy.spatial.ConvexHull(points).simplices.astype(np.uint32),
    }


@pytest.fixture
def landmarks(head):
    """FLAME's landmarks: the fixed ones and those of the outline, by degrees of turn."""
    random = np.random.default_rng(2)
    made = []
    for shape in ((51,), (79, 17)):
        shares = random.uniform(size=(*shape, 3))
        made.append(
            {
                "lmk_face_idx": random.integers(len(head["f"]), size=shape),
                "lmk_b_coords": shares / shares.sum(-1, keepdims=True),
            }
        )
    return made


def picture(file):
    pixels = np.random.default_rng(len(file.name)).integers(0, 255, (48, 48, 3), dtype=np.uint8)
    file.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(file), pixels)


@pytest.fixture
def freihand(tmp_path, hand, write_pickle):
    """FreiHAND with 3 hands to train on, on 2 backgrounds each, and 2 to evaluate; and its MANO."""
    random = np.random.default_rng(3)
    root = tmp_path / "freihand"
    count = len(hand["v_template"])
    for split, number, backgrounds in (("training", 3, 2), ("evaluation", 2, 1)):
        contents = {
            "K": np.tile([[100.0, 0, 24], [0, 100, 24], [0, 0, 1]], (number, 1, 1)),
            "xyz": random.uniform((-0.1, -0.1, 0.6), (0.1, 0.1, 0.8), (number, 21, 3)),
            "verts": random.uniform((-0.1, -0.1, 0.6), (0.1, 0.1, 0.8), (number, count, 3)),
            "mano": random.normal(0, 0.3, (number, 1, 61)),
            "scale": np.full(number, 0.03),
        }
        for index in range(number * backgrounds):
            picture(root / split / "rgb" / f"{index:08}.jpg")
        for name, content in contents.items():
            (root / f"{split}_{name}.json").write_text(json.dumps(content.tolist()))
    write_pickle(root / "body_models" / "MANO_RIGHT.pkl", hand)
    return root


@pytest.fixture
def faces(tmp_path, head, landmarks, write_pickle):
    """FFHQ with 4 faces, Stirling/ESRC with 2 persons in 3 images and one never scanned; FLAME."""
    random = np.random.default_rng(4)
    root = tmp_path / "faces"
    ffhq = root / "ffhq"
    names = [f"{number:05}.png" for number in range(4)]
    for name in names:
        picture(ffhq / "ffhq_global_images_1024" / name)
    np.savez(
        ffhq / "ffhq_annotations.npz",
        img_fnames=np.array(names),
        global_pose=random.normal((np.pi, 0, 0), 0.1, (4, 3)),
        jaw_pose=random.normal(0, 0.1, (4, 3)),
        betas=random.normal(size=(4, 100)),
        expression=random.normal(size=(4, 50)),
        keypoints2d=random.uniform(0, 48, (4, 73, 2)),
    )
    stirling = root / "stirling"
    for name in ("F1001_a.jpg", "F1001_b.jpg", "M1002_a.jpg", "M1003_a.jpg"):
        picture(stirling / "Subset_2D_FG2018" / "HQ" / name)
    for part, person in (("F_3D_N", "f1001"), ("M_3D_N", "M1002")):
        points = random.normal(size=(500, 3))
        points *= 100 / np.linalg.norm(points, axis=1, keepdims=True)
        marks = points[:7]
        scan = stirling / part / f"{person}_N.obj"
        scan.parent.mkdir(parents=True, exist_ok=True)
        vertices = "".join("v {:.4f} {:.4f} {:.4f}\n".format(*point) for point in points)
        scan.write_text(f"mtllib face.mtl\n{vertices}vt 0.1 0.2\nf 1/1 2/1 3/1\n")
        file = stirling / "annotations" / part / f"{person}_N.lnd"
        file.parent.mkdir(parents=True, exist_ok=True)
        lines = ["{} {:.4f} {:.4f} {:.4f}".format(n, *mark) for n, mark in enumerate(marks)]
        file.write_text("\n".join(lines) + "\n\n")
    models = root / "body_models"
    write_pickle(models / "generic_model.pkl", head)
    static, moving = landmarks
    (models / "flame_static_embedding.pkl").write_bytes(pickle.dumps(static, protocol=2))
    np.save(models / "flame_dynamic_embedding.npy", np.array(moving, dtype=object))
    return root
