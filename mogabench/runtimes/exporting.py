"""Writing a network to a file, and comparing what the file computes with PyTorch."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from mogabench.errors import UserError, unknown
from mogabench.layers.fusion import fuse
from mogabench.modes import evaluating
from mogabench.runtimes.runtime import (
    OnnxRuntime,
    OpenVino,
    Program,
    Runtime,
    all_of,
    check_runtime,
    import_runtime,
)
from mogabench.runtimes.tracing import trace

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torch import nn
    from torch.export import ExportedProgram
    from torch.fx import Node

_OPSET = 20
"""The first with GELU as one operator."""
_TOLERANCE = 1e-4
"""Relative; the six MogaNets differ by 1e-6 to 1e-5 between PyTorch's own layouts."""
_MOST_PIXELS = 2**18
"""Larger images are not needed to compare two ways of computing."""
METADATA = "mogabench"
"""The entry of a file that holds its description as JSON."""


class Format(NamedTuple):
    """A format of files: its ending, what writes it, and what runs it."""

    ending: str
    write: Callable[[ExportedProgram, str, Path], None]
    runtime: type[Runtime]


class Exported(NamedTuple):
    """What was written.

    Attributes:
        file: The file; OpenVINO's weights lie beside it, in one that ends in ``.bin``.
        error: The greatest relative difference between its outputs and PyTorch's.
        any_size: Whether it takes images of any size; any batch it does.
        input_size: Of the example that it was written with: of its inputs unless `any_size`.
    """

    file: Path
    error: float
    any_size: bool
    input_size: tuple[int, ...]


@torch.inference_mode()
def export(
    network: nn.Module,
    image: Tensor,
    file: Path,
    to: str,
    *,
    description: Mapping[str, Any] | None = None,
    fused: bool = True,
) -> Exported:
    """Writes a network to a file that another runtime reads, and compares the two.

    Args:
        network: Maps a batch of images to one tensor or to several; left as it is.
        image: One example input ``(1, …, H, W)``.
        file: Where to write.
        to: A format of `FORMATS`.
        description: Plain values that the file carries as JSON, under ``mogabench``.
        fused: Whether to write the network's fused form; see `mogabench.models.fuse`.

    Raises:
        UserError: There is no such format, its package is not installed, the network cannot be
            traced, or the file computes something else and is not kept.
    """
    if to not in FORMATS:
        raise unknown("format", to, FORMATS)
    form = FORMATS[to]
    import_runtime(form.runtime.package)
    with evaluating(network):
        source = fuse(network) if fused else network
        with TemporaryDirectory(prefix=".mogabench-", dir=file.parent) as folder:
            write = partial(
                _write,
                form,
                Path(folder) / file.name,
                network=network,
                source=source,
                image=image,
                description=json.dumps(description or {}),
            )
            try:
                exported = write(any_size=True)
            except Exception:  # of the network's code, the exporter's or the runtime's
                exported = None
            if exported is None or not exported.error < _TOLERANCE:
                # Some networks compute with the size of their example without a trace in the graph.
                exported = write(any_size=False)
            if not exported.error < _TOLERANCE:
                raise UserError(
                    f"{file} was not written: its outputs differ from PyTorch's by "
                    f"{exported.error:.1e}"
                )
            for part in Path(folder).iterdir():
                part.replace(file.parent / part.name)
    return exported._replace(file=file)


def _write(
    form: Format,
    file: Path,
    *,
    network: nn.Module,
    source: nn.Module,
    image: Tensor,
    description: str,
    any_size: bool,
) -> Exported:
    """Writes ``source`` and compares the file with the network."""
    traced = trace(source, image, any_size=any_size)
    try:
        form.write(traced.program, description, file)
    except torch.onnx.OnnxExporterError as error:
        first: BaseException = error  # those that it caused tell how to report a bug
        while first.__cause__ is not None:
            first = first.__cause__
        reason = str(first).strip().partition("\n")[0]
        raise UserError(f"PyTorch's exporter to ONNX fails on this network: {reason}") from error
    difference = _difference(network, form.runtime(file), image, traced.any_size)
    _, *size = image.shape if image.ndim > 4 else image[:, 0].shape  # of videos or of images
    return Exported(file, difference, traced.any_size, tuple(size))


def in_runtime(network: nn.Module, image: Tensor, name: str, *, dtype: str = "float32") -> Runtime:
    """A network as another runtime computes it, by way of a file that is not kept.

    Args:
        network: Maps a batch of images to one tensor or to several; left as it is.
        image: One example input ``(1, …, H, W)``.
        name: A runtime of `RUNTIMES`.
        dtype: What it computes in.

    Raises:
        UserError: See `export` and `open_runtime`.
    """
    kind = check_runtime(name, dtype)
    with TemporaryDirectory(prefix="mogabench-") as folder:
        file = Path(folder) / f"network{FORMATS[kind.format].ending}"
        export(network, image, file, kind.format)
        return kind(file, dtype=dtype)


