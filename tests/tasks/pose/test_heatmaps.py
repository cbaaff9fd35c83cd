import cv2
import numpy as np
import pytest
import torch
from torch import nn

from mogabench.tasks import load_recipe
from mogabench.tasks.pose.heatmaps import decode, encode
from mogabench.tasks.pose.model import PoseEstimator, joints_mse, unflip
from mogabench.tasks.pose.skeleton import KEYPOINTS, STRIDE


def random_points(shape):
    high, wide = shape
    return np.random.default_rng(0).uniform((6, 6), (wide - 7, high - 7), (300, 2))


def decoded(maps, decoding):
    return decode(torch.from_numpy(maps)[None], decoding)[0].numpy()


@pytest.mark.parametrize(("shape", "sigma"), [((64, 48), 2.0), ((96, 72), 3.0)])
def test_unbiased_targets_decode_to_a_tenth_of_a_pixel(shape, sigma):
    points = random_points(shape)
    maps, weights = encode(points, np.ones(len(points), bool), shape, sigma=sigma)
    assert weights.all()
    found = decode(torch.from_numpy(maps)[None], "taylor", sigma=sigma)[0].numpy()
    assert np.abs(found[:, :2] - points).max() * STRIDE < 0.1
    # A quarter of a cell towards the right neighbour is off by a quarter at most.
    quarter = decoded(maps, "quarter_pixel")
    assert np.abs(quarter[:, :2] - points).max() <= 0.25 + 1e-6
    assert np.abs(quarter[:, :2] - points).mean() < 0.13


@pytest.mark.parametrize(("sigma", "kernel"), [(2.0, 11), (3.0, 17)])
def test_taylor_smooths_as_mmpose_does(sigma, kernel):
    """A step on the logarithm of a noisy map that OpenCV blurs, at K = 11 and 17 (mmpose 0.29)."""
    maps, _ = encode(np.array([[20.3, 30.6]]), np.ones(1, bool), (64, 48), sigma=sigma)
    noisy = maps[0] + np.random.default_rng(0).uniform(0, 0.3, maps[0].shape)
    y, x = np.unravel_index(noisy.argmax(), noisy.shape)
    blurred = np.log(cv2.GaussianBlur(noisy, (kernel, kernel), 0, borderType=cv2.BORDER_CONSTANT))
    slopes = np.stack(np.gradient(blurred))
    bends = np.stack([np.stack(np.gradient(slope)) for slope in slopes])[..., y, x]
    down, right = -np.linalg.solve(bends, slopes[:, y, x])
    settings = [f"targets.sigma={sigma}", "test.decoding=taylor", "test.flip=false"]
    recipe = load_recipe("simple_baseline_384x288", overrides=settings)
    found = PoseEstimator(nn.Identity(), recipe).predict(torch.from_numpy(noisy)[None, None])[0, 0]
    expected = [STRIDE * (x + right), STRIDE * (y + down), noisy.max()]
    assert found.tolist() == pytest.approx(expected, abs=1e-3)


def test_rounded_targets():
    points = np.array([[10.4, 20.6], [10.5, 20.0]])
    maps, _ = encode(points, np.ones(2, bool), (64, 48), sigma=2.0, encoding="rounded")
    assert maps[0, 21, 10] == maps[1, 20, 11] == 1
    assert maps[0, 21, 11] == pytest.approx(np.exp(-1 / 8))
    assert maps[0, 23, 12] == pytest.approx(np.exp(-1))
    assert maps[0, 21, 16] > 0
    assert maps[0, 21, 17] == 0, "three sigmas"
    assert decoded(maps, "quarter_pixel")[:, :2].tolist() == [[10, 21], [11, 20]]


def test_points_that_do_not_count():
    points = np.array([[10.0, 10.0], [-6.4, 10.0], [-6.6, 10.0], [10.0, 69.4], [10.0, 69.6]])
    labelled = np.array([False, True, True, True, True])
    maps, weights = encode(points, labelled, (64, 48), sigma=2.0)
    assert weights.tolist() == [0, 1, 0, 1, 0]
    assert (maps.reshape(5, -1).max(1) > 0).tolist() == weights.astype(bool).tolist()


def test_places_at_the_edge_are_not_refined():
    maps = torch.zeros(1, 4, 8, 6)
    maps[0, 0, 0, 0] = maps[0, 1, 7, 5] = maps[0, 2, 1, 3] = maps[0, 3, 4, 3] = 1
    maps[0, 3, 4, 4] = 0.5
    found = decode(maps)[0]
    assert found.tolist() == [[0, 0, 1], [5, 7, 1], [3, 1, 1], [3.25, 4, 1]]
    assert decode(maps, "taylor")[0, 0].tolist() == [0, 0, 1]


def test_places_beside_the_edge_are_refined_as_in_mmpose():
    """Where 1 < x < W - 1 and 1 < y < H - 1 (mmpose 0.29)."""
    maps = torch.zeros(1, 2, 8, 6)
    maps[0, 0, 2, 2] = maps[0, 1, 6, 4] = 1
    maps[0, 0, 2, 1] = maps[0, 0, 1, 2] = maps[0, 1, 6, 5] = maps[0, 1, 7, 4] = 0.5
    assert decode(maps)[0].tolist() == [[1.75, 1.75, 1], [4.25, 6.25, 1]]


def test_the_loss_by_hand():
    heatmaps, targets = torch.zeros(1, 2, 1, 2), torch.tensor([[[[1.0, 3.0]], [[5.0, 5.0]]]])
    assert joints_mse(heatmaps, targets, torch.tensor([[1.0, 0.0]])).item() == (1 + 9) / 4


def test_maps_of_mirrored_pictures_turn_back():
    maps = torch.zeros(1, 17, 2, 5)
    maps[0, KEYPOINTS.index("left_eye"), 1, 1] = 1
    maps[0, KEYPOINTS.index("nose"), 0, 4] = 1
    back = unflip(maps)
    # The second of five columns is the fourth from the other side, and one to the right the last.
    assert back[0, KEYPOINTS.index("right_eye"), 1].tolist() == [0, 0, 0, 0, 1]
    assert back[0, KEYPOINTS.index("nose"), 0].tolist() == [1, 1, 0, 0, 0]
    assert back.sum() == 3


class TwoViews(torch.nn.Module):
    """Sees a left eye in the picture, and a right one in its mirror image."""

    def forward(self, images):
        maps = torch.zeros(1, 17, 16, 12)
        left, right = (maps[0, KEYPOINTS.index(f"{side}_eye")] for side in ("left", "right"))
        if images[0, 0, 0, 0] == 1:
            left[5, 4], left[5, 5], left[4, 4] = 1, 0.5, 0.3
        else:  # columns 12 - 5 and 12 - 6 of the picture itself
            right[5, 5], right[5, 6] = 1.5, 0.2
        return maps


@pytest.mark.parametrize(
    ("flip", "found"),
    [
        # A quarter towards the higher neighbours, right and up.
        (False, [4 * 4.25, 4 * 4.75, 1]),
        # Of the means 1/2 in column 4 and 1.5/2 in column 7, a quarter towards 0.2/2 in column 6.
        (True, [4 * 6.75, 4 * 5, 0.75]),
    ],
)
def test_the_flip_test_takes_the_mean_of_both_views(flip, found):
    picture = torch.zeros(1, 3, 64, 48)
    picture[..., 0] = 1
    recipe = load_recipe("simple_baseline_256x192", overrides=[f"test.flip={flip}".lower()])
    points = PoseEstimator(TwoViews(), recipe).predict(picture)
    assert points[0, KEYPOINTS.index("left_eye")].tolist() == found
