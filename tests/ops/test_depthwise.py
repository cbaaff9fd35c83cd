"""The Triton kernels in Triton's interpreter on the CPU, or on the GPU where there is one."""

import os
import subprocess
import sys

import pytest
import torch
from torch import Tensor, nn

from mogabench.ops import depthwise as module
from mogabench.ops import depthwise_kernels
from mogabench.ops.depthwise import DepthwiseConv2d, depthwise, multi_order
from mogabench.ops.depthwise_kernels import depthwise_sums
from mogabench.ops.exporting import is_exporting

ON_GPU = torch.cuda.is_available()
DEVICE = "cuda" if ON_GPU else "cpu"
in_interpreter = pytest.mark.skipif(
    not ON_GPU and os.environ.get("TRITON_INTERPRET") != "1",
    reason="runs in a process of its own, with the interpreter",
)

SHAPES = [
    # batch, channels, height, width, kernel, dilation
    (2, 8, 9, 11, 5, 1),
    (1, 24, 7, 7, 5, 2),
    (2, 40, 5, 13, 7, 3),
    (3, 70, 6, 3, 3, 1),
    (1, 5, 1, 1, 3, 1),
    (1, 2, 1, 17, 3, 2),
    (2, 136, 9, 20, 3, 1),
]
TOLERANCE = {torch.float32: 1e-5, torch.float16: 2e-3, torch.bfloat16: 1e-2}


