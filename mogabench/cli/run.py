"""``mogabench run TASK``: the whole row for one model."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from mogabench.cli.completion import complete_ablated
from mogabench.cli.options import (
    BackboneOption,
    FormatOption,
    ImportOption,
    MethodOption,
    OptionsOption,
    OverridesOption,
    PaperOption,
    PapersOption,
    QuietOption,
    RecipeOption,
    ResultsOption,
    VariantOption,
)
from mogabench.pretraining import Pretraining
from mogabench.processes import count_cores

_STARTED = time.monotonic()
"""About when the process began, so that ``--time-budget`` covers what it imports, too."""


def run(
    task: Any,
    own: Any,
    variant: VariantOption = None,
    backbone: BackboneOption = None,
    ablation: Annotated[
        str | None,
        typer.Option(
            metavar="A5/4",
            help="A network of an ablation of MogaNet's paper; 'mogabench list ablations A5' lists "
            "those of A5.",
            autocompletion=complete_ablated,
        ),
    ] = None,
    method: MethodOption = None,
    size: Annotated[
        str | None,
        typer.Option(
            metavar="N|HxW", help="Input size; default: the weights', the recipe's, or the task's."
        ),
    ] = None,
    options: OptionsOption = None,
    data: Annotated[
        str | None,
        typer.Option(
            metavar="DIR|NAME|sample",
            help="Data to evaluate or train on; sample: a small set for a first try.",
        ),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(
            metavar="official|FILE",
            help="Weights to evaluate or, with --train, to start from; official: those that were "
            "released.",
        ),
    ] = None,
    pretraining: Annotated[
        Pretraining | None,
        typer.Option(
            help="The pretraining of weights that do not state it; the accuracy fills only rows of "
            "tables with the same pretraining."
        ),
    ] = None,
    ema: Annotated[
        bool,
        typer.Option(
            "--ema/--no-ema",
            help="Use averaged weights: those in the file and, in training, those of the recipe.",
        ),
    ] = True,
    new_head: Annotated[
        bool, typer.Option("--new-head", help="Train a new head on --weights, for other classes.")
    ] = False,
    train: Annotated[bool, typer.Option("--train", help="Train by the recipe.")] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the newest checkpoint in --work-dir.")
    ] = False,
    recipe: RecipeOption = None,
    overrides: OverridesOption = None,
    time_budget: Annotated[
        str | None,
        typer.Option(
            metavar="6m",
            help="Train as many epochs as fit into this time, with the evaluation. For cosine and "
            "one-cycle schedules, on one device.",
        ),
    ] = None,
    work_dir: Annotated[
        Path | None,
        typer.Option(
            "--work-dir",
            metavar="DIR",
            help="Folder for checkpoints and logs; default: work/TASK/BACKBONE-RECIPE.",
        ),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    nproc: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="Processes, one for each GPU; they share the recipe's batch."
        ),
    ] = None,
    amp: Annotated[str | None, typer.Option(help="float16 or bfloat16 autocast.")] = None,
    channels_last: Annotated[
        bool | None,
        typer.Option(
            "--channels-last/--no-channels-last",
            help="NHWC memory layout; default: the task's faster one.",
        ),
    ] = None,
    compiled: Annotated[
        bool, typer.Option("--compile", help="Train and evaluate through torch.compile.")
    ] = False,
    runtime: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Evaluate in torch, onnxruntime or openvino (CPU), or tensorrt (GPU).",
        ),
    ] = "torch",
    batch_size: Annotated[
        int | None,
        typer.Option(
            help="Samples per pass and device; gradients are accumulated up to the recipe's batch."
        ),
    ] = None,
    workers: Annotated[int, typer.Option(help="Processes that load data.")] = min(2, count_cores()),
    on_bad_image: Annotated[
        Literal["skip", "fill", "fail"],
        typer.Option(
            help="How to treat unreadable images: skip leaves them out and counts them, fill uses "
            "the readable part of a truncated image, fail ends the run."
        ),
    ] = "skip",
    predictions: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Write what the evaluation predicts, in the task's file format."
        ),
    ] = None,
    confusion: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Write the confusion matrix as CSV, a row for each true class."
        ),
    ] = None,
    per_class: Annotated[
        bool, typer.Option("--per-class", help="Print the evaluation's figures for each class.")
    ] = False,
    throughput: Annotated[
        bool,
        typer.Option("--throughput", help="With --data: time the network as well."),
    ] = False,
    paper: PaperOption = None,
    papers: PapersOption = None,
    packages: ImportOption = None,
    results: ResultsOption = None,
    output_format: FormatOption = "text",
    quiet: QuietOption = False,
) -> None:
    """Measure one network.

    Without --data it is counted, timed, and shown beside the paper's figures.

    With --data it is counted, and its accuracy is measured with --weights or after --train.
    """
    from mogabench.checkpoints import read_stated
    from mogabench.cli.run_output import print_row, print_row_as_json
    from mogabench.cli.subjects import ablated_training
    from mogabench.engine.launch import adopt_environment, must_start, start_processes
    from mogabench.engine.weights import as_stated, giver_of_size, stated_recipe
    from mogabench.errors import UserError
    from mogabench.paper import get_paper, get_variant
    from mogabench.records import open_store
    from mogabench.tables.row import measure_row
    from mogabench.tasks import choose_subject

    adopt_environment()
    beside = get_paper(paper, papers)
    if per_class and not task.has_classes:
        raise UserError(f"--per-class: {task.name} has no classes")
    ablated = None if ablation is None else get_variant(get_paper(), ablation).meta
    stated = None if train or data is None else read_stated(weights, task.name)
    if stated is not None:
        stated = stated.for_data()
        method = method or stated.method
        if variant is None and backbone is None and ablated is None:
            backbone = stated.backbone
    subject = choose_subject(
        task, variant=variant, backbone=backbone, method=method, size=size, options=options or (),
        ablated=ablated,
    )  # fmt: skip
    size_given_by = giver_of_size(size, weights, stated)
    if stated is not None:
        subject = as_stated(subject, stated, size_is_given=size is not None)
    if ablated is not None and train and ablated.task == task.name:
        recipe, overrides = ablated_training(ablated, recipe, overrides or (), data)
    asked_size = own.input_size(subject.input_size, given_by=size_given_by)
    subject = subject.model_copy(update={"input_size": asked_size})
    job = None
    if data is not None:
        from mogabench.engine.make_job import make_job

        job = make_job(
            task,
            subject,
            data=data,
            options=own,
            size_is_given=bool(size_given_by),
            recipe=recipe or stated_recipe(task, stated),
            overrides=overrides or (),
            weights=weights,
            pretraining=pretraining,
            ema=ema,
            new_head=new_head,
            train=train,
            resume=resume,
            work_dir=work_dir,
            device=device,
            amp=amp,
            channels_last=channels_last,
            compile=compiled,
            runtime=runtime,
            batch_size=batch_size,
            workers=workers,
            on_bad_image=on_bad_image,
            deadline=None if time_budget is None else _STARTED + _seconds(time_budget),
            predictions=predictions,
            confusion=confusion,
            quiet=quiet or output_format == "json",
        )
        if nproc is not None and must_start(nproc, job.device):
            start_processes(nproc)
            return
        subject = job.subject  # at the size that the recipe evaluates at
    row = measure_row(
        task,
        subject,
        job,
        open_store(results),
        timed_on=device if throughput or job is None else None,
        packages=packages or [],
    )
    if row is not None:
        show = print_row_as_json if output_format == "json" else print_row
        show(row, beside, per_class=per_class)


def _seconds(text: str) -> float:
    """The seconds of a duration such as ``90s``, ``6m`` or ``1.5h``.

    Raises:
        UserError: It is none.
    """
    import re

    from mogabench.errors import UserError

    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", text)
    if found is None:
        raise UserError(f"--time-budget {text}: give a duration such as 90s, 6m or 1.5h")
    return float(found[1]) * {"s": 1, "m": 60, "h": 3600}[found[2]]
