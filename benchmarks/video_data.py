"""Times the generator of Moving MNIST against a loop over frames, and checks that they agree.

    python benchmarks/video_data.py

The loop is the definition written straight down, frame by frame, as OpenSTL goes about it. Both
draw the same scenes; the project's aim is a ratio of 10 or more on one core.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import numpy as np

from mogabench.tasks.video.moving import CANVAS, FRAMES, draw_scenes, render

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from mogabench.tasks.video.moving import Scenes

BATCH, ROUNDS = 16, 30
SIZE, STEP = 28, 0.1


def path(start: NDArray[np.float64], angle: float) -> tuple[NDArray[np.int64], ...]:
    """The upper left corners of a digit in each frame: rows, and columns."""
    y, x = start
    step_y, step_x = STEP * np.sin(angle), STEP * np.cos(angle)
    rows, columns = np.zeros(FRAMES), np.zeros(FRAMES)
    for frame in range(FRAMES):
        y, x = y + step_y, x + step_x
        if y <= 0:
            y, step_y = 0, -step_y
        if y >= 1:
            y, step_y = 1, -step_y
        if x <= 0:
            x, step_x = 0, -step_x
        if x >= 1:
            x, step_x = 1, -step_x
        rows[frame], columns[frame] = y, x
    free = CANVAS - SIZE
    return (free * rows).astype(np.int64), (free * columns).astype(np.int64)


def render_by_loop(images: NDArray[np.uint8], scenes: Scenes) -> NDArray[np.float32]:
    """The definition: every digit of every frame in turn, on a canvas of floats."""
    video = np.zeros((len(scenes.digits), FRAMES, CANVAS, CANVAS), np.float32)
    for frames, digits, starts, angles in zip(
        video, scenes.digits, scenes.starts, scenes.angles, strict=True
    ):
        for digit, start, angle in zip(digits, starts, angles, strict=True):
            for frame, top, left in zip(frames, *path(start, angle), strict=True):
                bottom, right = top + SIZE, left + SIZE
                frame[top:bottom, left:right] = np.maximum(
                    frame[top:bottom, left:right], images[digit]
                )
    return video


def seconds(work: Callable[[], object]) -> float:
    """The shortest of several runs: the others had less of the core."""
    laps = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        work()
        laps.append(time.perf_counter() - began)
    return min(laps)


def main() -> None:
    random = np.random.default_rng(0)
    images = random.integers(256, size=(5000, SIZE, SIZE), dtype=np.uint8)
    scenes = draw_scenes(random, BATCH, len(images))
    ours = seconds(lambda: render(images, scenes)) / BATCH
    loop = seconds(lambda: render_by_loop(images, scenes)) / BATCH
    print(
        f"{BATCH} sequences at a time: {1e6 * ours:.1f} us a sequence, by the loop "
        f"{1e6 * loop:.1f} us: {loop / ours:.1f} times as fast"
    )
    many = draw_scenes(random, 2000, len(images))
    if not np.array_equal(render(images, many), render_by_loop(images, many)):
        sys.exit("the two do not draw the same")
    print("2000 other sequences are equal, pixel by pixel")


if __name__ == "__main__":
    main()
