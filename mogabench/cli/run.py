"""``mogabench run``: the whole row for one model."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mogabench.cli.options import (
    BackboneOption,
    ImportOption,
    JsonOption,
    QuietOption,
    ResultsOption,
    VariantOption,
)

if TYPE_CHECKING:
    from mogabench.engine.job import Job
    from mogabench.engine.task import Task
    from mogabench.records import Record, Store
    from mogabench.subject import OptionValue, Subject


def run(
    task: Annotated[str, typer.Argument(help="A task, such as classification.")],
    variant: VariantOption = None,
    backbone: BackboneOption = None,
    method: Annotated[str | None, typer.Option(help="One of the task's methods.")] = None,
    size: Annotated[
        str | None, typer.Option(metavar="N|HxW", help="Input size; default: the paper's.")
    ] = None,
    options: Annotated[
        list[str] | None,
        typer.Option("--option", metavar="NAME=VALUE", help="A keyword argument of the backbone."),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(metavar="DIR|NAME|sample", help="Data to evaluate or train on."),
    ] = None,
    weights: Annotated[
        str | None, typer.Option(metavar="official|FILE", help="Weights to start from.")
    ] = None,
    new_head: Annotated[
        bool, typer.Option("--new-head", help="Reinitialise a head of another class count.")
    ] = False,
    train: Annotated[bool, typer.Option("--train", help="Train by the recipe.")] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the newest checkpoint in --work-dir.")
    ] = False,
    recipe: Annotated[
        str | None, typer.Option(metavar="NAME|FILE", help="See 'mogabench list recipes'.")
    ] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Override a field of the recipe."),
    ] = None,
    work_dir: Annotated[
        Path | None, typer.Option("--work-dir", metavar="DIR", help="Checkpoints and logs.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    amp: Annotated[str | None, typer.Option(help="float16 or bfloat16 autocast.")] = None,
    channels_last: Annotated[bool, typer.Option("--channels-last")] = False,
    compiled: Annotated[
        bool, typer.Option("--compile", help="Train and evaluate through torch.compile.")
    ] = False,
    batch_size: Annotated[
        int | None, typer.Option(help="Images per step and device; the recipe's total stays.")
    ] = None,
    workers: Annotated[int, typer.Option(help="Processes that load data.")] = min(
        2, len(os.sched_getaffinity(0))
    ),
    on_bad_image: Annotated[
        str, typer.Option(help="What an unreadable image does when classifying: skip or fail.")
    ] = "skip",
    class_map: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Class folders in label order, one a line.")
    ] = None,
    boxes: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Detected persons, to estimate poses in.")
    ] = None,
    packages: ImportOption = None,
    results: ResultsOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Measure one model: parameters, operations, throughput and, with --data, its quality."""
    from mogabench.catalogue import import_packages
    from mogabench.records import open_store
    from mogabench.tasks import get_task

    chosen = get_task(task)
    import_packages(packages)
    subject = _subject(chosen, variant, backbone, method, size, options)
    job = None
    if data is not None:
        from mogabench.data.identity import SAMPLE
        from mogabench.engine.job import make_job

        job = make_job(
            chosen,
            subject,
            data=data,
            options=chosen.Options(
                **{
                    name: value
                    for name, value in {
                        "on_bad_image": on_bad_image,
                        "class_map": class_map,
                        "boxes": boxes,
                    }.items()
                    if name in chosen.Options.model_fields
                }
            ),
            size_is_given=size is not None,
            recipe=recipe,
            overrides=overrides or (),
            weights=weights,
            new_head=new_head,
            train=train,
            resume=resume,
            work_dir=work_dir,
            device=device,
            amp=amp,
            channels_last=channels_last,
            compile=compiled,
            batch_size=batch_size,
            workers=workers,
            quiet=quiet or as_json,
        )
        if data != SAMPLE:
            subject = job.subject  # at the recipe's test size
    elif any((train, weights, resume, new_head, recipe, overrides, work_dir, class_map, boxes)) or (
        amp or channels_last or compiled or batch_size
    ):
        from mogabench.errors import UserError

        raise UserError(
            "--train, --weights, --recipe and what goes with them need --data DIR (or --data "
            "sample); 'mogabench profile' times other precisions, layouts and batches"
        )
    store = open_store(results)
    _measure_complexity(subject, store, packages)
    quality = None
    if job is not None:
        quality = _measure_quality(chosen, job)
        if int(os.environ.get("RANK", "0")) > 0:
            return  # torchrun started several of us; the first one tells
        store.append(quality)
        if job.train and job.work_dir is not None:
            from mogabench.tables.trainings import keep

            keep(quality, job.work_dir, store.results)
    throughput = _quick_throughput(subject, device, packages)
    store.append(throughput)
    if as_json:
        _print_json(subject, store, throughput, quality)
    else:
        _print(subject, store, throughput, quality)


