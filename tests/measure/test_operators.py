"""Single operators: against hand-worked numbers, and against PyTorch's own counter."""

from __future__ import annotations

import random
from copy import deepcopy
from functools import partial

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.attention.flex_attention import flex_attention
from torch.utils.flop_counter import FlopCounterMode

from mogabench.measure.complexity import count


class Call(nn.Module):
    """A function as a module."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, *inputs):
        return self.function(*inputs)


def counted(function, *shapes, device="meta", dtype=torch.float32):
    module = deepcopy(function).eval() if isinstance(function, nn.Module) else Call(function)
    inputs = [torch.zeros(shape, dtype=dtype, device=device) for shape in shapes]
    found = count(module.to(device), *inputs)
    assert not found.unknown
    assert found.operations["matmul"] == found.operations["fvcore"]
    return found.operations["matmul"]


def vecdot_of_columns(one, other):
    return torch.linalg.vecdot(one, other, dim=0)


@pytest.mark.parametrize("device", ["meta", "cpu"])
@pytest.mark.parametrize(
    ("function", "shapes", "macs"),
    [
        (torch.outer, [(5,), (7,)], 35),
        (torch.addr, [(5, 7), (5,), (7,)], 35),
        (torch.kron, [(2, 3), (4, 5)], 6 * 20),
        (torch.vdot, [(5,), (5,)], 5),
        (torch.linalg.vecdot, [(3, 4), (3, 4)], 12),
        (torch.linalg.vecdot, [(2, 1, 4), (3, 1)], 2 * 3 * 4),  # broadcast
        (vecdot_of_columns, [(5, 4), (5, 4)], 20),
        # 3 products of 2x5 with 5x4 matrices
        (torch.addbmm, [(2, 4), (3, 2, 5), (3, 5, 4)], 3 * 2 * 5 * 4),
        # 6 samples, 5 outputs: a 3x4 matrix times one input, then 4 times the other
        (nn.Bilinear(3, 4, 5), [(6, 3), (6, 4)], 6 * 5 * (3 * 4 + 4)),
        # QK' and AV for 2 heads of 16 positions, 8 wide
        (flex_attention, [(1, 2, 16, 8)] * 3, 2 * (2 * 16 * 16 * 8)),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_products(device, function, shapes, macs):
    assert counted(function, *shapes, device=device) == macs


@pytest.mark.parametrize("device", ["meta", "cpu"])
@pytest.mark.parametrize(("layer", "gates"), [(nn.LSTM, 4), (nn.GRU, 3), (nn.RNN, 1)])
def test_recurrent_layers(device, layer, gates):
    # 5 steps of 2 samples, both directions; the second layer takes both directions' states
    first, second = gates * 4 * (3 + 4), gates * 4 * (8 + 4)
    network = layer(3, 4, num_layers=2, bidirectional=True)
    assert counted(network, (5, 2, 3), device=device) == 5 * 2 * 2 * (first + second)
    cell = {nn.LSTM: nn.LSTMCell, nn.GRU: nn.GRUCell, nn.RNN: nn.RNNCell}[layer]
    assert counted(cell(3, 4), (2, 3), device=device) == 2 * first


def test_products_of_integers_and_of_groups():
    assert counted(torch._int_mm, (32, 16), (16, 24), dtype=torch.int8) == 32 * 16 * 24
    groups = [(3, 16, 32), (3, 32, 8)]
    assert counted(torch._grouped_mm, *groups, dtype=torch.bfloat16) == 3 * 16 * 32 * 8
    # The sum over 32 is divided in two, at 8: a product of its own for each part.
    ends = torch.tensor([8, 32], dtype=torch.int32)
    along_the_sum = partial(torch._grouped_mm, offs=ends)
    shapes = [(16, 32), (32, 8)]
    found = counted(along_the_sum, *shapes, dtype=torch.bfloat16, device="cpu")
    assert found == 16 * 32 * 8


@pytest.mark.filterwarnings("ignore:Sparse CSR")
def test_products_of_sparse_matrices_are_reported():
    eye = torch.eye(4)
    for matrix in (eye.to_sparse(), eye.to_sparse_csr()):
        found = count(Call(lambda x, matrix=matrix: matrix @ x), torch.zeros(4, 3))
        assert found.operations["matmul"] == 0
        assert [name.endswith("of a sparse tensor") for name in found.unknown] == [True]


def matrices(pick):
    b, n, k, m = (pick(2, 9) for _ in range(4))  # einsum needs no product for a side of 1
    return [
        (torch.mm, [(n, k), (k, m)]),
        (torch.bmm, [(b, n, k), (b, k, m)]),
        (torch.addmm, [(n, m), (n, k), (k, m)]),
        (torch.baddbmm, [(b, n, m), (b, n, k), (b, k, m)]),
        (torch.matmul, [(b, 3, n, k), (k, m)]),
        (torch.matmul, [(b, 1, n, k), (3, k, m)]),
        (functional.linear, [(b, n, k), (m, k)]),
        (partial(torch.einsum, "bnk,bmk->bnm"), [(b, n, k), (b, m, k)]),
        (torch.tensordot, [(b, n, k, 2), (k, 2, m)]),
    ]


def convolutions(pick):
    found = []
    for rank in (1, 2, 3):
        groups, kernel = pick(1, 3), pick(1, 3)
        n, inside, outside = pick(1, 3), groups * pick(1, 3), groups * pick(1, 3)
        sides = tuple(pick(kernel + 2, 9) for _ in range(rank))
        weight = (outside, inside // groups, *(kernel,) * rank)
        back = (inside, outside // groups, *(kernel,) * rank)
        options = {"stride": pick(1, 2), "padding": pick(0, 1), "groups": groups}
        forward = getattr(functional, f"conv{rank}d")
        transposed = getattr(functional, f"conv_transpose{rank}d")
        found += [
            (partial(forward, **options), [(n, inside, *sides), weight]),
            (partial(transposed, **options), [(n, inside, *sides), back]),
        ]
    return found


def attentions(pick):
    n, heads, length, others, width = (pick(1, 6) for _ in range(5))
    query, key = (n, heads, length, width), (n, heads, others, width)
    return [(functional.scaled_dot_product_attention, [query, key, key])]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(60))
@pytest.mark.parametrize("kind", [matrices, convolutions, attentions])
def test_operators_of_random_shapes_against_pytorchs_counter(kind, seed):
    for function, shapes in kind(random.Random(seed).randint):
        inputs = [torch.zeros(shape) for shape in shapes]
        # Fused attention on a CPU is an operator that theirs does not know.
        with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as reference:
            function(*inputs)
        theirs = reference.get_total_flops()
        assert theirs > 0, function
        # Two operations are one multiply-accumulate.
        for device in ("cpu", "meta"):
            assert 2 * counted(function, *shapes, device=device) == theirs, (function, shapes)
