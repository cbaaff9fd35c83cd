"""``mogabench export``: trained weights as a file for another runtime."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mogabench.cli.options import BackboneOption, ImportOption, VariantOption

if TYPE_CHECKING:
    from torch import nn

    from mogabench.checkpoints import Description, Report
    from mogabench.engine.task import Task
    from mogabench.subject import Subject


def export(
    weights: Annotated[
        str, typer.Option(metavar="official|FILE", help="Weights of the whole network.")
    ],
    to: Annotated[str, typer.Option("--to", help="onnx, openvino or pt2.")],
    task: Annotated[
        str | None,
        typer.Option(help="The network's task; default: what the weights say, or classification."),
    ] = None,
    variant: VariantOption = None,
    backbone: BackboneOption = None,
    method: Annotated[str | None, typer.Option(help="One of the task's methods.")] = None,
    size: Annotated[
        str | None, typer.Option(metavar="N|HxW", help="Input size; default: the weights'.")
    ] = None,
    options: Annotated[
        list[str] | None,
        typer.Option("--option", metavar="NAME=VALUE", help="A keyword argument of the backbone."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Default: the backbone's name.")
    ] = None,
    fused: Annotated[
        bool, typer.Option("--fuse/--no-fuse", help="Fold norms and scales into convolutions.")
    ] = True,
    packages: ImportOption = None,
) -> None:
    """Write a network to a file, fused, for batches and images of any size.

    The file's outputs are compared with PyTorch's before it is kept. It carries, as JSON under
    'mogabench': classes, mean and std of the pixels, size, recipe and the weights' digest. Weights
    that mogabench trained say by themselves which network they are for.
    """
    from mogabench.catalogue import import_packages
    from mogabench.checkpoints import load_into, resolve_weights
    from mogabench.console import print_line
    from mogabench.errors import UserError, unknown
    from mogabench.export import FORMATS
    from mogabench.export import export as write
    from mogabench.releases import official_weights
    from mogabench.tasks import get_task

    import_packages(packages)
    if to not in FORMATS:
        raise unknown("format", to, FORMATS)
    stated = None if weights == "official" else _stated(weights)
    chosen = get_task(task or (stated.task if stated else "classification"))
    subject = _subject(
        chosen, stated, variant=variant, backbone=backbone, method=method, size=size,
        options=options or [],
    )  # fmt: skip
    file = output or Path(f"{subject.backbone}{FORMATS[to].ending}")
    if file.suffix != FORMATS[to].ending or not file.parent.is_dir():
        raise UserError(
            f"--output {file}: give a {FORMATS[to].ending} file in a folder that exists"
        )
    network = chosen.build(subject)
    report = load_into(
        network, resolve_weights(weights, subject), subject, backbone=chosen.backbone_module
    )
    (image,) = chosen.example_inputs(subject)
    described = _describe(chosen, subject, report, network)
    if weights == "official":
        described["recipe"] = official_weights(subject).recipe
    written = write(chosen.graph(network), image, file, to, description=described, fused=fused)
    sizes = "of any size" if written.any_size else f"of {'x'.join(map(str, subject.input_size))}"
    print_line(f"wrote {written.file}: batches of any size, inputs {sizes}")
    print_line(f"its outputs differ from PyTorch's by {written.error:.1e} (relative)")


def _stated(weights: str) -> Description | None:
    """What a file of weights says of itself."""
    from mogabench.checkpoints import Description, find_file

    return Description.of(find_file(weights))


def _subject(
    task: Task[Any, Any],
    stated: Description | None,
    *,
    variant: str | None,
    backbone: str | None,
    method: str | None,
    size: str | None,
    options: list[str],
) -> Subject:
    """The network that the options name, or the one that the weights state."""
    from mogabench.cli.subjects import as_stated, choose_subject

    is_named = variant is not None or backbone is not None
    if stated is not None and not is_named:
        backbone, method = stated.backbone, method or stated.method
    subject = choose_subject(
        task, variant=variant, backbone=backbone, method=method, size=size, options=options
    )
    return as_stated(subject, stated, size_is_given=size is not None)


def _describe(
    task: Task[Any, Any], subject: Subject, report: Report, network: nn.Module
) -> dict[str, Any]:
    """What the file carries of the network, as plain values."""
    from mogabench import __version__

    known: dict[str, Any] = {} if report.stated is None else report.stated.to_meta()
    backbone: Any = network.get_submodule(task.backbone_module)
    config: dict[str, Any] = getattr(backbone, "pretrained_cfg", {})
    pixels = {name: list(config[name]) for name in ("mean", "std") if config.get(name)}
    return {
        **pixels,
        **{name: value for name, value in known.items() if value},
        **subject.model_dump(mode="json"),
        "weights": report.sha256,
        "mogabench": __version__,
    }
