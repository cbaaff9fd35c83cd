"""Single layers against numbers worked out by hand."""

from __future__ import annotations

import pytest
import torch
from timm.models.swin_transformer import WindowAttention
from torch import nn
from torch.nn import functional
from torchvision.ops import deform_conv2d

from mogabench.measure.complexity import Complexity, ModuleNode, count


class Call(nn.Module):
    """A function as a module."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, *inputs):
        return self.function(*inputs)


def count_on_meta(module: nn.Module, *shapes: tuple[int, ...], dtype=torch.float32) -> Complexity:
    inputs = [torch.empty(shape, dtype=dtype, device="meta") for shape in shapes]
    with torch.device("meta"):
        return count(module.eval().to("meta"), *inputs)


def operations(module: nn.Module, *shapes: tuple[int, ...], **kwargs) -> tuple[int, int, int]:
    counted = count_on_meta(module, *shapes, **kwargs)
    assert not counted.unknown
    return tuple(counted.operations[name] for name in ("matmul", "fvcore", "paper"))


# The comments give output elements x multiplications for each, then the bias if there is one.
@pytest.mark.parametrize(
    ("layer", "shape", "macs", "bias"),
    [
        # (8 x 16 x 16) x (3 x 3 x 3)
        (nn.Conv2d(3, 8, 3, stride=2, padding=1), (1, 3, 32, 32), 2048 * 27, 2048),
        # 2 x (12 x 6 x 6) x (2 x 3 x 3): dilation 2 makes the kernel 5 wide
        (nn.Conv2d(8, 12, 3, groups=4, dilation=2, bias=False), (2, 8, 10, 10), 864 * 18, 0),
        # (6 x 9 x 9) x (4 x 4); an even kernel is padded on one side more
        (nn.Conv2d(6, 6, 4, groups=6, padding="same"), (1, 6, 9, 9), 486 * 16, 486),
        (nn.Conv2d(6, 6, 3, padding=1, padding_mode="circular"), (1, 6, 9, 9), 486 * 54, 486),
        # (6 x 20) x (4 x 5)
        (nn.Conv1d(4, 6, 5, padding=2), (1, 4, 20), 120 * 20, 120),
        # (4 x 3 x 8 x 8) x (2 x 1 x 3 x 3)
        (nn.Conv3d(2, 4, (1, 3, 3), padding=(0, 1, 1)), (1, 2, 3, 8, 8), 768 * 18, 768),
        # input elements (6 x 5 x 5) x (4 x 4 x 4); the output is 4 x 10 x 10
        (nn.ConvTranspose2d(6, 4, 4, stride=2, padding=1), (1, 6, 5, 5), 150 * 64, 400),
        # input elements (6 x 7) x (2 x 3)
        (nn.ConvTranspose1d(6, 4, 3, groups=2, bias=False), (1, 6, 7), 42 * 6, 0),
        # unbatched: (8 x 4 x 4) x 3
        (nn.Conv2d(3, 8, 1), (3, 4, 4), 128 * 3, 128),
    ],
    ids=str,
)
@pytest.mark.filterwarnings("ignore:Using padding='same'")
def test_convolution(layer, shape, macs, bias):
    assert operations(layer, shape) == (macs, macs, macs + bias)


@pytest.mark.filterwarnings("ignore:Initializing zero-element")
def test_convolution_without_channels():
    assert operations(nn.Conv2d(0, 0, 3, padding=1), (1, 0, 8, 8)) == (0, 0, 0)


def test_linear_on_tokens():
    assert operations(nn.Linear(10, 5), (2, 7, 10)) == (700, 700, 700)


@pytest.mark.parametrize(
    ("layer", "shape", "fvcore", "paper"),
    [
        (nn.BatchNorm2d(4), (2, 4, 5, 5), 2 * 200, 2 * 200),
        (nn.BatchNorm1d(4, affine=False), (2, 4, 5), 40, 40),
        (nn.LayerNorm(10), (2, 7, 10), 5 * 140, 2 * 140),
        (nn.LayerNorm(10, elementwise_affine=False), (2, 7, 10), 4 * 140, 140),
        (nn.GroupNorm(2, 4), (2, 4, 5, 5), 5 * 200, 2 * 200),
        (nn.InstanceNorm2d(4), (2, 4, 5, 5), 4 * 200, 200),
        (nn.MaxPool2d(2), (1, 3, 8, 8), 0, 192),
        (nn.AvgPool2d(2), (1, 3, 8, 8), 0, 192),
        (nn.AdaptiveAvgPool2d(1), (1, 3, 8, 8), 192, 192),
        (Call(lambda x: functional.adaptive_avg_pool2d(x, 2)), (1, 3, 8, 8), 192, 0),
        (Call(lambda x: x.mean((2, 3))), (1, 3, 8, 8), 0, 0),
        (nn.Upsample(scale_factor=2), (1, 3, 8, 8), 768, 768),
        (nn.Upsample(scale_factor=2, mode="bilinear"), (1, 3, 8, 8), 4 * 768, 768),
        (Call(lambda x: functional.interpolate(x, scale_factor=2.0)), (1, 3, 8, 8), 768, 0),
        (nn.ReLU(), (1, 3, 8, 8), 0, 192),
        (nn.GELU(), (1, 3, 8, 8), 0, 0),
        (nn.SiLU(), (1, 3, 8, 8), 0, 0),
    ],
    ids=str,
)
def test_layers_without_matrix_products(layer, shape, fvcore, paper):
    assert operations(layer, shape) == (0, fvcore, paper)


def test_grid_sampler():
    sample = Call(lambda image, grid: functional.grid_sample(image, grid, align_corners=False))
    assert operations(sample, (1, 3, 8, 8), (1, 4, 4, 2)) == (0, 4 * 48, 0)


@pytest.mark.parametrize("fused", [True, False])
def test_multi_head_attention(fused):
    """5 tokens of 8 channels: 5x8x24 to project, 5x5x8 twice to attend, 5x8x8 to project back."""
    attention = nn.MultiheadAttention(8, 2, batch_first=True)
    attend = Call(lambda x: attention(x, x, x, need_weights=not fused))
    attend.attention = attention
    counted = count_on_meta(attend, (1, 5, 8))
    assert counted.operations == {"matmul": 1680, "fvcore": 1680, "paper": 0}
    assert counted.activations == 5 * 24 + 2 * 5 * 5 + 5 * 8 + 5 * 8


@pytest.mark.parametrize("fused", [True, False])
def test_window_attention(fused):
    """3 windows of 16 tokens of 8 channels; the paper's rule sees the two linear layers only."""
    attention = WindowAttention(8, num_heads=2, window_size=4)
    attention.fused_attn = fused
    projections, products = 48 * 8 * 24 + 48 * 8 * 8, 2 * 3 * 16 * 16 * 8
    whole = projections + products
    assert operations(attention, (3, 16, 8)) == (whole, whole, projections)


