import io

import numpy as np
import torch
from PIL import Image

from mogabench.tasks.video.drawing import GIF, PNG, DrawSequences, strip


def test_a_strip_shows_frames_in_order():
    frames = np.stack([np.full((8, 6), value, np.uint8) for value in (10, 20, 30)])
    pixels = np.asarray(strip([frames, frames + 100]))
    assert pixels.shape == (2 * (8 + 2) + 2, 3 * (6 + 2) + 2)
    assert [pixels[5, 3 + 8 * place] for place in range(3)] == [10, 20, 30]
    assert [pixels[15, 3 + 8 * place] for place in range(3)] == [110, 120, 130]


def test_draws_what_was_seen_what_came_and_what_was_predicted():
    frames = torch.zeros(5, 20, 1, 16, 16, dtype=torch.uint8)
    frames[:, 10:] = 50 + 5 * torch.arange(10, dtype=torch.uint8)[:, None, None, None]
    predicted = torch.full((5, 10, 1, 16, 16), 0.6)
    drawing = DrawSequences(10)
    drawing.begin()
    drawing.add({"frames": frames}, predicted)
    drawing.add({"frames": frames + 1}, predicted)  # the first batch is enough
    files = drawing.files()
    png = np.asarray(Image.open(io.BytesIO(files[PNG])))
    assert png.shape == (12 * 18 + 2, 10 * 18 + 2)
    assert [png[10 + 18 * row, 10] for row in range(3)] == [0, 50, 153]
    with Image.open(io.BytesIO(files[GIF])) as gif:
        assert (gif.n_frames, gif.size) == (10, (3 * 18 + 2, 4 * 18 + 2))


def test_draws_colours_and_predictions_of_another_length():
    frames = torch.zeros(1, 5, 3, 8, 8)
    frames[:, :, 0] = torch.tensor([1.0, 0.9, 0.8, 0.7, 0.6])[:, None, None]
    predicted = torch.zeros(1, 3, 3, 8, 8)
    predicted[:, :, 2] = 0.2
    drawing = DrawSequences(2)
    drawing.begin()
    drawing.add({"frames": frames}, predicted)
    files = drawing.files()
    png = np.asarray(Image.open(io.BytesIO(files[PNG])))
    assert png.shape == (3 * 10 + 2, 3 * 10 + 2, 3)
    assert png[5, 5].tolist() == [255, 0, 0] and png[25, 25].tolist() == [0, 0, 51]
    assert png[5, 25].tolist() == [96, 96, 96]  # two frames were seen
    with Image.open(io.BytesIO(files[GIF])) as gif:
        assert gif.n_frames == 3
