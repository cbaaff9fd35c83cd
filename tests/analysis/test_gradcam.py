"""Activation maps compared with Grad-CAM's definition, worked out beside the code under test."""

import numpy as np
import pytest
import timm
import torch
from torch import nn

import mogabench.models  # noqa: F401  registers MogaNet
from mogabench.analysis.gradcam.cam import Activation, activation_map
from mogabench.analysis.gradcam.layer import choose_layer
from mogabench.analysis.grid import Grid, find_grid
from mogabench.errors import UserError

SIZE = (64, 96)  # not square: rows and columns cannot change places


class TwoChannels(nn.Module):
    """The positive and the negative part of a grey image, averaged and weighted.

    Its one ReLU runs twice, works in place, and its last output is what is averaged.
    """

    def __init__(self) -> None:
        super().__init__()
        self.split = nn.Conv2d(1, 2, 1, bias=False)
        self.act = nn.ReLU(inplace=True)
        self.classify = nn.Linear(2, 2, bias=False)
        self.split.weight.data = torch.tensor([1.0, -1.0]).view(2, 1, 1, 1)
        self.classify.weight.data = torch.tensor([[6.0, -12.0], [-6.0, 0.0]])

    def forward(self, x):
        self.act(x[:, :, :1, :1].clone())
        return self.classify(self.act(self.split(x)).mean(dim=(2, 3)))


def test_a_map_worked_out_by_hand():
    network = TwoChannels().eval()
    image = torch.tensor([[[1.0, -1.0, 0.0], [2.0, 3.0, -2.0]]])
    layer = choose_layer(network, image)
    assert (layer.name, layer.grid) == ("act", Grid("NCHW", 2, 3))
    # d logit / d A_k = w_k / 6 everywhere: class 0 weighs the channels by 1 and -2, class 1 by -1.
    assert activation_map(network, image, layer, 0).tolist() == [[1, 0, 0], [2, 3, 0]]
    assert not activation_map(network, image, layer, 1).any()
    # The convolution's output has gradients where it is positive, at 3 and 2 of 6 positions: the
    # channels weigh 1/2 and -2/3, and are x and -x.
    signed = activation_map(network, image, choose_layer(network, image, "split"), 0)
    np.testing.assert_allclose(signed, 7 / 6 * image[0].clamp(min=0), rtol=1e-6)


def resnet(network, x):
    x = network.maxpool(network.act1(network.bn1(network.conv1(x))))
    x = network.layer4(network.layer3(network.layer2(network.layer1(x))))
    return x, lambda x: network.fc(x.mean(dim=(2, 3)))


def convnext(network, x):
    x = network.stages(network.stem(x))
    return x, lambda x: network.head.fc(
        network.head.norm(x.mean(dim=(2, 3), keepdim=True))[..., 0, 0]
    )


def swin(network, x):
    x = network.layers(network.patch_embed(x)).permute(0, 3, 1, 2)
    return x, lambda x: network.head.fc(network.norm(x.permute(0, 2, 3, 1)).mean(dim=(1, 2)))


def moganet(network, x):
    for number in (1, 2, 3):
        for part in ("patch_embed", "blocks", "norm"):
            x = getattr(network, f"{part}{number}")(x)
    x = network.blocks4(network.patch_embed4(x))
    return x, lambda x: network.head(network.norm4(x).mean(dim=(2, 3)))


def deit(network, x):
    *first, last = network.blocks
    x = torch.cat([network.cls_token, network.patch_embed(x)], dim=1) + network.pos_embed
    for block in first:
        x = block(x)
    normed = last.norm1(x)
    maps = torch.stack([normed[0, 1 + 6 * row : 7 + 6 * row].T for row in range(4)], dim=1)[None]

    def finish(maps):
        tokens = torch.cat([maps[0, :, row].T for row in range(4)])[None]
        y = x + last.attn(torch.cat([normed[:, :1], tokens], dim=1))
        y = y + last.mlp(last.norm2(y))
        return network.head(network.norm(y)[:, 0])

    return maps, finish


