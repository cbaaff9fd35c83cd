"""The task from a job to its outcome: weights in, metrics and pictures out."""

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from scipy.spatial import ConvexHull
from scipy.spatial.transform import Rotation

from mogabench.checkpoints import save_checkpoint
from mogabench.engine.job import Job
from mogabench.engine.run import run
from mogabench.errors import UserError
from mogabench.subject import Subject
from mogabench.tasks import get_task, load_recipe
from mogabench.tasks.mesh import TASK
from mogabench.tasks.mesh.faces import read_test_samples as read_faces
from mogabench.tasks.mesh.freihand import read_test_samples as read_hands
from mogabench.tasks.mesh.metric import FaceErrors, HandErrors
from mogabench.tasks.mesh.network import build_network
from mogabench.tasks.mesh.surface import scan_error


def subject(method="expose_hand", backbone="test_resnet"):
    return Subject(task="mesh", method=method, backbone=backbone, input_size=(64, 64))


@pytest.fixture
def job(request, tmp_path):
    """Makes a training of one step on hands or faces; keyword arguments change the job."""

    def make(method="expose_hand", **changes):
        short = [
            *("batch_size=4", "schedule.epochs=1", "schedule.milestones=[1]"),
            *("input.size=[64, 64]", "schedule.evaluate_every=1"),
        ]
        recipe = load_recipe(f"{method}_100e", overrides=short)
        data = request.getfixturevalue({"expose_hand": "freihand", "expose_face": "faces"}[method])
        base = Job(
            subject(method),
            recipe,
            str(data),
            TASK.Options(),
            work_dir=tmp_path / method,
            train=True,
            workers=0,
            quiet=True,
        )
        return replace(base, **changes)

    return make


@pytest.mark.parametrize(
    ("method", "metrics"),
    [("expose_hand", {"pa_mpjpe", "pa_mpvpe"}), ("expose_face", {"rmse_3d"})],
)
def test_a_training_saves_what_an_evaluation_reads(job, caplog, method, metrics):
    caplog.set_level("INFO")
    trained = run(job(method), TASK)
    assert set(trained.metrics) == metrics
    assert metrics <= {metric.name for metric in get_task("mesh").metrics}
    picture = trained.checkpoint.with_name("predictions.png")
    assert cv2.imread(str(picture)) is not None
    assert caplog.text.count(f"predictions drawn: {picture}") == 1
    alone = run(
        job(method, train=False, weights=trained.checkpoint, work_dir=None, batch_size=1), TASK
    )
    assert alone.metrics == pytest.approx(trained.metrics, rel=1e-5)


def test_errors_are_in_millimetres(freihand, faces):
    """A moved copy of the truth has none, nor has a mesh with all of a scan's points on it."""
    samples = read_hands(freihand)
    metric = HandErrors(samples, 1609)
    keypoints, vertices = samples.truth[1]
    aligned = metric.errors(1, 3 * vertices + 5, 3 * keypoints + 5, keypoints[:0])
    assert max(aligned.values()) < 1e-9
    noisy = vertices + np.random.default_rng(0).normal(0, 0.002, vertices.shape)
    error = metric.errors(1, noisy, keypoints, keypoints[:0])["pa_mpvpe"]
    assert error == pytest.approx(2 * (8 / np.pi) ** 0.5, rel=0.03)
    with pytest.raises(UserError, match="have 1609 vertices, the body model 778; both should"):
        HandErrors(samples, 778)
    samples = read_faces(faces)
    scan = samples.truth[0].points()
    own = FaceErrors(samples, ConvexHull(scan).simplices)
    assert own.errors(0, scan / 1000, scan[:0], scan[:7] / 1000)["rmse_3d"] < 1e-9


