"""The CPU's forms of operators against PyTorch's own in float64."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from mogabench.ops.channels_last import GELU, PointwiseConv2d, in_groups, suits_cpu, suits_product
from mogabench.ops.depthwise import DepthwiseConv2d, convolve_multi_order

SIZES = [(1, 1), (1, 9), (2, 3), (4, 4), (7, 7), (8, 5), (13, 17)]
KINDS = [(3, 1), (5, 1), (5, 2), (7, 3)]


def channels_last(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(*shape).to(dtype, memory_format=torch.channels_last)


def relative_error(found: Tensor, expected: Tensor) -> float:
    return float((found.double() - expected).norm() / expected.norm().clamp(min=1e-30))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("kernel", "dilation"), KINDS)
def test_depthwise_and_its_gradients(kernel: int, dilation: int, size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    layer = DepthwiseConv2d(6, kernel, dilation)
    # A slice of more channels, in place, as the multi-order branches take it.
    x = channels_last(3, 10, *size)[:, 2:8]
    assert suits_cpu(x)
    grad = torch.randn(3, 6, *size)
    inputs = [value.detach().double().requires_grad_() for value in (x, layer.weight, layer.bias)]
    expected = functional.conv2d(*inputs, 1, dilation * (kernel // 2), dilation, 6)
    expected_grads = torch.autograd.grad(expected, inputs, grad.double())

    x.requires_grad_()
    found = layer(x)
    grads = torch.autograd.grad(found, [x, layer.weight, layer.bias], grad)

    assert relative_error(found, expected) < 1e-6
    for one, other in zip(grads, expected_grads, strict=True):
        assert one.shape == other.shape and relative_error(one, other) < 1e-5
    with torch.no_grad():
        assert relative_error(layer(x), expected) < 1e-6
        assert relative_error(layer.with_gelu(x), functional.gelu(expected)) < 1e-5


@pytest.mark.parametrize(
    ("dim", "sizes"),
    [(2**10, [2, 2, 1]), (2**12, [1] * 5), (2**8, [5])],  # 4, 16 and 1 MiB an image of float32
)
def test_images_go_through_in_groups_that_the_cache_holds(dim: int, sizes: list[int]) -> None:
    x = channels_last(5, 3, 32, 32)
    seen = []

    def double(group: Tensor) -> Tensor:
        seen.append(len(group))
        return 2 * group

    out = in_groups(double, x, dim)
    assert torch.equal(out, 2 * x) and out.is_contiguous(memory_format=torch.channels_last)
    assert seen == sizes
    in_groups(double, x.contiguous(), dim)
    assert seen[-1] == 5  # in another layout nothing is gained


def test_an_exported_graph_takes_a_batch_of_any_size() -> None:
    class Grouped(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return in_groups(functional.relu, x, 2**10)  # two at once

    x, batch = channels_last(2, 3, 32, 32), {0: torch.export.Dim.DYNAMIC}
    program = torch.export.export(Grouped(), (x,), dynamic_shapes=(batch,)).module()
    for images in (x[:1], x.repeat(5, 1, 1, 1)):
        assert torch.equal(program(images), images.relu())


@pytest.mark.parametrize("widths", [(2, 6, 8), (0, 3, 5), (4, 0, 4), (3, 5, 0)])
def test_orders_in_one_buffer(widths: tuple[int, int, int]) -> None:
    torch.manual_seed(0)
    dim = sum(widths)
    x = channels_last(2, dim, 7, 5)
    shapes = [(dim, 5), (widths[1], 5), (widths[2], 7)]
    weights = [torch.randn(c, 1, k, k) for c, k in shapes]
    biases = [torch.randn(c) for c, _ in shapes]
    parts = list(
        functional.conv2d(x.double(), weights[0].double(), biases[0].double(), 1, 2, 1, dim).split(
            widths, dim=1
        )
    )
    for order, dilation, padding in ((1, 2, 4), (2, 3, 9)):
        if widths[order]:
            weight, bias = weights[order].double(), biases[order].double()
            parts[order] = functional.conv2d(
                parts[order], weight, bias, 1, padding, dilation, len(weight)
            )
    with torch.no_grad():
        found = convolve_multi_order(x, weights, biases)
    assert found is not None and relative_error(found, torch.cat(parts, dim=1)) < 1e-6


def test_pointwise_and_gelu_with_gradients() -> None:
    torch.manual_seed(0)
    layer, x = PointwiseConv2d(5, 7), channels_last(2, 5, 4, 3).requires_grad_()
    reference = x.detach().double().requires_grad_()
    grad = torch.randn(2, 7, 4, 3)
    weight, bias = layer.weight.detach().double(), layer.bias.detach().double()
    expected = functional.gelu(functional.conv2d(reference, weight, bias))
    found = GELU()(layer(x))
    assert found.is_contiguous(memory_format=torch.channels_last)
    assert relative_error(found, expected) < 1e-6
    (one,) = torch.autograd.grad(found, x, grad)
    (other,) = torch.autograd.grad(expected, reference, grad.double())
    assert relative_error(one, other) < 1e-6


@pytest.mark.parametrize("size", [(1, 1), (9, 8)])
def test_types_under_autocast(size: tuple[int, int]) -> None:
    layer = nn.Sequential(DepthwiseConv2d(6, 7, 3), GELU(), PointwiseConv2d(6, 4))
    x = channels_last(2, 6, *size)
    with torch.autocast("cpu", torch.bfloat16):
        found, plain = layer(x), layer(x.contiguous())
    assert found.dtype == plain.dtype == torch.bfloat16
    assert relative_error(found, plain.double()) < 2e-2


def test_other_maps_take_pytorchs_own() -> None:
    layer, x = DepthwiseConv2d(6, 7, 3), torch.randn(2, 6, 5, 5)
    assert torch.equal(layer(x), functional.conv2d(x, layer.weight, layer.bias, 1, 9, 3, 6))


def test_traced_and_exported_layers_take_pytorchs_own() -> None:
    layer = nn.Sequential(DepthwiseConv2d(6, 7, 3), GELU(), PointwiseConv2d(6, 4)).eval()
    x = channels_last(2, 6, 5, 5)
    traced = torch.jit.trace(layer, x).inlined_graph
    for graph in (traced, torch.export.export(layer, (x,)).graph):
        assert "linear" not in str(graph) and "conv" in str(graph)
    symbolic = torch.fx.symbolic_trace(layer)
    assert relative_error(symbolic(x), layer(x).double()) < 1e-6


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_pointwise_on_a_gpu(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    layer = PointwiseConv2d(24, 40).to("cuda", dtype)
    x = channels_last(2, 24, 7, 5, dtype=dtype).cuda()
    assert suits_product(x) and not suits_product(x.float())
    grad = torch.randn(2, 40, 7, 5).to("cuda", dtype)
    inputs = [x.requires_grad_(), layer.weight, layer.bias]
    exact = [value.detach().cpu().double().requires_grad_() for value in inputs]
    expected = functional.conv2d(*exact)
    found = layer(x)
    assert found.is_contiguous(memory_format=torch.channels_last)
    grads = torch.autograd.grad(found, inputs, grad)
    expected_grads = torch.autograd.grad(expected, exact, grad.cpu().double())
    for one, other in zip([found, *grads], [expected, *expected_grads], strict=True):
        assert relative_error(one.cpu(), other) < 1e-2