@pytest.mark.slow
@pytest.mark.long
def test_in_the_interpreter() -> None:
    if ON_GPU:
        pytest.skip("the other tests run on the GPU")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-v",
        "-n",
        "0",
        "-p",
        "no:cacheprovider",
        "-k",
        "kernels",
    ]
    ended = subprocess.run(
        [*command, __file__],
        env={**os.environ, "TRITON_INTERPRET": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout
    assert " passed" in ended.stdout and "skipped" not in ended.stdout


def relative_error(found: Tensor, expected: Tensor) -> float:
    return float((found.cpu().double() - expected).norm() / expected.norm())


@pytest.fixture(params=["a row each", "rows one below the other"])
def programs(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Small maps are a program for each row, and large ones have several."""
    if request.param != "a row each":
        monkeypatch.setattr(depthwise_kernels, "_PROGRAMS", 1)
        monkeypatch.setattr(depthwise_kernels, "_PARTIAL_SUMS", 2)


@in_interpreter
@pytest.mark.usefixtures("programs")
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("shape", SHAPES)
def test_kernels_equal_float64(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    n, c, h, w, kernel, dilation = shape
    torch.manual_seed(0)
    conv = nn.Conv2d(
        c, c, kernel, padding=dilation * (kernel // 2), dilation=dilation, groups=c
    ).double()
    # A slice of more channels, in place, as the multi-order branches take it.
    wide = torch.randn(n, h, w, c + 16).to(dtype).to(DEVICE).permute(0, 3, 1, 2)
    with torch.no_grad():
        for value in conv.parameters():
            value.copy_(value.to(dtype))
    weight, bias = (value.detach().to(DEVICE, dtype) for value in (conv.weight, conv.bias))
    x = wide[:, 8 : 8 + c]

    inputs = [value.requires_grad_() for value in (x, weight, bias)]
    grad = torch.randn(n, c, h, w).to(dtype).to(DEVICE)
    out = depthwise(*inputs, dilation)
    grads = torch.autograd.grad(out, inputs, grad)

    assert out.is_contiguous(memory_format=torch.channels_last)
    reference = x.detach().cpu().double().requires_grad_()
    expected = conv(reference)
    expected_grads = torch.autograd.grad(
        expected, [reference, conv.weight, conv.bias], grad.cpu().double()
    )
    assert relative_error(out.detach(), expected.detach()) < TOLERANCE[dtype]
    for found, one in zip(grads, expected_grads, strict=True):
        assert relative_error(found, one) < TOLERANCE[dtype]


@in_interpreter
@pytest.mark.usefixtures("programs")
@pytest.mark.parametrize("widths", [(2, 6, 8), (0, 3, 5), (4, 0, 4), (3, 5, 0), (1, 1, 1)])
def test_kernels_of_all_orders_equal_float64(widths: tuple[int, int, int]) -> None:
    torch.manual_seed(0)
    dim = sum(widths)
    x = torch.randn(2, dim, 7, 5).to(memory_format=torch.channels_last)
    shapes = [(dim, 5), (widths[1], 5), (widths[2], 7)]
    weights = [torch.randn(c, 1, k, k) for c, k in shapes]
    biases = [torch.randn(c) for c, _ in shapes]

    found = multi_order(
        x.to(DEVICE), [w.to(DEVICE) for w in weights], [b.to(DEVICE) for b in biases]
    )

    def convolve(x: Tensor, order: int) -> Tensor:
        weight, bias = weights[order].double(), biases[order].double()
        dilation, padding = (1, 2, 3)[order], (2, 4, 9)[order]
        if len(weight) == 0:
            return x
        return nn.functional.conv2d(x, weight, bias, 1, padding, dilation, len(weight))

    low, middle, high = convolve(x.double(), 0).split(widths, dim=1)
    expected = torch.cat([low, convolve(middle, 1), convolve(high, 2)], dim=1)
    assert relative_error(found, expected) < TOLERANCE[torch.float32]


@in_interpreter
def test_kernels_apply_gelu() -> None:
    x = torch.randn(2, 6, 7, 5).to(memory_format=torch.channels_last)
    weight, bias = torch.randn(6, 1, 3, 3), torch.randn(6)
    found = depthwise(x.to(DEVICE), weight.to(DEVICE), bias.to(DEVICE), 1, True)
    conv = nn.functional.conv2d(x.double(), weight.double(), bias.double(), padding=1, groups=6)
    assert relative_error(found, nn.functional.gelu(conv)) < TOLERANCE[torch.float32]


@in_interpreter
def test_layer_goes_through_the_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    layer = DepthwiseConv2d(6, 7, dilation=3).to(DEVICE)
    x = torch.randn(2, 6, 8, 9).to(memory_format=torch.channels_last).to(DEVICE)
    calls = []
    monkeypatch.setattr(module, "suits_kernels", lambda x: True)
    monkeypatch.setattr(module, "depthwise", lambda *given: calls.append(1) or depthwise(*given))
    with torch.no_grad():
        found = layer(x)
    expected = nn.functional.conv2d(
        *(value.detach().cpu().double() for value in (x, layer.weight, layer.bias)),
        padding=9,
        dilation=3,
        groups=6,
    )
    assert calls and relative_error(found, expected) < TOLERANCE[torch.float32]


@pytest.mark.parametrize(
    ("trains", "is_compiled", "by_kernels"),
    [(False, False, 1), (False, True, 1), (True, False, 0), (True, True, 1)],
)
def test_eager_training_leaves_the_kernels_out(
    trains: bool, is_compiled: bool, by_kernels: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    monkeypatch.setattr(module, "suits_kernels", lambda x: True)
    monkeypatch.setattr(module, "depthwise", lambda x, *_: calls.append(1) or x)
    layer = DepthwiseConv2d(2, 3)
    if is_compiled:
        layer.compile(backend="eager")
    with torch.set_grad_enabled(trains):
        layer(torch.randn(1, 2, 4, 4))
    assert len(calls) == by_kernels


@in_interpreter
def test_kernels_pass_the_checks_of_custom_operators() -> None:
    x = torch.randn(1, 3, 4, 6).to(memory_format=torch.channels_last).to(DEVICE)
    weight, bias = torch.randn(3, 1, 3, 3).to(DEVICE), torch.randn(3).to(DEVICE)
    torch.library.opcheck(depthwise, (x, weight, bias, 1))
    torch.library.opcheck(depthwise, (x, weight, None, 2))


def test_fx_traces_the_layer() -> None:
    layer = DepthwiseConv2d(6, 5, dilation=2)
    x = torch.randn(2, 6, 8, 8)
    traced = torch.fx.symbolic_trace(nn.Sequential(layer, nn.ReLU()))
    assert torch.equal(traced(x), layer(x).relu())


@in_interpreter
def test_kernels_are_operators_that_can_be_compiled() -> None:
    """Schema, shapes and strides without data, and gradients in PyTorch's own check."""
    x, grad = (
        torch.randn(2, 6, 5, 4).to(DEVICE, memory_format=torch.channels_last) for _ in range(2)
    )
    weight, bias = torch.randn(6, 1, 3, 3, device=DEVICE), torch.randn(6, device=DEVICE)
    inputs = [value.clone().requires_grad_() for value in (x, weight, bias)]
    torch.library.opcheck(depthwise, (*inputs, 1))
    torch.library.opcheck(depthwise, (x, weight, bias, 1, True))
    torch.library.opcheck(depthwise_sums, (x, grad, 3, 1))
    weights = [weight.new_zeros(c, 1, k, k) for c, k in ((6, 5), (2, 5), (3, 7))]
    torch.library.opcheck(multi_order, (x, weights, [w.new_zeros(len(w)) for w in weights]))


@pytest.mark.skipif(not ON_GPU, reason="there is no GPU")
def test_compiled_layers_go_through_their_operator_on_a_gpu() -> None:
    layer = DepthwiseConv2d(8, 3).to(DEVICE, torch.bfloat16)
    x = torch.randn(1, 8, 5, 5, dtype=torch.bfloat16, device=DEVICE)
    targets = []

    def note(graph: torch.fx.GraphModule, inputs: object) -> torch.fx.GraphModule:
        targets.extend(str(node.target) for node in graph.graph.nodes)
        return graph

    torch.compile(layer, backend=note)(x.to(memory_format=torch.channels_last))
    assert any("mogabench.depthwise" in target for target in targets)


def test_what_is_compiled_is_not_taken_for_exported() -> None:
    def branch(x: Tensor) -> Tensor:
        return x + is_exporting()

    assert torch.compile(branch, backend="eager")(torch.zeros(1)) == 0