def _difference(network: nn.Module, written: Runtime, image: Tensor, any_size: bool) -> float:
    """The greatest relative difference of an output, NaN if one is.

    It is over random batches of two sizes, and of images of two where it can.
    """
    generator = torch.Generator().manual_seed(0)
    *shape, height, width = image.shape[1:]
    if any_size and height * width > _MOST_PIXELS:
        height, width = 256, 256
    errors = []
    for batch_size, more in ((1, 0), (3, 32)):
        height += more * any_size
        batch = torch.rand(batch_size, *shape, height, width, generator=generator)
        outputs = zip(all_of(network(batch)), all_of(written(batch)), strict=True)
        for expected, found in outputs:
            errors.append((found.double() - expected.double()).norm() / expected.double().norm())
    return float(torch.stack(errors).max())  # Python's max may pass over NaN


def _write_onnx(program: ExportedProgram, description: str, file: Path) -> None:
    import_runtime("onnxscript")
    converted = torch.onnx.export(
        _spell_out(program),
        opset_version=_OPSET,
        input_names=["images"],
        output_names=_output_names(program),
        dynamo=True,
        verbose=False,
    )
    assert converted is not None
    converted.model.metadata_props[METADATA] = description
    converted.save(file)


def _output_names(program: ExportedProgram) -> list[str]:
    names = [f"outputs_{place}" for place in range(len(program.graph_signature.user_outputs))]
    return names if len(names) > 1 else ["outputs"]


def _spell_out(program: ExportedProgram) -> ExportedProgram:
    """The graph, with what the exporter lacks written as simpler operators.

    It has attention over ``(N, heads, L, C)`` alone, where Hiera has windows between the heads and
    the tokens. And it pools to a number of cells, as UperNet does, by the size of the example.
    """
    aten = torch.ops.aten
    attention, pooling = aten.scaled_dot_product_attention.default, aten.adaptive_avg_pool2d.default
    simpler: dict[Any, Callable[..., Tensor]] = {}
    for node in program.graph.nodes:
        if node.target == attention and _first(node).ndim != 4:
            simpler[attention] = _attend
        if node.target == pooling and not (_is_global(node.args[1]) or _has_fixed_size(node)):
            simpler[pooling] = _pool
    if not simpler:
        return program
    spelt_out: ExportedProgram = program.run_decompositions(simpler)
    return spelt_out


def _first(node: Node) -> Tensor:
    """An example of a call's first argument."""
    argument: Any = node.args[0]
    example: Tensor = argument.meta["val"]
    return example


def _is_global(cells: Any) -> bool:
    """Whether pooling gives one cell, which the exporter writes as a mean over any size."""
    return all(isinstance(length, int) and length == 1 for length in cells)


def _has_fixed_size(node: Node) -> bool:
    """Whether the maps that a call pools are of the example's size alone."""
    return all(isinstance(length, int) for length in _first(node).shape[-2:])


def _attend(query: Tensor, key: Tensor, value: Tensor, *options: Any, **more: Any) -> Tensor:
    """What ``scaled_dot_product_attention`` is without a mask, at its own scale."""
    if any(isinstance(option, Tensor) or option for option in (*options, *more.values())):
        raise UserError("cannot export attention over more than four axes with a mask or options")
    scores: Tensor = query * query.shape[-1] ** -0.5 @ key.transpose(-2, -1)
    return scores.softmax(-1) @ value


def _pool(x: Tensor, cells: Sequence[int]) -> Tensor:
    """What ``adaptive_avg_pool2d`` of ``(N, C, H, W)`` is, as products with each axis's shares."""
    if _is_global(cells):
        return x.mean((-2, -1), keepdim=True)
    rows, columns = (_shares(x, length, n) for length, n in zip(x.shape[-2:], cells, strict=True))
    return rows @ x @ columns.T


def _shares(x: Tensor, length: int, cells: int) -> Tensor:
    """The share ``(cells, length)`` of each place in the mean of each cell; cells may overlap."""
    place = torch.arange(length, device=x.device)
    cell = torch.arange(cells, device=x.device)[:, None]
    first, end = cell * length // cells, ((cell + 1) * length + cells - 1) // cells
    is_inside = (first <= place) & (place < end)
    return is_inside.to(x.dtype) / (end - first).to(x.dtype)


def _write_openvino(program: ExportedProgram, description: str, file: Path) -> None:
    openvino = import_runtime("openvino")
    with TemporaryDirectory(dir=file.parent) as folder:  # large weights lie in a file of their own
        onnx = Path(folder) / "network.onnx"
        _write_onnx(program, "", onnx)
        model = openvino.Core().read_model(onnx)
        model.set_rt_info(description, METADATA)
        openvino.save_model(model, file, compress_to_fp16=False)


def _write_program(program: ExportedProgram, description: str, file: Path) -> None:
    torch.export.save(program, file, extra_files={METADATA: description})


FORMATS: Mapping[str, Format] = {
    "onnx": Format(".onnx", _write_onnx, OnnxRuntime),
    "openvino": Format(".xml", _write_openvino, OpenVino),
    "pt2": Format(".pt2", _write_program, Program),
}
"""The formats by name."""
