"""``mogabench analyze ablation``: the networks of an ablation, counted and trained."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mogabench.cli.completion import complete_ablation
from mogabench.cli.options import (
    BackboneOption,
    FormatOption,
    ImportOption,
    OptionsOption,
    OverridesOption,
    QuietOption,
    RecipeOption,
    ResultsOption,
    VariantOption,
)
from mogabench.processes import count_cores

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mogabench.analysis.ablation.study import Line
    from mogabench.engine.job import Job
    from mogabench.paper import Variant
    from mogabench.records import Record
    from mogabench.subject import Subject

_FIRST_SEED = 42


def ablation(
    name: Annotated[
        str,
        typer.Argument(
            metavar="A5",
            help="An ablation of 'mogabench list ablations'.",
            autocompletion=complete_ablation,
        ),
    ],
    variant: VariantOption = None,
    backbone: BackboneOption = None,
    size: Annotated[
        str | None,
        typer.Option(
            metavar="N|HxW",
            help="Input size; default: the ablation's, or with --data the recipe's.",
        ),
    ] = None,
    options: OptionsOption = None,
    data: Annotated[
        str | None, typer.Option(metavar="DIR|sample", help="Data to train all networks on.")
    ] = None,
    seeds: Annotated[
        int, typer.Option(min=1, help="Trainings of each network, each with its own seed.")
    ] = 5,
    recipe: RecipeOption = None,
    overrides: OverridesOption = None,
    jobs: Annotated[
        int, typer.Option(min=1, help="Trainings at a time, each on one thread.")
    ] = count_cores(),
    work_dir: Annotated[
        Path, typer.Option(metavar="DIR", help="Folder that keeps the trained weights.")
    ] = Path("work/ablation"),
    packages: ImportOption = None,
    results: ResultsOption = None,
    output_format: FormatOption = "text",
    quiet: QuietOption = False,
) -> None:
    """Compare the networks of an ablation of MogaNet's paper.

    Compares parameters and operations and, with --data, accuracies. For these it trains each
    network with several seeds on the CPU; what has a record is not trained again.
    """
    from mogabench.analysis.ablation.figure import draw
    from mogabench.analysis.ablation.study import compare
    from mogabench.analysis.figures import figure_name, write_figure
    from mogabench.catalogue import import_packages
    from mogabench.console import print_json
    from mogabench.errors import UserError
    from mogabench.measure.trainings import train_many
    from mogabench.paper import get_ablation, get_paper
    from mogabench.records import open_store
    from mogabench.tasks import choose_subject, get_task

    is_quiet = quiet or output_format == "json"
    if data is None and (recipe or overrides):
        raise UserError("--recipe and --set are for a training: add --data DIR or --data sample")
    if any(text.partition("=")[0] == "seed" for text in overrides or ()):
        raise UserError("--seeds says how many seeds there are: leave out --set seed=N")
    import_packages(packages)
    chosen = get_ablation(get_paper(), name)
    if (variant or backbone) and len({one.meta.backbone for one in chosen.variants}) > 1:
        raise UserError(
            f"{chosen.name} compares several networks, which its rows name: leave out --variant "
            "and --backbone"
        )
    store, task = open_store(results), get_task("classification")
    subjects = [
        choose_subject(
            task, variant=variant, backbone=backbone, method=None, size=size,
            options=options or (), ablated=one.meta,
        )
        for one in chosen.variants
    ]  # fmt: skip
    title, trained = f"Ablation {chosen.name}: {chosen.title}", []
    if data is not None:
        trainings = [
            _training(one, subject, seed, data, size, recipe, overrides or (), work_dir)
            for one, subject in zip(chosen.variants, subjects, strict=True)
            for seed in range(_FIRST_SEED, _FIRST_SEED + seeds)
        ]
        _check_distinct(chosen.variants, trainings[::seeds])
        subjects = [training.subject for training in trainings[::seeds]]  # at the recipe's size
        trained = train_many(
            trainings, store, processes=jobs, packages=packages or (), quiet=is_quiet
        )
        title += f", trained on {_data_of(trained)}"
    count = len(trained) // len(subjects)
    by_network = [trained[n * count : (n + 1) * count] for n in range(len(subjects))]
    lines = compare(chosen, subjects, by_network, store, packages=packages or (), quiet=is_quiet)
    networks = dict.fromkeys(one.backbone for one in subjects)
    sizes = dict.fromkeys("x".join(map(str, one.input_size)) for one in subjects)
    title += f"; {', '.join(networks)} at {' and '.join(sizes)}"
    if options:
        title += f" with {', '.join(options)}"
    words = [chosen.name, *networks, _data_of(trained)]
    digests = {record.provenance.data.digest for record in trained if record.provenance.data}
    # Not of the weights: what is trained again or with more seeds takes the place of the figure.
    name = figure_name(
        "ablation", words, [title, recipe or "", *(overrides or ()), *sorted(digests)]
    )
    write_figure(draw(lines, name, title), store.results)
    if output_format == "json":
        print_json([asdict(line) for line in lines])
    else:
        _print(title, lines)


def _training(
    variant: Variant,
    subject: Subject,
    seed: int,
    data: str,
    size: str | None,
    recipe: str | None,
    overrides: Sequence[str],
    work_dir: Path,
) -> Job[Any, Any]:
    from mogabench.cli.subjects import ablated_training
    from mogabench.engine.make_job import make_job
    from mogabench.tasks import get_task

    recipe, overrides = ablated_training(variant.meta, recipe, overrides, data)
    return make_job(
        get_task("classification"),
        subject,
        data=data,
        size_is_given=size is not None,
        recipe=recipe,
        overrides=[*overrides, f"seed={seed}"],
        weights=None,
        train=True,
        work_dir=work_dir / f"{variant.name.replace('/', '-')}-seed{seed}",
        device="cpu",
        workers=0,
        quiet=True,
    )


def _check_distinct(variants: Sequence[Variant], trainings: Sequence[Job[Any, Any]]) -> None:
    """Refuses to show one training by two names, of rows which differ in what is given for all."""
    from mogabench.errors import UserError

    names: dict[tuple[str, str], str] = {}
    for variant, training in zip(variants, trainings, strict=True):
        same = (training.subject.key, training.recipe.digest if training.recipe else "")
        if same in names:
            raise UserError(
                f"{names[same]} and {variant.name} are one training here: they differ in the "
                "recipe, the input size or the network, which the sample or the command line gives"
            )
        names[same] = variant.name


def _data_of(trained: Sequence[Record]) -> str:
    data = trained[0].provenance.data if trained else None
    return data.name if data else ""


def _print(title: str, lines: Sequence[Line]) -> None:
    from textwrap import wrap

    from mogabench.console import print_line, print_table
    from mogabench.tables.grid import MISSING
    from mogabench.tables.series import spread

    for part in wrap(title, 80):
        print_line(part)
    heads = ["name", "what", "M", "G"]
    rows = [
        [line.name, line.label, f"{line.parameters / 1e6:.3f}", f"{line.operations / 1e9:.4f}"]
        for line in lines
    ]
    if any(line.printed for line in lines):
        heads.append("printed")
        for row, line in zip(rows, lines, strict=True):
            row.append(MISSING if line.printed is None else f"{line.printed}")
    trained = any(line.accuracies for line in lines)
    if trained:
        heads += ["top-1 (%)", "gain"]
        for row, line in zip(rows, lines, strict=True):
            gain = line.gain_over(lines[0])
            row.append(spread(list(line.accuracies.values())))
            row.append(MISSING if gain is None else f"{gain[0]:+.2f} ± {gain[1]:.2f}")
    print_table(heads, rows, right=heads[2:], prose=("what",))
    if trained:
        print_line(
            "top-1: mean and standard deviation over the seeds; gain over the first network:"
        )
        print_line("mean difference seed by seed and its standard error")
