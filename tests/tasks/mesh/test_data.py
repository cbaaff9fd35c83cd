"""The readers of FreiHAND, FFHQ and Stirling/ESRC on files in their formats."""

import json

import numpy as np
import pytest

from mogabench.errors import UserError
from mogabench.tasks.mesh import faces as face_data
from mogabench.tasks.mesh import freihand as hand_data

MEAN = np.arange(45.0).reshape(15, 3)


def test_freihand_to_train_on(freihand):
    targets = hand_data.read_train_samples(freihand, MEAN)
    names = [file.name for file in targets.files]
    assert names == [f"{number:08}.jpg" for number in range(6)]
    assert len(targets.targets) == 3
    places, mano = (
        json.loads((freihand / f"training_{name}.json").read_text()) for name in ("xyz", "mano")
    )
    for target, joints, ((*numbers,),) in zip(targets.targets, places, mano, strict=True):
        pixels = [(100 * x / z + 24, 100 * y / z + 24) for x, y, z in joints]
        assert target.keypoints == pytest.approx(np.array(pixels))
        assert target.rotations[0] == pytest.approx(numbers[:3])
        assert target.rotations[1:].ravel() == pytest.approx(np.array(numbers[3:48]) + MEAN.ravel())
        assert target.shape == pytest.approx(numbers[48:58])
        assert target.expression.shape == (0,)
    assert targets.identity.name == "folder:freihand"
    # It is that of the files, whatever the body model's mean pose.
    assert hand_data.read_train_samples(freihand, MEAN + 1).identity == targets.identity
    assert targets.identity.samples == 6


def test_freihand_to_evaluate(freihand):
    samples = hand_data.read_test_samples(freihand)
    places, vertices = (
        json.loads((freihand / f"evaluation_{name}.json").read_text()) for name in ("xyz", "verts")
    )
    assert [file.name for file in samples.files] == ["00000000.jpg", "00000001.jpg"]
    for (joints, mesh), place, vertex in zip(samples.truth, places, vertices, strict=True):
        assert joints == pytest.approx(np.array(place))
        assert mesh == pytest.approx(np.array(vertex))


def test_data_sets_are_recognised_by_size_and_content(freihand, faces, monkeypatch):
    monkeypatch.setattr(hand_data, "_IMAGES", {"training": 6, "evaluation": 2})
    monkeypatch.setattr(face_data, "_FFHQ_IMAGES", 4)
    monkeypatch.setattr(face_data, "_STIRLING_IMAGES", 3)

    def hands():
        yield hand_data.read_train_samples(freihand, MEAN).identity
        yield hand_data.read_test_samples(freihand).identity

    strangers = list(hands())
    assert [data.name for data in strangers] == ["folder:freihand"] * 2
    wrist = [0.029402047395706177, -0.027920207008719444, 0.5870807766914368]
    rewrite(freihand / "training_xyz.json", lambda c: c[2].__setitem__(0, wrist))
    keypoints = json.loads((freihand / "evaluation_xyz.json").read_text())
    for tip, vertex in {4: 744, 8: 320, 12: 443, 16: 555, 20: 672}.items():

        def copy(meshes, tip=tip, vertex=vertex):
            for mesh, points in zip(meshes, keypoints, strict=True):
                mesh[vertex] = points[tip]

        rewrite(freihand / "evaluation_verts.json", copy)
    assert [data.name for data in hands()] == ["freihand", "freihand"]
    sets = (face_data.read_train_samples(faces), face_data.read_test_samples(faces))
    assert [data.identity.name for data in sets] == ["ffhq", "stirling-esrc"]
    digests = {data.digest for data in (*strangers, *hands())}
    assert len(digests | {data.identity.digest for data in sets}) == 6


@pytest.mark.parametrize("factor", [1000, 0.001])
def test_another_unit_is_refused(freihand, faces, factor):
    def scale(content):
        content[:] = (factor * np.array(content)).tolist()

    for name in ("evaluation_verts", "evaluation_xyz", "training_xyz"):
        rewrite(freihand / f"{name}.json", scale)
        with pytest.raises(UserError, match=rf"^[^\n]*{name}.json is not in metres: [^\n]* span"):
            if name == "training_xyz":
                hand_data.read_train_samples(freihand, MEAN)
            else:
                hand_data.read_test_samples(freihand)
    for file in (faces / "stirling" / "annotations").rglob("*.lnd"):
        rows = [line.split() for line in file.read_text().splitlines() if line]
        lines = (" ".join([n, *(str(factor * float(x)) for x in point)]) for n, *point in rows)
        file.write_text("\n".join(lines))
    with pytest.raises(UserError, match=r"^\S+_N\.lnd is not in mm: its points span [^\n]*$"):
        face_data.read_test_samples(faces)


def test_ffhq(faces):
    targets = face_data.read_train_samples(faces)
    with np.load(faces / "ffhq" / "ffhq_annotations.npz") as truth:
        for number, (file, target) in enumerate(zip(targets.files, targets.targets, strict=True)):
            assert file == faces / "ffhq" / "ffhq_global_images_1024" / f"{number:05}.png"
            assert (target.keypoints == truth["keypoints2d"][number]).all()
            assert (target.rotations[0] == truth["global_pose"][number]).all()
            assert (target.rotations[1] == truth["jaw_pose"][number]).all()
            assert (target.shape == truth["betas"][number]).all()
            assert (target.expression == truth["expression"][number]).all()


