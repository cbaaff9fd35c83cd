"""Published files: read without the packages they were made with, and without running anything."""

import os
import pickle
import re
import shutil

import numpy as np
import pytest

from mogabench.errors import UserError
from mogabench.mesh.body import Hand, Head
from mogabench.mesh.pickles import read_pickle


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
def test_a_missing_file_is_told_with_its_source(request, tmp_path, kind, name):
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
        (pickle.dumps([1, 2]), "is no body model"),
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


def test_another_mesh_needs_its_tips(freihand, hand):
    (freihand / "body_models" / "MANO_RIGHT.pkl").unlink()
    few = {name: array for name, array in hand.items() if name != "tips"}
    for name in ("v_template", "shapedirs", "posedirs", "weights"):
        few[name] = few[name][:700]
    few["J_regressor"] = few["J_regressor"][:, :700]
    np.savez(freihand / "body_models" / "hand_model.npz", **few)
    with pytest.raises(UserError, match=r"is not MANO's mesh and has no array tips$"):
        Hand.read(freihand)
