from dataclasses import replace

import cv2
import numpy as np
import pytest

from mogabench.data.views import View, normalize, transform

SIZE = (256, 192)
VIEWS = [
    View((83.5, 41.25), 97.0),
    View((83.5, 41.25), 97.0, rotation=31.0),
    View((-12.0, 300.0), 512.0, rotation=-115.0, mirrored=True),
]


@pytest.mark.parametrize("view", VIEWS)
def test_there_and_back(view):
    points = np.random.default_rng(0).uniform(-500, 500, (50, 2))
    there = transform(points, view.to_output(SIZE))
    assert np.allclose(transform(there, view.to_image(SIZE)), points, atol=1e-9)
    inverse = cv2.invertAffineTransform(view.to_output(SIZE))
    assert np.allclose(view.to_image(SIZE), inverse, atol=1e-9)


def test_a_box_gets_the_outputs_shape_and_a_margin():
    # 60 wide and 160 high: at 192:256 that is 120 wide, with the margin 150; 256/192 as high.
    view = View.around(np.array([10.0, 20.0, 60.0, 160.0]), SIZE, padding=1.25)
    assert (view.center, view.width, view.height(SIZE)) == ((40.0, 100.0), 150.0, 200.0)
    wide = View.around(np.array([10.0, 20.0, 160.0, 60.0]), SIZE, padding=1.25)
    assert wide.width == 200.0
    corners = np.array([[40.0, 100.0], [40.0 + 75, 100.0], [40.0 - 75, 100.0 + 100]])
    expected = [[96, 128], [192, 128], [0, 256]]
    assert np.allclose(transform(corners, view.to_output(SIZE)), expected)


def test_rotation_is_clockwise_and_mirroring_comes_first():
    view = View((100.0, 100.0), 192.0, rotation=90.0)
    above = np.array([[100.0, 90.0]])
    assert np.allclose(transform(above, view.to_output(SIZE)), [[106, 128]])
    beside = np.array([[110.0, 100.0]])
    turned = replace(view, mirrored=True)
    assert np.allclose(transform(beside, turned.to_output(SIZE)), [[96, 118]])


def test_the_picture_follows_the_points():
    image = np.zeros((200, 240, 3), np.uint8)
    blob = np.array([131.0, 77.0])
    cv2.circle(image, (131, 77), 5, (255, 255, 255), -1)
    for view in (View((120.0, 90.0), 100.0, rotation=25.0), View((120.0, 90.0), 80.0, -40.0, True)):
        picture = view.show(image, SIZE)[..., 0].astype(float)
        rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
        middle = np.array([(columns * picture).sum(), (rows * picture).sum()]) / picture.sum()
        assert np.allclose(middle, transform(blob, view.to_output(SIZE)), atol=0.05)


def test_a_mirrored_view_is_the_view_of_a_mirrored_image():
    image = np.random.default_rng(0).integers(0, 255, (200, 240, 3), dtype=np.uint8)
    view = View((120.0, 90.0), 96.0, rotation=90.0)
    there = View((239 - 120.0, 90.0), 96.0, rotation=90.0)
    mirrored = replace(view, mirrored=True).show(image, SIZE)
    assert np.array_equal(mirrored, there.show(image[:, ::-1].copy(), SIZE))


def test_pixels_are_normalised_by_imagenets_mean_and_deviation():
    picture = np.zeros((2, 3, 3), np.uint8)
    picture[1, 2] = 255
    found = normalize(picture)
    assert found.shape == (3, 2, 3)
    black, white = [-0.485 / 0.229, -0.456 / 0.224, -0.406 / 0.225], [0.515, 0.544, 0.594]
    assert found[:, 0, 0].tolist() == pytest.approx(black)
    assert found[:, 1, 2].tolist() == pytest.approx(np.divide(white, [0.229, 0.224, 0.225]))


def test_views_vary_as_in_mmpose():
    """By normal deviates: of the size within one deviation, of the direction within two."""
    np.random.seed(0)
    views = [View((0, 0), 100).jitter(0.25, 10, 0.6) for _ in range(5000)]
    widths, turns = (
        np.array([getattr(view, name) for view in views]) for name in ("width", "rotation")
    )
    assert (widths.min(), widths.max()) == (75, 125)
    assert np.mean(np.abs(widths - 100) == 25) == pytest.approx(0.317, abs=0.02)
    turned = turns[turns != 0]
    assert (turned.min(), turned.max()) == (-20, 20)
    assert len(turned) / len(turns) == pytest.approx(0.6, abs=0.02)
    assert np.mean(np.abs(turned) == 20) == pytest.approx(0.0455, abs=0.01)