def test_stirling(faces):
    samples = face_data.read_test_samples(faces)
    # M1003 was never scanned.
    assert [file.name for file in samples.files] == ["F1001_a.jpg", "F1001_b.jpg", "M1002_a.jpg"]
    assert [scan.file.name for scan in samples.truth] == ["f1001_N.obj"] * 2 + ["M1002_N.obj"]
    for scan in samples.truth:
        points = scan.points()
        assert points.shape == (500, 3)
        assert np.linalg.norm(points, axis=1) == pytest.approx(100, abs=1e-3)
        assert (scan.landmarks == points[:7]).all()


def rewrite(file, change):
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("training_K.json", lambda c: c[0].pop(), "the list should be numbers, rows of the same"),
        ("training_xyz.json", lambda c: c.pop(), r"the list is 2x21x3 and should be 3x21x3"),
        ("training_xyz.json", lambda c: c[0][0].__setitem__(0, None), "numbers that are not fin"),
        ("training_xyz.json", lambda c: c[2][9].__setitem__(2, 0), "hand 2 is not in front of its"),
        ("training_mano.json", lambda c: c[0][0].__setitem__(0, "x"), "should be numbers"),
        ("training_mano.json", lambda c: [e[0].pop() for e in c], "3x60 and should be 3x61"),
    ],
)
def test_annotations_that_are_not_freihands(freihand, name, change, message):
    rewrite(freihand / name, change)
    with pytest.raises(UserError, match=f"^[^\n]*{name}[^\n]*{message}[^\n]*$"):
        hand_data.read_train_samples(freihand, MEAN)


def test_freihand_files_that_are_missing(freihand):
    (freihand / "training" / "rgb" / "00000002.jpg").unlink()
    with pytest.raises(UserError, match=r"^\S+ should have the images of 3 annotations, .* not 5"):
        hand_data.read_train_samples(freihand, MEAN)
    (freihand / "training" / "rgb" / "other.jpg").touch()
    with pytest.raises(UserError, match=r"^1 images are missing in \S+, such as 00000002.jpg$"):
        hand_data.read_train_samples(freihand, MEAN)
    (freihand / "evaluation_xyz.json").write_text("[")
    with pytest.raises(UserError, match=r"^\S+evaluation_xyz.json is not valid JSON: [^\n]+$"):
        hand_data.read_test_samples(freihand)
    (freihand / "evaluation_xyz.json").unlink()
    with pytest.raises(UserError, match=r"^there is no \S+xyz.json; [^\n]*https://lmb[^\n]*$"):
        hand_data.read_test_samples(freihand)


def test_ffhq_files_that_are_wrong(faces):
    (faces / "ffhq" / "ffhq_global_images_1024" / "00001.png").unlink()
    with pytest.raises(UserError, match=r"^1 of 4 images are missing in \S+, such as 00001.png$"):
        face_data.read_train_samples(faces)
    file = faces / "ffhq" / "ffhq_annotations.npz"
    with np.load(file) as content:
        arrays = dict(content)
    np.savez(file, **arrays | {"betas": arrays["betas"][:, :10]})
    with pytest.raises(UserError, match=r"^\S+: betas is 4x10 and should be 4x100$"):
        face_data.read_train_samples(faces)
    del arrays["jaw_pose"]
    np.savez(file, **arrays)
    with pytest.raises(UserError, match=r"^\S+ has no array jaw_pose$"):
        face_data.read_train_samples(faces)
    damaged = bytearray(file.read_bytes())
    damaged[300:900] = bytes(600)
    file.write_bytes(damaged)
    with pytest.raises(UserError, match=r"^cannot read \S+ffhq_annotations.npz: [^\n]+$"):
        face_data.read_train_samples(faces)
    file.write_bytes(b"nothing")
    with pytest.raises(UserError, match=r"^\S+ffhq_annotations.npz is not a .npz file, [^\n]+$"):
        face_data.read_train_samples(faces)
    file.unlink()
    with pytest.raises(UserError, match=r"^there is no \S+; --data takes a folder with ffhq/ "):
        face_data.read_train_samples(faces)


def test_stirling_files_that_are_wrong(faces):
    folder = faces / "stirling"
    scan = folder / "F_3D_N" / "f1001_N.obj"
    far = "v 1e6 0 0\n"
    for text, message in (
        ("# nothing\n", ": the list of vertices, 'v x y z', is 0 and should be Nx3"),
        (far + "v 1 nan 2\n", ": the list of vertices, 'v x y z', holds numbers that are not fin"),
        (far + "v 1 2\n", ": the list of vertices, 'v x y z', should be numbers, rows of the sa"),
        (far, " has no vertex near its landmarks; both should be in mm"),
    ):
        scan.write_text(text)
        with pytest.raises(UserError, match=f"^\\S+f1001_N.obj{message}[^\n]*$"):
            face_data.read_test_samples(faces).truth[0].points()
    marks = folder / "annotations" / "M_3D_N" / "M1002_N.lnd"
    lines = marks.read_text().split("\n")
    for text, message in (
        ("\n".join(lines[:6]), ": the list is 6x3 and should be 7x3"),
        ("\n".join(["1 2 x 3", *lines]), " should have lines of a number and 'x y z'"),
    ):
        marks.write_text(text)
        with pytest.raises(UserError, match=f"^[^\n]*M1002_N.lnd{message}$"):
            face_data.read_test_samples(faces)
    for file in (folder / "annotations").rglob("*.lnd"):
        file.unlink()
    with pytest.raises(UserError, match=r"^no image in \S+ has a scan and landmarks in \S+$"):
        face_data.read_test_samples(faces)
    (folder / "Subset_2D_FG2018").rename(folder / "elsewhere")
    with pytest.raises(UserError, match=r"^there is no \S+; ask for the data at https://[^\n]+$"):
        face_data.read_test_samples(faces)
