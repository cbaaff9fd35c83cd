"""What one call of an operator costs: a formula for each that computes, a list of the free ones.

Operators are known by their schema name, such as ``aten::linear``, at the level at which a
module calls them (before PyTorch splits ``linear`` into a transpose, a view and an ``addmm``).
Counting there follows fvcore's handlers one to one, fused attention or not.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from math import log2, prod
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

if TYPE_CHECKING:
    from torch._ops import OpOverload


class Work(NamedTuple):
    """The cost of one call: multiply-accumulates by convention, and elements written."""

    matmul: int = 0
    fvcore: int = 0
    activations: int = 0


Formula = Callable[[tuple[Any, ...], Any], Work]
"""Maps an operator's positional arguments and its result to its cost."""


def free(_args: tuple[Any, ...], _out: Any) -> Work:
    """The formula of an operator that costs nothing in any convention."""
    return Work()


@cache
def formula(operator: OpOverload) -> Formula | None:
    """The formula of an operator, or None if it is unknown.

    Besides the listed ones, all that PyTorch itself tags as element-wise or as a view are free.
    """
    name = operator._schema.name
    known = _FORMULAS.get(name)
    if known is None:
        tagged = torch.Tag.pointwise in operator.tags or operator.is_view
        return free if tagged or name.removesuffix("_") in _FREE else None
    return known


def _matrix(macs: int, elements: int) -> Work:
    return Work(macs, macs, elements)


def _product(first: int) -> Formula:
    """A matrix product whose left factor, shape ``(…, M, K)``, is the argument ``first``."""
    return lambda args, out: _matrix(out.numel() * args[first].shape[-1], out.numel())


def _outer_product(args: tuple[Any, ...], out: Tensor) -> Work:
    """A product of each pair of elements: of vectors, or Kronecker's of matrices."""
    return _matrix(out.numel(), out.numel())


def _vector_products(args: tuple[Any, ...], out: Tensor) -> Work:
    """Products of pairs of vectors, element by element, summed along any one dimension."""
    return _matrix(prod(torch.broadcast_shapes(*(x.shape for x in args[:2]))), out.numel())


def _batches_summed(args: tuple[Any, ...], out: Tensor) -> Work:
    """Products of matrices ``(B, N, K)`` and ``(B, K, M)``, added up."""
    return _matrix(args[1].numel() * args[2].shape[-1], out.numel())


def _bilinear(args: tuple[Any, ...], out: Tensor) -> Work:
    """For each output a product of one input with a matrix, then with the other input."""
    first, second = args[0].shape[-1], args[1].shape[-1]
    return _matrix(out.numel() * (first + 1) * second, out.numel())


def _grouped(args: tuple[Any, ...], out: Tensor) -> Work:
    """Products of groups of rows, of columns, or of both along the summed dimension."""
    left, right = args[:2]
    over_sum = left.ndim == right.ndim == 2
    macs = left.numel() * right.shape[-1] if over_sum else out.numel() * left.shape[-1]
    return _matrix(macs, out.numel())


def _recurrent_layer(args: tuple[Any, ...], out: Any) -> Work:
    """One direction of a layer: its two weight matrices times each step's input and state."""
    steps = args[0].numel() // args[0].shape[-1]
    return _matrix(steps * (args[1].numel() + args[2].numel()), out[0].numel())


def _convolution(args: tuple[Any, ...], out: Tensor) -> Work:
    """Each output element sums over the kernel and the input channels of its group."""
    return _matrix(out.numel() * prod(args[1].shape[1:]), out.numel())


def _transposed_convolution(args: tuple[Any, ...], out: Tensor) -> Work:
    """Each input element is spread over the kernel and the output channels of its group."""
    return _matrix(args[0].numel() * prod(args[1].shape[1:]), out.numel())


def _any_convolution(args: tuple[Any, ...], out: Tensor) -> Work:
    return (_transposed_convolution if args[6] else _convolution)(args, out)


def _deformable_convolution(args: tuple[Any, ...], out: Tensor) -> Work:
    """The convolution; in ``fvcore`` also 4 per bilinear sample, its rate for ``grid_sampler``."""
    image, weight = args[:2]
    macs = out.numel() * prod(weight.shape[1:])
    positions = prod(out.shape[2:]) * out.shape[0]
    samples = positions * image.shape[1] * prod(weight.shape[2:])
    return Work(macs, macs + 4 * samples, out.numel())


def _attention(args: tuple[Any, ...], out: Any) -> Work:
    """The products QK' and (QK')V, with queries ``(…, L, E)`` and keys ``(…, S, E)``."""
    query, key = args[:2]
    mixed = out if isinstance(out, Tensor) else out[0]
    scores = prod(query.shape[:-1]) * key.shape[-2]
    macs = scores * (query.shape[-1] + mixed.shape[-1])
    return _matrix(macs, scores + mixed.numel())


def attention_work(query: Tensor, key: Tensor, value: Tensor) -> Work:
    """What attention without a mask costs, of ``(…, L, E)``, ``(…, S, E)`` and ``(…, S, F)``."""
    return _attention((query, key), query.new_empty((*query.shape[:-1], value.shape[-1])))


def _norm(weight: int) -> Formula:
    """Statistics and scaling: 5 per element, 4 without the affine parameters."""

    def count(args: tuple[Any, ...], _out: Any) -> Work:
        affine = len(args) > weight and args[weight] is not None
        return Work(fvcore=args[0].numel() * (5 if affine else 4))

    return count


