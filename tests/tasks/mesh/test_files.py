"""Published files: read without the packages they were made with, and without running anything."""

import os
import pickle
import re
import shutil

import numpy as np
import pytest

from mogabench.errors import UserError
from mogabench.tasks.mesh.body import Hand, Head
from mogabench.tasks.mesh.pickles import read_pickle


@pytest.fixture(autouse=True)
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MOGABENCH_CACHE", str(tmp_path / "cache"))


def test_mano_is_read_without_chumpy_and_scipy(freihand, hand):
    body = Hand.read(freihand)
    for name, array in (
        ("template", hand["v_template"]),
        ("shape_directions", hand["shapedirs"]),
        ("joint_regressor", hand["J_regressor"]),
    ):
        assert getattr(body, name).numpy() == pytest.approx(array)
    assert body.parents == [0, 0, 1, 2, 0, 4, 5, 0, 7, 8, 0, 10, 11, 0, 13, 14]


def test_the_cache_folder_is_a_place_too(faces, tmp_path):
    shutil.move(faces / "body_models", tmp_path / "cache" / "body_models")
    assert len(Head.read(faces).template) == 300


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (Hand, "MANO_RIGHT.pkl"),
        (Head, "generic_model.pkl"),
        (Head, "flame_static_embedding.pkl"),
        (Head, "flame_dynamic_embedding.npy"),
    ],
)
def test_a_missing_file_is_reported_with_its_source(request, tmp_path, kind, name):
    folder = request.getfixturevalue("freihand" if kind is Hand else "faces")
    site = f"https://{'mano' if kind is Hand else 'flame'}.is.tue.mpg.de"
    (folder / "body_models" / name).unlink()
    with pytest.raises(UserError) as caught:
        kind.read(folder)
    said = str(caught.value)
    assert said.startswith(f"{name} is missing: ")
    assert f"Register at {site}" in said
    assert str(folder / "body_models") in said
    assert str(tmp_path / "cache" / "body_models") in said
    assert "\n" not in said


class Attack:
    def __init__(self, call, *arguments):
        self.way = call, arguments

    def __reduce__(self):
        return self.way


@pytest.mark.parametrize(
    "attack",
    [
        Attack(os.system, "touch {}"),
        Attack(eval, "open('{}', 'w')"),
        Attack(getattr, os, "system"),
        Attack(np.load, "{}", None, True),
    ],
    ids=["system", "eval", "getattr", "load"],
)
def test_code_in_a_pickle_is_refused(tmp_path, attack):
    mark = tmp_path / "mark"
    call, arguments = attack.way
    attack.way = call, tuple(a.format(mark) if isinstance(a, str) else a for a in arguments)
    file = tmp_path / "MANO_RIGHT.pkl"
    for content in (attack, {"v_template": [attack]}, np.array([attack], dtype=object)):
        try:
            file.write_bytes(pickle.dumps(content, protocol=2))
        except TypeError:  # a module cannot be pickled: name it by hand
            file.write_bytes(b"cposix\nsystem\n(Vtouch\ntR.")
        with pytest.raises(UserError, match=r"^\S+ is refused: it would call [^\n]*$"):
            read_pickle(file)
        assert not mark.exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not a readable pickle"),
        (b"not a pickle", "is not a readable pickle"),
        (pickle.dumps([1, 2]), "is not a body model"),
        (pickle.dumps({"f": np.zeros((4, 3))}), "has no array v_template"),
        (pickle.dumps({"v_template": np.zeros((4, 2))}), "v_template is 4x2 and should be Nx3"),
    ],
)
def test_files_that_are_no_body_models(freihand, content, message):
    file = freihand / "body_models" / "MANO_RIGHT.pkl"
    file.write_bytes(content)
    with pytest.raises(UserError, match=f"^{re.escape(str(file))}[^\n]*{message}[^\n]*$"):
        Hand.read(freihand)


def test_a_cut_off_file(freihand):
    file = freihand / "body_models" / "MANO_RIGHT.pkl"
    file.write_bytes(file.read_bytes()[:5000])
    with pytest.raises(UserError, match=r"^\S+ is not a readable pickle: [^\n]+$"):
        Hand.read(freihand)


def test_another_mesh_needs_its_tips(freihand, hand, write_pickle):
    file = freihand / "body_models" / "MANO_RIGHT.pkl"
    write_pickle(file, {name: array for name, array in hand.items() if name != "tips"})
    with pytest.raises(UserError, match=r"has 1609 vertices, so it is not MANO's mesh, [^\n]+$"):
        Hand.read(freihand)


def cut(array, axis):
    return np.delete(array, -1, axis)


def with_entry(array, place, value):
    changed = np.array(array)
    changed[place] = value
    return changed


HAND_FAULTS = {
    "v_template": (lambda a: cut(a, 0), "shapedirs is 1609x3x10 and should be 1608x3x10"),
    "shapedirs": (lambda a: cut(a, 2), "shapedirs is 1609x3x9 and should be 1609x3x10"),
    "posedirs": (lambda a: cut(a, 0), "posedirs is 1608x3x135 and should be 1609x3x135"),
    "J_regressor": (lambda a: cut(a, 1), "J_regressor is 16x1608 and should be 16x1609"),
    "weights": (lambda a: cut(a, 1), "weights is 1609x15 and should be 1609x16"),
    "kintree_table": (
        lambda a: with_entry(a, (0, 3), 9),
        "kintree_table has 9 for the parent of joint 3; it should be a joint before that, 0 to 2",
    ),
    "f": (
        lambda a: with_entry(a, (5, 1), 1609),
        "f names the vertex 1609; they should be 0 to 1608",
    ),
    "tips": (
        lambda a: with_entry(a, 2, -1),
        "tips names the vertex -1; they should be 0 to 1608",
    ),
    "hands_mean": (
        lambda a: with_entry(a, 7, np.nan),
        "hands_mean holds numbers that are not finite",
    ),
}


@pytest.mark.parametrize("name", HAND_FAULTS)
def test_arrays_that_do_not_fit_together(freihand, hand, name):
    """The error names the file's arrays and shapes, whatever PyTorch would say to it."""
    change, message = HAND_FAULTS[name]
    (freihand / "body_models" / "MANO_RIGHT.pkl").unlink()
    file = freihand / "body_models" / "hand_model.npz"
    np.savez(file, **hand | {name: change(hand[name])})
    with pytest.raises(UserError, match=f"^{re.escape(f'{file}: {message}')}$"):
        Hand.read(freihand)


def test_heads_that_do_not_fit_their_landmarks(faces, head, landmarks, write_pickle):
    models = faces / "body_models"
    write_pickle(models / "generic_model.pkl", head | {"f": head["f"][:200]})
    static, moving = landmarks
    names = {"lmk_face_idx": static["lmk_face_idx"] % 200, "lmk_b_coords": static["lmk_b_coords"]}
    (models / "flame_static_embedding.pkl").write_bytes(pickle.dumps(names))
    first = next(number for number in moving["lmk_face_idx"].ravel() if number >= 200)
    expected = f"embedding.npy: lmk_face_idx names the triangle {first}; they should be 0 to 199$"
    with pytest.raises(UserError, match=expected):
        Head.read(faces)
    few = head | {"shapedirs": head["shapedirs"][..., :349]}
    write_pickle(models / "generic_model.pkl", few)
    with pytest.raises(UserError, match=r": shapedirs has 349 shapes, and FLAME at least 350$"):
        Head.read(faces)
