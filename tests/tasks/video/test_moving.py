import runpy
from pathlib import Path

import numpy as np
import pytest

from mogabench.tasks.video.moving import Scenes, draw_scenes, render

ROOT = Path(__file__).parents[3]


def one_digit(start, angle):
    return Scenes(np.array([[0]]), np.array([[start]], dtype=float), np.array([[angle]]))


def test_draws_what_a_loop_over_frames_draws():
    loop = runpy.run_path(str(ROOT / "benchmarks" / "video_data.py"))["render_by_loop"]
    random = np.random.default_rng(1)
    images = random.integers(256, size=(30, 28, 28), dtype=np.uint8)
    scenes = draw_scenes(random, 200, len(images))
    assert np.array_equal(render(images, scenes), loop(images, scenes))


def test_a_digit_goes_a_tenth_of_the_way_a_frame_and_bounces():
    image = np.full((1, 28, 28), 9, np.uint8)
    video = render(image, one_digit((0.5, 0.05), 0.0))[0]
    lefts = [int(np.flatnonzero(frame.any(0))[0]) for frame in video]
    # x is .15, .25, … .95, then the wall at 1, and back from there; the free way is 36 pixels.
    there = [int(36 * x) for x in (0.15, 0.25, 0.35, 0.45, 0.55, 0.65, 0.75, 0.85, 0.95)]
    back = [int(36 * x) for x in (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.0)]
    assert lefts == pytest.approx(there + back, abs=1)
    assert lefts[9] == 36
    assert [int(np.flatnonzero(frame.any(1))[0]) for frame in video] == [18] * 20


def test_a_digit_stays_whole():
    random = np.random.default_rng(2)
    images = random.integers(256, size=(5, 28, 28), dtype=np.uint8)
    drawn = draw_scenes(random, 300, len(images))
    scenes = Scenes(drawn.digits[:, :1], drawn.starts[:, :1], drawn.angles[:, :1])
    sums = render(images, scenes).sum((2, 3))
    assert (sums == images.sum((1, 2))[scenes.digits]).all()


def test_the_brighter_pixel_wins():
    images = np.stack([np.full((28, 28), value, np.uint8) for value in (100, 200)])
    places = np.array([[[0.5, 0.5], [0.5, 0.5]]])
    for order in ([0, 1], [1, 0]):
        scenes = Scenes(np.array([order]), places, np.zeros((1, 2)))
        video = render(images, scenes)
        assert set(np.unique(video)) == {0, 200}


def test_frames_and_canvas_may_be_others():
    images = np.full((3, 28, 28), 255, np.uint8)
    scenes = draw_scenes(np.random.default_rng(0), 4, 3)
    assert render(images, scenes, frames=6, canvas=40).shape == (4, 6, 40, 40)
