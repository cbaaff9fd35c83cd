import math

import numpy as np
import pytest
from scipy.optimize import least_squares
from scipy.spatial import procrustes
from scipy.spatial.transform import Rotation

from mogabench.tasks.mesh.alignment import aligned_errors, best_similarity
from mogabench.tasks.mesh.sample import hand_arrays


@pytest.fixture
def mesh():
    """The sample's hand in mm."""
    return 1000 * hand_arrays()["v_template"].astype(float)


def moved(points, seed):
    random = np.random.default_rng(seed)
    turn = Rotation.random(random_state=seed).as_matrix()
    return random.uniform(0.2, 5) * points @ turn.T + random.normal(0, 500, 3)


def test_a_moved_copy_has_no_error(mesh):
    copies = np.stack([moved(mesh, seed) for seed in range(8)])
    assert aligned_errors(copies, np.repeat(mesh[None], 8, 0)).max() < 1e-9


@pytest.mark.parametrize("mirror", [(-1, 1, 1), (-1, -1, -1), (-1, 1, 0)])
def test_a_mirrored_copy_is_turned_to_the_nearest_place(mesh, mirror):
    """Nothing is nearer among what a search over scales, rotations and shifts finds."""
    targets = mesh[::80] - mesh[::80].mean(0)
    points = targets * mirror
    similarity = best_similarity(points[None], targets[None])
    assert np.linalg.det(similarity.rotation) == pytest.approx([1])

    def left_over(guess):
        turn = Rotation.from_rotvec(guess[1:4]).as_matrix()
        return (guess[0] * points @ turn.T + guess[4:] - targets).ravel()

    starts = np.random.default_rng(0).normal(0, 2, (6, 3))
    searched = (least_squares(left_over, [1, *start, 0, 0, 0]) for start in starts)
    expected = min(2 * found.cost for found in searched if found.x[0] > 0)
    found = np.square(similarity(points[None])[0] - targets).sum()
    assert found == pytest.approx(expected, rel=1e-6)
    assert found > 0.01 * np.square(targets).sum()


def test_noise_has_its_expectation(mesh):
    """The length of 3D Gaussian noise is sqrt(8 / pi) deviations; the fit takes 7 of 3V away."""
    targets = mesh + np.random.default_rng(0).normal(0, 5, (20, *mesh.shape))
    expected = 5 * math.sqrt(8 / math.pi) * math.sqrt(1 - 7 / mesh.size)
    errors = aligned_errors(np.repeat(mesh[None], 20, 0), targets)
    assert errors.mean() == pytest.approx(expected, rel=0.005)


def test_scipy_finds_the_same_alignment(mesh):
    random = np.random.default_rng(1)
    points, targets = mesh[::80], mesh[::80] + random.normal(0, 20, mesh[::80].shape)
    # SciPy's may mirror, which is no help here, and is in units of the whole target's spread.
    _, _, disparity = procrustes(targets, points)
    left = best_similarity(points[None], targets[None])(points[None])[0] - targets
    spread = np.square(targets - targets.mean(0)).sum()
    assert np.square(left).sum() / spread == pytest.approx(disparity)


def test_points_in_one_place_are_as_far_off_as_they_are(mesh):
    far = np.linalg.norm(mesh - mesh.mean(0), axis=1).mean()
    assert aligned_errors(np.zeros((1, *mesh.shape)), mesh[None]) == pytest.approx([far])