def test_attention_with_fewer_keys_and_wider_values():
    attend = Call(functional.scaled_dot_product_attention)
    counted = count_on_meta(attend, (1, 2, 3, 4), (1, 2, 5, 4), (1, 2, 5, 6))
    scores = 2 * 3 * 5
    assert counted.operations["matmul"] == scores * 4 + scores * 6
    assert counted.activations == scores + 2 * 3 * 6


@pytest.mark.parametrize(
    ("product", "shapes", "macs"),
    [
        (torch.matmul, [(4, 3), (3,)], 12),
        (torch.matmul, [(5, 1, 2, 3), (4, 3, 6)], 5 * 4 * 2 * 3 * 6),
        (torch.baddbmm, [(2, 3, 5), (2, 3, 4), (2, 4, 5)], 2 * 3 * 4 * 5),
        (lambda a, b: torch.einsum("bhnc,bhcd->bhnd", a, b), [(2, 3, 4, 5), (2, 3, 5, 6)], 720),
        (lambda a, b: torch.einsum("nd,nd->n", a, b), [(7, 3), (7, 3)], 21),
    ],
)
def test_matrix_products(product, shapes, macs):
    assert operations(Call(product), *shapes) == (macs, macs, 0)


@pytest.mark.parametrize(
    ("transform", "shape", "dtype", "macs"),
    [
        # 2 planes of 64 points: 5/2 x 128 log2(64) operations, halved
        (torch.fft.rfft2, (1, 2, 8, 8), torch.float32, 960),
        (torch.fft.irfft2, (1, 2, 8, 5), torch.complex64, 960),
        (torch.fft.fft2, (1, 2, 8, 8), torch.complex64, 1920),
        # 3 rows of 8 points: 5 x 24 log2(8) operations, halved
        (torch.fft.fft, (3, 8), torch.complex64, 180),
    ],
)
def test_fourier_transform_counts_in_fvcore_only(transform, shape, dtype, macs):
    assert operations(Call(transform), shape, dtype=dtype) == (0, macs, 0)