def _subject(
    task: Task[Any, Any],
    variant: str | None,
    backbone: str | None,
    method: str | None,
    size: str | None,
    options: list[str] | None,
) -> Subject:
    from mogabench.catalogue import check_backbone
    from mogabench.errors import UserError, unknown
    from mogabench.subject import Subject, parse_size
    from mogabench.variants import VARIANTS, backbone_of

    if (variant is None) == (backbone is None):
        raise UserError(f"give --variant ({', '.join(VARIANTS)}) or --backbone NAME, one of them")
    if method is not None and method not in task.methods:
        raise unknown(f"method of {task.name}", method, task.methods)
    chosen = method or task.methods[0]
    try:
        pixels = task.default_sizes[chosen] if size is None else parse_size(size)
    except ValueError:
        raise UserError(f"--size {size} is not a size such as {_example(task)}") from None
    if len(pixels) != len(task.default_sizes[chosen]):
        raise UserError(f"--size {size} is not a size of {task.name}, such as {_example(task)}")
    return Subject(
        task=task.name,
        method=chosen,
        backbone=backbone_of(variant)
        if variant
        else check_backbone(backbone or "", task.backbones()),
        input_size=pixels,
        options=tuple(_parse_option(text) for text in options or ()),
    )


def _example(task: Task[Any, Any]) -> str:
    return "x".join(map(str, task.default_sizes[task.methods[0]]))


def _parse_option(text: str) -> tuple[str, OptionValue]:
    """Reads ``NAME=VALUE``, the value in JSON where it is JSON."""
    import json

    from mogabench.errors import UserError

    name, equals, value = text.partition("=")
    if not equals:
        raise UserError(f"--option {text} is not NAME=VALUE, such as gate_act=gelu")
    try:
        parsed = json.loads(value)
    except json.JSONDecodeError:
        return name, value
    if isinstance(parsed, list):
        if not all(isinstance(item, (int, float)) for item in parsed):
            raise UserError(f"--option {text}: a list must be of numbers")
        return name, tuple(parsed)
    return name, parsed if isinstance(parsed, (str, int, float, bool)) else value


def _measure_complexity(subject: Subject, store: Store, packages: list[str] | None) -> None:
    from mogabench.errors import UserError
    from mogabench.measure.sweep import sweep
    from mogabench.records import Kind

    if store.latest(subject.key, Kind.COMPLEXITY) is None:
        for failure in sweep([subject], store, packages=packages, quiet=True):
            raise UserError(f"cannot count {failure.subject.backbone}: {failure.reason}")


def _quick_throughput(subject: Subject, device: str, packages: list[str] | None) -> Record:
    """A few seconds of eager float32, in a process of its own; batch 1 on a CPU."""
    from mogabench.engine.environment import choose_device
    from mogabench.measure.settings import Settings
    from mogabench.measure.worker import Request, measure_in_subprocess

    on_gpu = choose_device(device).startswith("cuda")
    settings = Settings(
        device="cuda" if on_gpu else "cpu",
        batch_size="auto" if on_gpu else 1,
        warmup_seconds=0.5,
        min_iterations=2,
        min_seconds=2.0,
    )
    request = Request(subject=subject, settings=settings, packages=tuple(packages or ()))
    return measure_in_subprocess(request)


def _measure_quality(task: Task[Any, Any], job: Job[Any, Any]) -> Record:
    from mogabench.engine.record import quality_record
    from mogabench.engine.run import run as run_job

    return quality_record(task, job, run_job(job, task))


def _print(subject: Subject, store: Store, throughput: Record, quality: Record | None) -> None:
    from rich.console import Console
    from rich.markup import escape

    from mogabench.records import Kind
    from mogabench.tables.appearances import appearances, commands_for_missing, print_appearances

    print = partial(Console(highlight=False).print, soft_wrap=True)
    print(f"[bold]{escape(subject.key)}[/]")
    found = appearances(subject, store)
    if found:
        print_appearances(found)
    counted = store.latest(subject.key, Kind.COMPLEXITY)
    assert counted is not None
    print(escape(_complexity_line(counted)))
    values, where = throughput.values, throughput.provenance
    rate = values["throughput"]
    print(
        f"throughput {rate.value:.{1 if rate.value >= 10 else 3}f} {rate.unit} "
        f"(± {values['spread'].value:.1f} %, batch {where.batch_size}, {where.dtype}, "
        f"{escape(where.device)}, {where.threads} threads)"
    )
    if quality is not None:
        print(_quality_line(quality))
        for note in quality.notes:
            print(f"  {escape(note)}")
    for command in commands_for_missing(found):
        print(f"to measure the rest: {escape(command)}")


def _complexity_line(counted: Record) -> str:
    values = {name: quantity.value for name, quantity in counted.values.items()}
    operations = ", ".join(
        f"{value / 1e9:.3f} G ({name.removeprefix('operations_')})"
        for name, value in values.items()
        if name.startswith("operations_")
    )
    return (
        f"parameters {values['parameters'] / 1e6:.3f} M; operations {operations}; "
        f"activations {values['activations'] / 1e6:.1f} M, "
        f"at most {values['peak_activation_memory'] / 2**20:.0f} MiB at once"
    )


def _quality_line(quality: Record) -> str:
    from mogabench.tables.trainings import quality_text

    recipe = quality.provenance.recipe
    return quality_text(quality) + f", trained by {recipe}" * bool(recipe)


def _print_json(subject: Subject, store: Store, throughput: Record, quality: Record | None) -> None:
    import json

    from mogabench.tables.appearances import appearances

    whole = {
        "subject": subject.key,
        "cells": [item.entry() for item in appearances(subject, store)],
        "throughput": throughput.model_dump(mode="json", exclude_none=True),
        "quality": quality and quality.model_dump(mode="json", exclude_none=True),
    }
    print(json.dumps(whole, ensure_ascii=False, indent=1))
