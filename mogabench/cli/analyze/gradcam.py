"""``mogabench analyze gradcam``: where in an image networks see a class."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mogabench.cli.analyze.options import ModelsOption
from mogabench.cli.options import FormatOption, ImportOption, QuietOption, ResultsOption

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mogabench.analysis.gradcam.figure import Panel
    from mogabench.analysis.trained import TrainedNetwork


def gradcam(
    image: Annotated[list[Path], typer.Option(metavar="FILE", help="An image; repeat for more.")],
    models: ModelsOption,
    weights: Annotated[
        list[str],
        typer.Option(
            metavar="official|FILE",
            help="A file for each network, in order: repeat the option; 'official' for all.",
        ),
    ],
    label: Annotated[
        str | None,
        typer.Option(
            "--class",
            metavar="N|NAME",
            help="Class index or name; default: each network's top-1.",
        ),
    ] = None,
    layer: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="A module for each network, in order; default: its last stage, before the norm.",
        ),
    ] = None,
    size: Annotated[
        str | None, typer.Option(metavar="N|HxW", help="Input size; default: the weights', or 224.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    packages: ImportOption = None,
    results: ResultsOption = None,
    output_format: FormatOption = "text",
    quiet: QuietOption = False,
) -> None:
    """Draw Grad-CAM activation maps of images.

    They show where in an image each network sees a class (Figures 5, 8 and A4), by the package
    grad-cam. Images and maps go into one figure; it and its numbers go to the results.
    """
    from mogabench.analysis.classifier import pair_up
    from mogabench.analysis.figures import write_figure
    from mogabench.analysis.gradcam.cam import import_package
    from mogabench.analysis.gradcam.figure import figure
    from mogabench.analysis.gradcam.record import activation_record
    from mogabench.catalogue import import_packages
    from mogabench.cli.analyze.networks import network_names, open_network_alone
    from mogabench.console import print_json
    from mogabench.errors import UserError
    from mogabench.progress import progress
    from mogabench.records import open_store

    is_quiet = quiet or output_format == "json"
    import_packages(packages)
    import_package()
    pairs = pair_up(network_names(models), weights)
    if layer and len(layer) != len(pairs):
        raise UserError(
            f"--layer is given {len(layer)} time(s) for {len(pairs)} networks; give one for each, "
            "in their order"
        )
    _check_images(image)
    columns = []
    with progress("networks", len(pairs), quiet=is_quiet) as step:
        for place, title in enumerate(_titles(pairs, layer)):
            name, path = pairs[place]
            network = open_network_alone(name, path, size=size, device=device)
            columns.append(_look(title, network, image, label, layer[place] if layer else None))
            step(name)
    rows = list(zip(*columns, strict=True))
    records = [activation_record(panel) for row in rows for panel in row]
    drawn = figure(rows, records)
    store = open_store(results)
    for record in records:
        store.append(record)
    written = write_figure(drawn, store.results)
    if output_format == "json":
        print_json([record.model_dump(mode="json", exclude_none=True) for record in records])
    else:
        _print([panel for row in rows for panel in row], written)


def _check_images(files: Sequence[Path]) -> None:
    """Refuses images that cannot be read, or that the figure could not tell apart."""
    from mogabench.data.images import read_image
    from mogabench.errors import UserError

    names = [file.name for file in files]
    for file in files:
        if names.count(file.name) > 1:
            raise UserError(f"--image: several images are called {file.name}; rename them")
        read_image(file)


def _titles(pairs: Sequence[tuple[str, str]], layers: Sequence[str] | None) -> list[str]:
    """What tells the networks apart: name, weights where several share it, layer where given."""
    names = [name for name, _ in pairs]
    ends = [(name, "/".join(Path(weights).parts[-2:])) for name, weights in pairs]
    titles = []
    for place, (pair, end) in enumerate(zip(pairs, ends, strict=True)):
        name, file = end if ends.count(end) == 1 else pair
        parts = [name, *[file] * (names.count(name) > 1)]
        titles.append(" ".join([*parts, *(layers or [])[place : place + 1]]))
    return titles


def _look(
    title: str,
    trained: TrainedNetwork,
    images: Sequence[Path],
    label: str | None,
    module: str | None,
) -> list[Panel]:
    """A network's map of each image."""
    from mogabench.analysis.gradcam.cam import look
    from mogabench.analysis.gradcam.classes import find_class
    from mogabench.analysis.gradcam.figure import Panel
    from mogabench.analysis.gradcam.layer import choose_layer
    from mogabench.tasks.classification.names import class_names

    inputs = [trained.see(file) for file in images]
    odds = [trained.probabilities(seen) for seen in inputs]
    names = class_names(trained.classes, len(odds[0]))
    wanted = None if label is None else find_class(label, names)
    layer = choose_layer(trained.network, inputs[0], module)
    panels = []
    for file, seen, given in zip(images, inputs, odds, strict=True):
        found = look(trained.network, seen, layer, given, wanted)
        view = trained.show(seen)
        panels.append(Panel(file, title, trained, view, layer.name, found, names[found.label]))
    return panels


def _print(panels: Sequence[Panel], written: Path) -> None:
    from mogabench.console import print_line, print_table

    print_table(
        ("image", "network", "layer", "class", "probability", "area of half the heat"),
        [
            (
                panel.image.name,
                panel.network,
                panel.layer,
                f"{panel.activation.label} {panel.class_name}",
                f"{panel.activation.probability:.1%}",
                "—" if panel.activation.is_empty else f"{panel.activation.half_area:.0%}",
            )
            for panel in panels
        ],
        right=("probability", "area of half the heat"),
    )
    print_line(f"wrote {written}")