def test_deformable_convolution():
    """(6 x 5 x 5) x (4 x 3 x 3), and 4 for each of the 25 x 9 x 4 values sampled."""
    weight = torch.empty(6, 4, 3, 3, device="meta")
    layer = Call(lambda x, offset: deform_conv2d(x, offset, weight, padding=1))
    assert operations(layer, (1, 4, 5, 5), (1, 18, 5, 5)) == (5400, 5400 + 3600, 0)


@torch.library.custom_op("mogabench_test::blur", mutates_args=())
def blur(x: torch.Tensor) -> torch.Tensor:
    return x.clone()


blur.register_fake(torch.empty_like)


def test_unknown_operator_is_reported_by_name():
    model = nn.Sequential(nn.Linear(4, 4), Call(blur), Call(blur))
    counted = count_on_meta(model, (2, 4))
    assert counted.unknown == {"mogabench_test::blur": 2}
    assert counted.operations["matmul"] == 32


def test_shared_module_and_tied_weight_count_once_as_parameters_and_twice_as_work():
    with torch.device("meta"):
        linear, tied = nn.Linear(4, 4), nn.Linear(4, 4)
    tied.weight = linear.weight
    model = nn.Sequential(linear, linear, tied).requires_grad_(False)
    tied.bias.requires_grad_(True)
    counted = count_on_meta(model, (1, 4))
    assert counted.parameters == 16 + 4 + 4
    assert counted.trainable_parameters == 4
    assert counted.operations["matmul"] == 3 * 16
    assert [child.operations["matmul"] for child in counted.tree.children] == [32, 16]


def test_tree_attributes_work_to_the_module_that_does_it():
    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.ModuleList([nn.Linear(4, 4), nn.Sequential(nn.Linear(4, 2))])
            self.out = nn.Parameter(torch.empty(2, 3))

        def forward(self, x):
            for layer in self.layers:
                x = layer(x)
            return x @ self.out

    def outline(node: ModuleNode):
        children = [outline(child) for child in node.children]
        return node.name, node.type, node.parameters, node.operations["matmul"], children

    assert outline(count_on_meta(Network(), (1, 4)).tree) == (
        *("", "Network", 36, 16 + 8 + 6),
        [
            (
                *("layers", "ModuleList", 30, 24),
                [
                    ("0", "Linear", 20, 16, []),
                    ("1", "Sequential", 10, 8, [("0", "Linear", 10, 8, [])]),
                ],
            )
        ],
    )


class Residual(nn.Sequential):
    def forward(self, x):
        return x + super().forward(x)


@pytest.mark.parametrize(
    ("model", "peak"),
    [
        # input 3, then 4, 8 and 1 channels: the most is 3 + 4 + 8
        (nn.Sequential(nn.Conv2d(3, 4, 1), nn.Conv2d(4, 8, 1), nn.Conv2d(8, 1, 1)), 3 + 4 + 8),
        # the branch keeps its 4 channels alive beside 16 and 4 more
        (
            nn.Sequential(
                nn.Conv2d(3, 4, 1),
                Residual(nn.Conv2d(4, 16, 1), nn.Conv2d(16, 4, 1)),
            ),
            3 + 4 + 16 + 4,
        ),
        # in-place and viewing layers hold nothing of their own
        (nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(inplace=True), nn.Flatten(2)), 3 + 4),
        (nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU()), 3 + 4 + 4),
    ],
)
def test_peak_activation_memory(model, peak):
    assert count_on_meta(model, (1, 3, 8, 8)).peak_activation_memory == peak * 64 * 4