def _batch_norm(args: tuple[Any, ...], out: Any) -> Work:
    if args[5]:
        return _norm(weight=1)(args, out)
    return Work(fvcore=args[0].numel() * (1 if args[1] is None else 2))


def _per_element(*, of_input: int = 0, of_output: int = 0) -> Formula:
    return lambda args, out: Work(fvcore=of_input * args[0].numel() + of_output * out.numel())


def _fourier(*, real: bool, of_output: bool = False) -> Formula:
    """A fast Fourier transform over the dimensions in argument 1.

    A complex transform of N points is taken as 5 N log2 N real operations and a real one as half
    that, the measure of the FFTW benchmark (fftw.org/speed/method.html); two real operations make
    one multiply-accumulate. Printed figures leave transforms out (HorNet-L's 102 G is 101.55
    without), so they count in ``fvcore`` only, where normalisation counts as well.
    """

    def count(args: tuple[Any, ...], out: Tensor) -> Work:
        signal = out if of_output else args[0]
        points = prod(signal.shape[dim] for dim in args[1])
        operations = (2.5 if real else 5.0) * signal.numel() * log2(points)
        return Work(fvcore=round(operations / 2))

    return count


_FORMULAS: dict[str, Formula] = {
    **{
        f"aten::{name}": _product(0)
        for name in ("linear", "matmul", "mm", "bmm", "mv", "dot", "vdot", "_int_mm")
    },
    **{f"aten::{name}": _product(1) for name in ("addmm", "baddbmm", "addmv")},
    **{f"aten::{name}": _outer_product for name in ("outer", "ger", "addr", "kron")},
    "aten::linalg_vecdot": _vector_products,
    "aten::addbmm": _batches_summed,
    "aten::bilinear": _bilinear,
    "aten::_grouped_mm": _grouped,
    "aten::mkldnn_rnn_layer": _recurrent_layer,
    **{f"aten::conv{rank}d": _convolution for rank in (1, 2, 3)},
    **{f"aten::conv_transpose{rank}d": _transposed_convolution for rank in (1, 2, 3)},
    "aten::convolution": _any_convolution,
    "aten::_convolution": _any_convolution,
    "torchvision::deform_conv2d": _deformable_convolution,
    "aten::scaled_dot_product_attention": _attention,
    **{
        f"aten::_scaled_dot_product_{kind}": _attention
        for kind in (
            "flash_attention",
            "flash_attention_for_cpu",
            "efficient_attention",
            "cudnn_attention",
            "fused_attention_overrideable",
            "attention_math",
            "attention_math_for_mps",
        )
    },
    "aten::layer_norm": _norm(weight=2),
    "aten::group_norm": _norm(weight=2),
    "aten::instance_norm": _norm(weight=1),
    "aten::batch_norm": _batch_norm,
    "aten::adaptive_avg_pool2d": _per_element(of_input=1),
    "aten::upsample_nearest2d": _per_element(of_output=1),
    "aten::upsample_bilinear2d": _per_element(of_output=4),
    "aten::grid_sampler": _per_element(of_output=4),
    "aten::_fft_c2c": _fourier(real=False),
    "aten::_fft_r2c": _fourier(real=True),
    "aten::_fft_c2r": _fourier(real=True, of_output=True),
}

_FREE_BY_KIND = {
    "activation": """
        softmax _softmax _safe_softmax log_softmax _log_softmax log_sigmoid gelu glu hardswish
        hardsigmoid hardtanh relu6 rrelu leaky_relu elu celu selu prelu _prelu_kernel threshold
        rms_norm
    """,
    "noise": "dropout alpha_dropout native_dropout bernoulli uniform normal random",
    "arithmetic": "where rsub floor_divide complex polar",
    "creation": """
        empty empty_like empty_strided new_empty zeros zeros_like new_zeros ones ones_like new_ones
        full full_like new_full scalar_tensor arange linspace eye tril_indices triu_indices
        rand rand_like randn randn_like randint randperm fill zero
    """,
    "copy": """
        clone copy detach lift _to_copy type_as _unsafe_view unsafe_split unsafe_chunk cat stack
        repeat repeat_interleave tile
        pad constant_pad_nd reflection_pad2d replication_pad2d roll flip rot90 tril triu diag_embed
        broadcast_tensors meshgrid im2col col2im pixel_shuffle pixel_unshuffle channel_shuffle
    """,
    "indexing": """
        index index_select index_put index_add index_copy index_fill slice_scatter select_scatter
        gather scatter scatter_add scatter_reduce masked_fill masked_scatter take embedding one_hot
        sort argsort topk bucketize searchsorted
    """,
    "reduction": """
        mean sum prod amax amin max min aminmax all any argmax argmin var var_mean std std_mean
        median norm linalg_vector_norm logsumexp cumsum cumprod count_nonzero
    """,
    "pooling": """
        max_pool1d max_pool2d max_pool3d max_pool1d_with_indices max_pool2d_with_indices
        max_pool3d_with_indices avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d
        adaptive_avg_pool3d adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d
    """,
    "interpolation": """
        upsample_nearest1d upsample_nearest3d upsample_linear1d upsample_bicubic2d
        upsample_trilinear3d _upsample_nearest_exact1d _upsample_nearest_exact2d
        _upsample_nearest_exact3d _upsample_bilinear2d_aa _upsample_bicubic2d_aa
    """,
}
"""Names in ``aten``; the last three kinds hold what fvcore has no handler for."""

_FREE = {
    *(f"aten::{name}" for names in _FREE_BY_KIND.values() for name in names.split()),
    "torchvision::roi_align",
}
