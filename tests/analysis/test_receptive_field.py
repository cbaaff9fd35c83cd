"""Receptive fields of networks whose contributions are known in closed form."""

from math import comb

import numpy as np
import pytest
import torch
from torch import nn

from mogabench.analysis.features import as_map, last_map
from mogabench.analysis.receptive_field.field import THRESHOLDS, contributions, measure
from mogabench.errors import UserError


class Features(nn.Module):
    """A network whose feature map is what a function makes of the images."""

    def __init__(self, function) -> None:
        super().__init__()
        self.forward_features = function


def convolution(kernel, stride=1, channels=3):
    """A convolution that keeps size and sums over its input channels."""
    kernel = torch.as_tensor(kernel, dtype=torch.float32)
    layer = nn.Conv2d(channels, 1, len(kernel), stride, len(kernel) // 2, bias=False)
    nn.init.zeros_(layer.weight)
    layer.weight.data += kernel
    return layer


def fields(network, size, count=3):
    images = torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(0)) + 0.1
    return measure(network, images, batch_size=2, seed=0, quiet=True)


@pytest.mark.parametrize("size", [11, 12])
def test_a_box_filter_contributes_evenly(size):
    found = fields(Features(convolution(torch.ones(5, 5))), size)
    # Of 25 pixels, one is 4 % and nine are 36 %.
    expected = [9, 9, 25, 25]
    assert found.ratios[:4] == pytest.approx([pixels / size**2 for pixels in expected])
    assert torch.equal(found.ratios[:4], found.ratios[4:])
    assert found.squares.centre == (size // 2, size // 2)
    assert found.error.tolist() == [0] * 8


def test_stacked_convolutions_contribute_binomially():
    size, layers = 31, 6
    weights = torch.tensor([1.0, 2.0, 1.0])
    stack = [convolution(torch.outer(weights, weights))]
    stack += [convolution(torch.outer(weights, weights), channels=1) for _ in range(layers - 1)]
    found = fields(Features(nn.Sequential(*stack)), size)
    row = [comb(2 * layers, layers + offset) for offset in range(-15, 16) if abs(offset) <= layers]
    known = np.pad(3 * np.outer(row, row), 15 - layers)
    assert np.allclose(found.contribution, known, rtol=1e-5)
    for scores, ratios in ((known, found.ratios[:4]), (np.log10(known + 1), found.ratios[4:])):
        for threshold, ratio in zip(THRESHOLDS, ratios, strict=True):
            side = round(float(ratio) ** 0.5 * size)
            holds, smaller = (
                scores[15 - r : 16 + r, 15 - r : 16 + r].sum() for r in (side // 2, side // 2 - 1)
            )
            assert holds >= threshold * scores.sum() > smaller or side == 1
    assert float(found.ratios[0]) < float(found.ratios[4])  # the logarithm widens the field


def test_a_pointwise_network_sees_one_pixel():
    found = fields(Features(lambda x: x.square()), 14)
    assert found.ratios.tolist() == pytest.approx([1 / 14**2] * 8)


@pytest.mark.parametrize("size", [20, 21])
def test_of_a_network_that_sees_all_alike_the_area_is_the_contribution(size):
    found = fields(Features(lambda x: x.mean((2, 3), keepdim=True).expand_as(x)), size)
    step = 4 / size  # between the areas of two squares, at most
    for threshold, ratio in zip(THRESHOLDS, found.ratios, strict=False):
        assert threshold <= float(ratio) <= threshold + step
    assert torch.allclose(found.squares.area, found.squares.contribution)


def test_the_squares_are_around_the_centre_of_the_field_and_not_of_the_image():
    # Position 3 of 7 lies at pixel 3 x 32 behind five padded convolutions of stride 2, ...
    strided = [convolution(torch.ones(3, 3), 2, channels) for channels in (3, 1, 1, 1, 1)]
    found = fields(Features(nn.Sequential(*strided)), 224)
    assert found.squares.centre == (96, 96)
    assert int((found.contribution > 0).any(dim=0).sum()) == 1 + 2 * (1 + 2 + 4 + 8 + 16)
    # ... and behind patches of 32 pixels in the middle of the image.
    patches = nn.Conv2d(3, 1, 32, 32, bias=False)
    nn.init.ones_(patches.weight)
    found = fields(Features(patches), 224)
    assert found.squares.centre[0] in (111, 112)
    assert float(found.ratios[3]) == pytest.approx((32 / 224) ** 2, rel=0.1)


def test_the_standard_error_is_that_over_images():
    box = convolution(torch.full((3, 3), 1 / 9))
    point = convolution(torch.tensor([[0.0, 0, 0], [0, 1, 0], [0, 0, 0]]))

    def choose(x):
        bright = (x.mean((1, 2, 3), keepdim=True) > 0.5).float()
        return bright * point(x) + (1 - bright) * box(x)

    images = [torch.full((3, 9, 9), value) for value in (0.2, 0.8)]
    found = measure(Features(choose), images, batch_size=1, seed=1, quiet=True)
    # Half lies in one pixel, unless both images drawn are the dark one: then in nine.
    assert float(found.ratios[2]) == pytest.approx(1 / 81)
    assert float(found.error[2]) == pytest.approx(8 / 81 * (0.25 * 0.75) ** 0.5, rel=0.15)


def test_a_final_layer_norm_does_not_hide_the_field():
    torch.manual_seed(0)
    embed, norm = nn.Conv2d(3, 8, 3, padding=1), nn.LayerNorm(8)
    network = Features(lambda x: norm(embed(x).permute(0, 2, 3, 1)))
    network.output_fmt = "NHWC"
    seen = contributions(network, torch.rand(1, 3, 9, 9))[0]
    assert (seen > 1e-3).sum() > 4
    assert (seen[:3] == 0).all() and (seen[3:6, 3:6] > 0).any()


def test_layouts_of_features():
    maps, images = torch.rand(2, 5, 2, 8), torch.rand(2, 3, 32, 128)
    network = Features(None)
    assert torch.equal(as_map(maps, network, images), maps)
    tokens = maps.flatten(2).transpose(1, 2)
    assert torch.equal(as_map(tokens, network, images), maps)
    network.num_prefix_tokens = 2
    assert torch.equal(as_map(torch.cat([tokens[:, :2], tokens], 1), network, images), maps)
    network.output_fmt = "NHWC"
    assert torch.equal(as_map(maps.permute(0, 2, 3, 1), network, images), maps)
    for bad in (tokens[:, 1:], [maps], maps[0, 0]):
        with pytest.raises(UserError, match=r"not a map of 32x128|no single feature map"):
            as_map(bad, network, images)
    with pytest.raises(UserError, match="has no forward_features"):
        last_map(nn.Identity(), maps)


def test_a_field_that_does_not_exist_is_refused():
    with pytest.raises(UserError, match="no pixel contributes"):
        fields(Features(lambda x: -x), 8)
    with pytest.raises(UserError, match="a standard error needs two"):
        fields(Features(lambda x: x), 8, count=1)
