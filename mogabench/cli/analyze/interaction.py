"""``mogabench analyze interaction``: how strongly pairs of patches interact."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from mogabench.cli.analyze.options import ModelsOption
from mogabench.cli.options import FormatOption, ImportOption, QuietOption, ResultsOption

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mogabench.analysis.interaction.record import Curve
    from mogabench.analysis.interaction.study import Protocol
    from mogabench.records import Record


def interaction(
    models: ModelsOption,
    weights: Annotated[
        list[str],
        typer.Option(
            metavar="official|FILE",
            help="A file for each network, in order: repeat the option; 'official' for all.",
        ),
    ],
    data: Annotated[
        str,
        typer.Option(metavar="DIR|sample", help="Images in class folders."),
    ],
    class_map: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Lists the class folders in label order, one a line."),
    ] = None,
    budget: Annotated[
        int | None, typer.Option(min=1, help="At most this many forward passes of each network.")
    ] = None,
    images: Annotated[
        int, typer.Option(min=2, help="At most this many of the images that a network recognises.")
    ] = 100,
    pairs: Annotated[int, typer.Option(min=1, help="Pairs of patches per image.")] = 50,
    contexts: Annotated[int, typer.Option(min=1, help="Contexts per pair and order.")] = 50,
    grid: Annotated[int, typer.Option(min=2, help="Patches along a side.")] = 14,
    radius: Annotated[
        int,
        typer.Option(
            min=1,
            help="Greatest distance within a pair, in rows and columns; 1: neighbours.",
        ),
    ] = 1,
    seed: Annotated[int, typer.Option(help="Seed of images, pairs and contexts.")] = 0,
    size: Annotated[
        str | None, typer.Option(metavar="N|HxW", help="Input size; default: the weights', or 224.")
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Images per forward pass.")] = 64,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    runtime: Annotated[
        str,
        typer.Option(
            metavar="NAME", help="torch, onnxruntime or openvino (CPU), or tensorrt (GPU)."
        ),
    ] = "torch",
    dtype: Annotated[
        str, typer.Option(metavar="TYPE", help="float32, or for speed bfloat16 or float16.")
    ] = "float32",
    work_dir: Annotated[
        Path,
        typer.Option(
            metavar="DIR", help="Folder that keeps what is measured; running again goes on there."
        ),
    ] = Path("work/interaction"),
    packages: ImportOption = None,
    results: ResultsOption = None,
    output_format: FormatOption = "text",
    quiet: QuietOption = False,
) -> None:
    """Measure the multi-order interaction strength.

    It says how strongly pairs of patches interact, by the size of their context (Eq. 11 and 12;
    Figures 3, 7 and A2), on images that each network recognises, with standard errors. Figures and
    their numbers go to the results.
    """
    from mogabench.analysis.classifier import pair_up
    from mogabench.analysis.figures import write_figure
    from mogabench.analysis.interaction.figure import figures
    from mogabench.analysis.interaction.record import curves_of
    from mogabench.analysis.interaction.study import Protocol
    from mogabench.catalogue import import_packages
    from mogabench.cli.analyze.networks import network_names
    from mogabench.console import print_json
    from mogabench.errors import unknown
    from mogabench.measure.settings import Dtype
    from mogabench.records import open_store

    is_quiet = quiet or output_format == "json"
    import_packages(packages)
    if dtype not in get_args(Dtype):
        raise unknown("dtype", dtype, get_args(Dtype))
    protocol = Protocol(grid, images, pairs, contexts, radius, budget, seed)
    store = open_store(results)
    records = []
    for name, file in pair_up(network_names(models), weights):
        record = _measure(
            name, file, data, protocol, class_map=class_map, size=size, device=device,
            runtime=runtime, dtype=dtype, batch_size=batch_size, work_dir=work_dir,
            quiet=is_quiet,
        )  # fmt: skip
        store.append(record)
        records.append(record)
    measured_on = {
        (of.name, of.digest) for record in records if (of := record.provenance.data) is not None
    }
    for figure in figures(store, measured_on):
        write_figure(figure, store.results)
    if output_format == "json":
        print_json([record.model_dump(mode="json", exclude_none=True) for record in records])
    else:
        _print(curves_of(records))


def _measure(
    name: str,
    weights: str,
    data: str,
    protocol: Protocol,
    *,
    class_map: Path | None,
    size: str | None,
    device: str,
    runtime: str,
    dtype: str,
    batch_size: int,
    work_dir: Path,
    quiet: bool,
) -> Record:
    from mogabench.analysis.interaction.record import interaction_record
    from mogabench.analysis.interaction.study import measure
    from mogabench.cli.analyze.networks import open_network
    from mogabench.engine.environment import check_writable
    from mogabench.files import expanded

    work_dir = expanded(work_dir)
    check_writable(work_dir)
    classifier = open_network(
        name,
        weights,
        data,
        class_map=class_map,
        size=size,
        device=device,
        runtime=runtime,
        dtype=dtype,
    )
    assert classifier.weights is not None
    images, tried = classifier.recognised(protocol.images, protocol.seed)
    identity = {
        "network": classifier.subject.key,
        "weights": classifier.weights,
        "data": classifier.data.digest,
        "runtime": classifier.runtime,
        "dtype": classifier.dtype,
    }
    found = measure(
        classifier.network,
        images,
        protocol,
        identity=identity,
        file=work_dir / f"{classifier.subject.backbone}-{classifier.weights[:12]}.jsonl",
        batch_size=batch_size,
        quiet=quiet,
    )
    return interaction_record(classifier, protocol, found, tried, batch_size)


def _print(curves: Sequence[Curve]) -> None:
    from mogabench.console import print_line, print_table

    for one in curves:
        print_line(f"{one.network}: {one.pairs} pairs of patches in {one.images} images")
        print_table(
            ("order", "strength", "standard error"),
            [
                (f"{order:.0%}", f"{strength:.3f}", f"{error:.3f}")
                for order, strength, error in zip(one.orders, one.strength, one.error, strict=True)
            ],
            right=("order", "strength", "standard error"),
        )
