"""``mogabench analyze receptive-field``: which pixels the centre of the last feature map sees."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Annotated

import typer

from mogabench.cli.analyze.options import ClassMapOption, DataOption, ModelsOption, WeightsOption
from mogabench.cli.options import FormatOption, ImportOption, QuietOption, ResultsOption

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mogabench.analysis.classifier import Classifier
    from mogabench.analysis.receptive_field.record import Measured


def receptive_field(
    models: ModelsOption,
    weights: WeightsOption,
    data: DataOption = None,
    class_map: ClassMapOption = None,
    images: Annotated[
        int, typer.Option(min=2, help="At most this many images, drawn at random.")
    ] = 50,
    size: Annotated[
        list[str] | None,
        typer.Option(metavar="N", help="Input size; repeat for more; default: 224 and 448."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of images and random weights.")] = 0,
    batch_size: Annotated[int, typer.Option(min=1, help="Images per pass.")] = 8,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    packages: ImportOption = None,
    results: ResultsOption = None,
    output_format: FormatOption = "text",
    quiet: QuietOption = False,
) -> None:
    """Measure effective receptive fields.

    They say which pixels the centre of the last feature map sees, as RepLKNet reports: the area of
    the smallest square around the centre that holds 20, 30, 50 and 99 % of the contribution, with
    standard errors. It depends on the input size. The figure and its numbers go to the results.
    """
    from mogabench.analysis.classifier import pair_up
    from mogabench.analysis.figures import write_figure
    from mogabench.analysis.labels import network_labels
    from mogabench.analysis.receptive_field.field import measure
    from mogabench.analysis.receptive_field.figure import figure
    from mogabench.analysis.receptive_field.record import measured, receptive_field_record
    from mogabench.catalogue import import_packages
    from mogabench.cli.analyze.networks import network_names
    from mogabench.console import print_json
    from mogabench.records import open_store

    is_quiet = quiet or output_format == "json"
    import_packages(packages)
    store = open_store(results)
    records, found = [], []
    for name, file in pair_up(network_names(models), weights):
        for pixels in size or ("224", "448"):
            classifier = _open(
                name, file, data, class_map=class_map, size=pixels, device=device, images=images,
                seed=seed,
            )  # fmt: skip
            drawn = [image for _, image, _ in islice(classifier.drawn(seed), images)]
            field = measure(
                classifier.network, drawn, batch_size=batch_size, seed=seed, quiet=is_quiet
            )
            found.append(measured(classifier, field))
            records.append(
                receptive_field_record(classifier, field, batch_size=batch_size, seed=seed)
            )
    labels = network_labels(records)
    found = [one._replace(label=label) for one, label in zip(found, labels, strict=True)]
    for record in records:
        store.append(record)
    write_figure(figure(found, records), store.results)
    if output_format == "json":
        print_json([record.model_dump(mode="json", exclude_none=True) for record in records])
    else:
        _print(found)


def _open(
    name: str,
    weights: str,
    data: str | None,
    *,
    class_map: Path | None,
    size: str,
    device: str,
    images: int,
    seed: int,
) -> Classifier:
    from mogabench.cli.analyze.networks import open_unfused
    from mogabench.errors import UserError

    classifier = open_unfused(
        name, weights, data, class_map=class_map, size=size, device=device, images=images, seed=seed
    )
    height, width = classifier.subject.input_size
    if height != width:
        raise UserError(f"--size {size}: the analysis needs a square input; give one number")
    return classifier


def _print(found: Sequence[Measured]) -> None:
    from mogabench.analysis.receptive_field.field import THRESHOLDS
    from mogabench.console import print_line, print_table

    heads = [f"{threshold:.0%}" for threshold in THRESHOLDS]
    for index, what in enumerate(("contribution", "log10(contribution + 1)")):
        print_line(
            f"Area of the smallest square that holds a share of the {what}, in % of the image"
        )
        rows = []
        for one in found:
            part = slice(index * len(heads), (index + 1) * len(heads))
            numbers = zip(one.field.ratios[part], one.field.error[part], strict=True)
            cells = [f"{100 * ratio:.1f} ± {100 * error:.1f}" for ratio, error in numbers]
            rows.append((one.label, f"{one.size}x{one.size}", str(one.field.images), *cells))
        print_table(("network", "size", "images", *heads), rows, right=("images", *heads))