NETWORKS = {
    "resnet10t": (resnet, {}, (2, 3)),
    "convnext_atto": (convnext, {}, (2, 3)),
    "swin_tiny_patch4_window7_224": (
        swin,
        {"img_size": SIZE, "window_size": 2, "embed_dim": 24, "depths": (2, 2, 1, 1)},
        (2, 3),
    ),
    "moganet_xtiny": (moganet, {}, (2, 3)),
    "deit_tiny_patch16_224": (deit, {"img_size": SIZE, "depth": 3}, (4, 6)),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_maps_are_those_of_the_last_stage(name):
    by_hand, options, grid = NETWORKS[name]
    torch.manual_seed(0)
    network = timm.create_model(name, num_classes=5, **options).eval()
    for parameter in network.parameters():  # also what begins at zero or is the same for all
        nn.init.normal_(parameter, std=0.2 if parameter.ndim > 1 else 0.5)
    image = torch.randn(3, *SIZE)
    layer = choose_layer(network, image)
    with torch.no_grad():
        features, finish = by_hand(network, image[None])
        torch.testing.assert_close(finish(features), network(image[None]))
    features.requires_grad_()
    logits = finish(features)[0]
    found = 0
    for label in range(5):
        (gradient,) = torch.autograd.grad(logits[label], features, retain_graph=True)
        expected = (gradient.mean(dim=(2, 3), keepdim=True) * features).sum(dim=1)[0].relu()
        heat = activation_map(network, image, layer, label)
        assert heat.shape == expected.shape == grid
        scale = float(features.detach().abs().max() * gradient.abs().mean())
        np.testing.assert_allclose(heat, expected.detach(), rtol=1e-3, atol=1e-3 * scale)
        found += bool(expected.std() > 0.01 * scale)
    assert found >= 2  # else most maps are empty, and nothing was compared


@pytest.mark.parametrize(
    ("name", "options", "layer", "grid"),
    [
        # timm's feature_info names a module that is not there, and a final norm follows.
        ("twins_svt_small", {"depths": (1, 1, 1, 2)}, "blocks.3.1", Grid("NLC", 7, 7)),
        # Averages its tokens, the class token left out: the last block's output has gradients.
        ("beit_base_patch16_224", {"depth": 2}, "blocks.1", Grid("NLC", 14, 14, 1)),
        ("deit_tiny_distilled_patch16_224", {"depth": 2}, "blocks.1.norm1", Grid("NLC", 14, 14, 2)),
        ("pvt_tiny", {}, "blocks4.1.norm1", Grid("NLC", 7, 7, 1)),
        ("mambaout_femto", {}, "stages.3", Grid("NHWC", 7, 7)),
        ("efficientnet_lite0", {}, "blocks.6", Grid("NCHW", 7, 7)),
    ],
)
def test_the_layer_is_found(name, options, layer, grid):
    torch.manual_seed(0)
    network = timm.create_model(name, **options).eval()
    found = choose_layer(network, torch.randn(3, 224, 224))
    assert (found.name, found.grid) == (layer, grid)


def test_a_last_stage_of_one_position_is_passed_over():
    network = timm.create_model("moganet_xtiny").eval()
    found = choose_layer(network, torch.randn(3, 32, 32))
    assert (found.name, found.grid) == ("blocks3", Grid("NCHW", 2, 2))


def test_layers_that_show_nothing_are_refused():
    network = timm.create_model("deit_tiny_patch16_224", depth=2).eval()
    image = torch.randn(3, 224, 224)
    assert choose_layer(network, image, "blocks.0").name == "blocks.0"
    with pytest.raises(UserError, match="does not depend on several"):
        choose_layer(network, image, "blocks.1")
    with pytest.raises(UserError, match="not a map"):
        choose_layer(network, image, "head")
    with pytest.raises(UserError, match="did you mean blocks"):
        choose_layer(network, image, "blocks.11")
    hiera = timm.create_model("hiera_tiny_224", img_size=64, stages=(1, 1, 1, 1)).eval()
    nn.init.normal_(hiera.head.fc.weight)
    assert choose_layer(hiera, image[:, :64, :64], "blocks.3").grid == Grid("NLC", 2, 2)
    with pytest.raises(UserError, match="order in its last stage only"):
        choose_layer(hiera, image[:, :64, :64], "blocks.1")


def test_grids():
    assert find_grid((1, 24, 2, 3), SIZE) == Grid("NCHW", 2, 3)
    assert find_grid((1, 2, 3, 24), SIZE) == Grid("NHWC", 2, 3)
    assert find_grid((1, 3, 2, 24), SIZE) is None  # turned
    assert find_grid((1, 96, 96, 96), (384, 384)) == Grid("NCHW", 96, 96)
    assert find_grid((1, 96, 96, 96), (384, 384), "NHWC") == Grid("NHWC", 96, 96)
    assert find_grid((1, 261, 384), (256, 256)) == Grid("NLC", 16, 16, 5)  # four registers
    assert find_grid((1, 7 * 5 + 1, 8), (100, 66)) == Grid("NLC", 7, 5, 1)  # padded to 112 x 80
    assert find_grid((1, 512, 1, 1), SIZE) is None
    assert find_grid((4, 24, 2, 3), SIZE) is None  # windows


def test_the_area_of_half_the_heat():
    spread = Activation(np.ones((4, 5), np.float32), 0, 1.0, 0)
    assert spread.half_area == pytest.approx(0.5)
    gathered = np.zeros((4, 5), np.float32)
    gathered[1, 2], gathered[3, 3] = 3, 1
    assert Activation(gathered, 0, 1.0, 0).half_area == pytest.approx(2 / 3 / 20)