@pytest.mark.parametrize("method", ["expose_hand", "expose_face"])
def test_predictions_give_the_errors_again(job, method, tmp_path):
    """Computed from the file alone, and the same where a hand's truth is not there."""
    trained = run(job(method), TASK)
    file, wanted = tmp_path / "pred.json", {"train": False, "work_dir": None}
    wanted |= {"weights": trained.checkpoint, "predictions": file}
    errors = run(job(method, **wanted), TASK).metrics
    points, vertices = json.loads(file.read_text())
    root = Path(job(method).data)
    if method == "expose_face":
        samples = read_faces(root)
        triangles = TASK.prepare(job(method)).model.body.faces
        found = [
            scan_error(scan.points(), scan.landmarks, np.array(mesh), triangles, np.array(marks))
            for scan, mesh, marks in zip(samples.truth, vertices, points, strict=True)
        ]
        assert np.mean(found) == pytest.approx(errors["rmse_3d"], abs=0.01)
        return
    for name, metric, found in (("xyz", "pa_mpjpe", points), ("verts", "pa_mpvpe", vertices)):
        truth = json.loads((root / f"evaluation_{name}.json").read_text())
        left = [
            np.linalg.norm(aligned(np.array(one), np.array(other)) - other, axis=1).mean()
            for one, other in zip(found, truth, strict=True)
        ]
        assert 1000 * np.mean(left) == pytest.approx(errors[metric], abs=0.01)
        (root / f"evaluation_{name}.json").unlink()
    known = file.read_text()
    alone = run(job(method, **wanted | {"work_dir": tmp_path / "alone"}), TASK)
    assert alone.metrics == {} and file.read_text() == known
    (root / "evaluation" / "rgb" / "00000000.jpg").write_bytes(b"")
    run(job(method, **wanted), TASK)
    assert json.loads(file.read_text())[0] == [None, points[1]]
    with pytest.raises(
        UserError, match=r"^there is no \S+evaluation_xyz.json; .* --predictions only"
    ):
        run(job(method, **wanted | {"predictions": None}), TASK)


def aligned(points, targets):
    """SciPy's orthogonal Procrustes analysis, without reflection."""
    middle, target = points.mean(0), targets.mean(0)
    rotation, _ = Rotation.align_vectors(targets - target, points - middle)
    turned = rotation.apply(points - middle)
    return turned * (turned * (targets - target)).sum() / (turned**2).sum() + target


def test_training_starts_from_a_backbone_and_the_mean_pose(job, hand, tmp_path):
    network = build_network(subject())
    with torch.no_grad():
        for weight in network.parameters():
            weight.fill_(0.5)
    file = tmp_path / "backbone.pth"
    save_checkpoint(file, {"state_dict": network.backbone.state_dict()})
    model = TASK.prepare(job(weights=file)).model
    assert all((weight == 0.5).all() for weight in model.network.backbone.parameters())
    assert not (model.network.regressor.perceptron[0].weight == 0.5).any()
    start = model.code.read(model.network.regressor.start[None])
    cosine = (start.rotations[0, 1:].diagonal(dim1=1, dim2=2).sum(1) - 1) / 2
    lengths = np.linalg.norm(hand["hands_mean"].reshape(15, 3), axis=1)
    assert cosine.arccos().numpy() == pytest.approx(lengths, abs=1e-4)
    with pytest.raises(
        UserError, match=r"^[^\n]*holds no regressor[^\n]*give weights of the whole network$"
    ):
        run(job(train=False, weights=file), TASK)


def test_what_does_not_fit(job, tmp_path):
    with pytest.raises(UserError, match=r"^the sample has hands only: --method expose_hand$"):
        run(job("expose_face", data="sample"), TASK)
    image = tmp_path / "faces" / "stirling" / "Subset_2D_FG2018" / "HQ" / "F1001_b.jpg"
    this = job("expose_face", on_bad_image="fail")
    image.write_bytes(b"")
    with pytest.raises(UserError, match=f"^cannot read the image {image}: it is empty$"):
        run(this, TASK)
    outcome = run(replace(this, on_bad_image="skip", resume=True), TASK)
    assert outcome.notes[-1] == f"1 test image(s) cannot be read: {image}"


@pytest.mark.parametrize("method", ["expose_hand", "expose_face"])
def test_weights_that_diverged(job, tmp_path, method):
    network = build_network(subject(method))
    torch.nn.init.constant_(network.regressor.perceptron[6].bias, 3e38)
    file = tmp_path / "diverged.pth"
    save_checkpoint(file, {"state_dict": network.state_dict()})
    with pytest.raises(UserError, match=r"^the network gives numbers that are not finite: [^\n]+$"):
        run(job(method, train=False, weights=file), TASK)


@pytest.mark.slow
@pytest.mark.long
def test_a_short_training_finds_the_hands(tmp_path):
    """The mean pose alone, without looking, is 15.7 mm off (13.7 over all vertices)."""
    outcome = run(
        Job(
            subject(),
            load_recipe("sample_hands"),
            "sample",
            TASK.Options(),
            work_dir=tmp_path,
            train=True,
            workers=0,
            quiet=True,
        ),
        TASK,
    )
    assert outcome.metrics["pa_mpjpe"] < 12.5
    assert outcome.metrics["pa_mpvpe"] < 11.2
    assert (tmp_path / "predictions.png").exists()
