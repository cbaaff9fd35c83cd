"""``mogabench analyze channels``: how energy is spread over channels and over the image."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Annotated

import typer

from mogabench.cli.analyze.options import ClassMapOption, DataOption, ModelsOption, WeightsOption
from mogabench.cli.options import FormatOption, ImportOption, QuietOption, ResultsOption

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mogabench.analysis.channels.record import Measured


def channels(
    models: ModelsOption,
    weights: WeightsOption,
    data: DataOption = None,
    class_map: ClassMapOption = None,
    images: Annotated[
        int, typer.Option(min=2, help="At most this many images, drawn at random.")
    ] = 100,
    size: Annotated[
        str | None, typer.Option(metavar="N|HxW", help="Input size; default: the weights', or 224.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of images and random weights.")] = 0,
    batch_size: Annotated[int, typer.Option(min=1, help="Images per pass.")] = 16,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    packages: ImportOption = None,
    results: ResultsOption = None,
    output_format: FormatOption = "text",
    quiet: QuietOption = False,
) -> None:
    """Measure how energy is spread over channels (Figure 6).

    Compares channels before and after channel aggregation or, in other networks, those of stages.
    Evenness is the effective number of channels over their number, (sum e)^2 / (C sum e^2), with a
    standard error. The energy ranks, and saliency maps of channels, go to the results.
    """
    from mogabench.analysis.channels.figure import figures
    from mogabench.analysis.channels.record import channel_record, measured
    from mogabench.analysis.classifier import pair_up
    from mogabench.analysis.figures import write_figure
    from mogabench.analysis.labels import network_labels
    from mogabench.catalogue import import_packages
    from mogabench.cli.analyze.networks import network_names, open_unfused
    from mogabench.console import print_json
    from mogabench.records import open_store

    is_quiet = quiet or output_format == "json"
    import_packages(packages)
    store = open_store(results)
    records, found = [], []
    for name, file in pair_up(network_names(models), weights):
        classifier = open_unfused(
            name, file, data, class_map=class_map, size=size, device=device, images=images,
            seed=seed,
        )  # fmt: skip
        drawn = [image for _, image, _ in islice(classifier.drawn(seed), images)]
        one = measured(classifier, drawn, batch_size=batch_size, quiet=is_quiet)
        found.append(one)
        records.append(channel_record(classifier, one, batch_size=batch_size, seed=seed))
    labels = network_labels(records)
    found = [one._replace(label=label) for one, label in zip(found, labels, strict=True)]
    for record in records:
        store.append(record)
    for figure in figures(found, records):
        write_figure(figure, store.results)
    if output_format == "json":
        print_json([record.model_dump(mode="json", exclude_none=True) for record in records])
    else:
        _print(found)


def _print(found: Sequence[Measured]) -> None:
    from mogabench.console import print_table

    print_table(
        ("network", "layer", "channels", "evenness", "standard error"),
        [
            (
                one.label,
                energy.layer.name,
                str(len(energy.energy)),
                f"{energy.evenness:.4f}",
                f"{energy.error:.4f}",
            )
            for one in found
            for energy in one.energies
        ],
        right=("channels", "evenness", "standard error"),
    )
