import cv2
import numpy as np
import pytest

from mogabench.tasks.mesh import sample
from mogabench.tasks.mesh.alignment import aligned_errors
from mogabench.tasks.mesh.code import Parameters, from_axis_angle
from mogabench.tasks.mesh.data import Hands
from mogabench.tasks.mesh.drawing import draw_mesh, from_the_side


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("MOGABENCH_CACHE", str(tmp_path))
    monkeypatch.setattr(sample, "HANDS", {"training": 12, "evaluation": 6})
    return sample.sample_hands()


def test_the_files_are_freihands(folder):
    data = Hands(folder)
    targets, samples = data.train_samples(), data.test_samples()
    assert (len(targets.files), len(samples.files)) == (12, 6)
    for file, (keypoints, vertices) in zip(samples.files, samples.truth, strict=True):
        image = cv2.imread(str(file)).astype(int)
        assert image.shape == (sample.SIZE, sample.SIZE, 3)
        places = sample._FOCUS * keypoints[:, :2] / keypoints[:, 2:] + sample.SIZE / 2
        # The hand is brighter than the background, which is 60 at most.
        inside = ((places > 1) & (places < sample.SIZE - 2)).all(1)
        on_it = [image[round(y), round(x)].max() > 60 for x, y in places[inside]]
        assert np.mean(on_it) > 0.9
        assert np.ptp(vertices, axis=0).max() > 0.1


def test_the_body_with_an_annotated_pose_is_the_one_in_the_picture(folder):
    """Its key points, seen by FreiHAND's camera, are those that the target teaches."""
    import torch

    data = Hands(folder)
    for target in data.train_samples().targets:
        turns = from_axis_angle(torch.from_numpy(target.rotations).float())[None]
        none = torch.zeros(1, 0)
        shape = torch.from_numpy(target.shape).float()[None]
        found = data.body(Parameters(turns, shape, none, none, none)).keypoints[0].numpy()
        # From weak perspective to the camera's, and the rounding of the file.
        flat = np.column_stack([target.keypoints, np.zeros(21)])
        seen = np.column_stack([found[:, :2], np.zeros(21)]) * sample._FOCUS / sample._DISTANCE
        assert aligned_errors(seen[None], flat[None]) < 1.0


def test_the_hand_is_a_hand():
    arrays = sample.hand_arrays()
    template, faces = arrays["v_template"], arrays["f"]
    assert (len(template), len(faces)) == (1609, 3196)
    assert arrays["weights"].sum(1) == pytest.approx(1, abs=1e-5)
    assert arrays["J_regressor"].sum(1) == pytest.approx(1, abs=1e-5)
    joints = arrays["J_regressor"] @ template
    tips = template[arrays["tips"]]
    # At rest: fingers up, that is along -y, the thumb on the viewer's right, the palm to him.
    assert (tips[1:, 1] < joints[[3, 6, 12, 9], 1]).all()
    assert tips[0, 0] == tips[:, 0].max()
    bent = np.cross(arrays["hands_mean"].reshape(15, 3)[0], tips[1] - joints[1])
    assert bent[2] < 0
    corners = template[faces]
    volume = np.einsum("fx,fx->", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])) / 6
    assert 1e-4 < volume < 1e-3


def test_a_mesh_is_drawn_from_the_back_to_the_front():
    near, far = np.array([[2, 2, 1], [2, 14, 1], [14, 2, 1.0]]), 5.0
    points = np.concatenate([near, near + np.array([0, 0, far])])
    canvas = np.zeros((16, 16, 3), np.uint8)
    draw_mesh(canvas, points, np.array([[3, 4, 5]]), (200, 0, 0), np.array([0, 0, -1.0]))
    assert canvas[5, 5].tolist() == [200, 0, 0]
    away = np.zeros_like(canvas)
    draw_mesh(away, points, np.array([[0, 2, 1]]), (200, 0, 0))
    assert not away.any()
    tilted = points.copy()
    tilted[0, 2] -= 6
    both = np.array([[0, 1, 2], [3, 4, 5]])
    for order in (both, both[::-1]):
        canvas[:] = 0
        draw_mesh(canvas, tilted, order, (200, 0, 0), np.array([0, 0, -1.0]))
        assert 70 < canvas[5, 5, 0] < 199
    turned = from_the_side(points)
    assert np.ptp(turned[:, 0]) == far
    assert np.ptp(turned[:, 2]) == np.ptp(points[:, 0])
