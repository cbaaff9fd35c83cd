"""``mogabench export``: trained weights as a file for another runtime."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mogabench.cli.options import (
    BackboneOption,
    ImportOption,
    MethodOption,
    OptionsOption,
    StatedSizeOption,
    StatedTaskOption,
    VariantOption,
)

if TYPE_CHECKING:
    from mogabench.runtimes import Exported


def export(
    weights: Annotated[
        str, typer.Option(metavar="official|FILE", help="Weights of the whole network.")
    ],
    task: StatedTaskOption = None,
    variant: VariantOption = None,
    backbone: BackboneOption = None,
    method: MethodOption = None,
    size: StatedSizeOption = None,
    options: OptionsOption = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Default: the backbone's name.")
    ] = None,
    to: Annotated[
        str | None,
        typer.Option("--to", help="onnx, openvino or pt2; default: by the ending of --output."),
    ] = None,
    fused: Annotated[
        bool, typer.Option("--fuse/--no-fuse", help="Fold norms and scales into convolutions.")
    ] = True,
    packages: ImportOption = None,
) -> None:
    """Write a network with its weights for another runtime.

    By default the network is fused. The file takes any batch size, and any image size where the
    network allows. Detectors cannot be exported; 'run' and 'profile' compute their backbone and
    neck in a --runtime.

    The file's outputs are compared with PyTorch's before it is kept. It carries, as JSON under
    'mogabench': mean and std of the pixels, size, the weights' digest and, where the weights state
    them, classes and recipe. Weights that mogabench trained state their network; for others name
    it.
    """
    from mogabench import api
    from mogabench.catalogue import import_packages
    from mogabench.cli.subjects import named_network
    from mogabench.console import print_line
    from mogabench.sizes import read_size
    from mogabench.subject import parse_option

    import_packages(packages)
    written = api.export(
        weights,
        output,
        to=to,
        task=task,
        network=named_network(variant, backbone),
        method=method,
        input_size=None if size is None else read_size(size),
        options=dict(map(parse_option, options or ())),
        fused=fused,
    )
    print_line(f"wrote {written.file}: batches of any size, inputs {_sizes(written)}")
    print_line(f"its outputs differ from PyTorch's by {written.error:.1e} (relative)")


def _sizes(written: Exported) -> str:
    size = "x".join(map(str, written.input_size))
    return "of any size" if written.any_size else f"of {size}"
