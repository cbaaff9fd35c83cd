"""``mogabench profile``: how fast networks run on this machine, and in how much memory."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, replace
from itertools import product
from typing import TYPE_CHECKING, Annotated, Literal, get_args

import typer

from mogabench.cli.completion import complete_network, complete_task
from mogabench.cli.options import (
    ImportOption,
    PaperOption,
    PapersOption,
    QuietOption,
    ResultsOption,
    SizeOption,
)
from mogabench.defaults import DEFAULT_TASK

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mogabench.measure.settings import Settings
    from mogabench.measure.worker import Request
    from mogabench.records import Record
    from mogabench.subject import Subject


def profile(
    models: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="MODEL",
            help="timm names, or MogaNet's xt to xl; default: the networks that the paper times, "
            "in a figure or in the task's tables.",
            autocompletion=complete_network,
        ),
    ] = None,
    task: Annotated[
        str,
        typer.Option(help="Time the whole network of this task.", autocompletion=complete_task),
    ] = DEFAULT_TASK,
    paper: PaperOption = None,
    papers: PapersOption = None,
    gpu: Annotated[bool, typer.Option("--gpu", help="Measure on the GPU.")] = False,
    dtypes: Annotated[
        list[str] | None,
        typer.Option("--dtype", help="float32 (default), bfloat16 or float16; repeatable."),
    ] = None,
    eager: Annotated[
        bool, typer.Option("--eager", help="Without torch.compile (default).")
    ] = False,
    compiled: Annotated[bool, typer.Option("--compile", help="Through torch.compile.")] = False,
    runtimes: Annotated[
        list[str] | None,
        typer.Option(
            "--runtime",
            metavar="NAME",
            help="torch (default), onnxruntime, openvino, or tensorrt on a GPU; repeatable.",
        ),
    ] = None,
    channels_last: Annotated[
        bool, typer.Option("--channels-last", help="NHWC memory layout.")
    ] = False,
    batch_size: Annotated[
        str,
        typer.Option(
            metavar="N|auto",
            help="auto: 256 on a GPU and 8 on a CPU, halved until it fits into memory.",
        ),
    ] = "auto",
    size: SizeOption = None,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Threads on the CPU; default: PyTorch's.")
    ] = None,
    min_iterations: Annotated[
        int, typer.Option(min=1, help="Time at least this many passes.")
    ] = 30,
    min_seconds: Annotated[
        float, typer.Option(min=0, help="Time at least this many seconds.")
    ] = 5.0,
    max_seconds: Annotated[
        float,
        typer.Option(
            min=0,
            help="Stop after this many seconds, even if the median is not known to 1 %, but not "
            "before --min-iterations are done.",
        ),
    ] = 30.0,
    warmup_seconds: Annotated[float, typer.Option(min=0, help="Seconds of warm-up.")] = 2.0,
    skip_existing: Annotated[
        bool,
        typer.Option(
            "--skip-existing",
            help="Skip set-ups that have an undisturbed timing by the same code on this device, of "
            "--min-iterations and, where the median is not known to 1 %, of --min-seconds.",
        ),
    ] = False,
    check: Annotated[
        str | None,
        typer.Option(metavar="fvcore", help="Time nothing; compare counts with fvcore's."),
    ] = None,
    train_step: Annotated[
        bool,
        typer.Option(
            "--train-step",
            help="Time a training step: forward, loss, backward, AdamW; --dtype is autocast's.",
        ),
    ] = False,
    comparing: Annotated[
        bool,
        typer.Option(
            "--compare",
            help="Measure in turns, and compare each network with the first; writes no record.",
        ),
    ] = False,
    packages: ImportOption = None,
    results: ResultsOption = None,
    output_format: Annotated[
        Literal["text", "json", "csv"],
        typer.Option(
            "--format",
            "-f",
            help="json: for programs; csv: the columns of timm's results/benchmark-*.csv.",
        ),
    ] = "text",
    quiet: QuietOption = False,
) -> None:
    """Measure throughput, latency and peak memory of networks.

    Prints images (or sequences) per second, of inference or of a training step.

    Each network runs in a process of its own, until the median time is known to 1 %, and its record
    is stored at once. A record of a busy or throttled machine is marked, and tables and plots leave
    it out. The floor is the longer of two times at the rates measured on the machine: that of the
    operations, and that of moving weights, inputs and outputs. Peak memory leaves out what the
    libraries take.
    """
    from mogabench.catalogue import import_packages
    from mogabench.cli.profile_output import print_csv, print_records
    from mogabench.cli.subjects import subjects_to_time
    from mogabench.console import print_json
    from mogabench.errors import UserError
    from mogabench.measure.profiling import sweep_throughput
    from mogabench.measure.quick import count
    from mogabench.measure.settings import Settings
    from mogabench.measure.worker import Request, check_request
    from mogabench.records import open_store

    import_packages(packages)
    subjects = subjects_to_time(task, models or (), size, paper=paper, papers=papers)
    if check is not None:
        _print_check(check, subjects, output_format, quiet=quiet)
        return
    if gpu:
        _require_gpu()
    settings = Settings(
        train_step=train_step,
        device="cuda" if gpu else "cpu",
        channels_last=channels_last,
        batch_size=_batch_size(batch_size),
        warmup_seconds=warmup_seconds,
        min_iterations=min_iterations,
        min_seconds=min_seconds,
        max_seconds=max_seconds,
        threads=threads,
    )
    modes = [False] * (eager or not compiled) + [True] * compiled
    set_ups = _set_ups(settings, dtypes or ["float32"], modes, runtimes or ["torch"])
    if output_format == "csv":
        _check_csv(subjects, set_ups)
    requests = [
        Request(subject=subject, settings=settings, packages=tuple(packages or ()))
        for subject, settings in product(subjects, set_ups)
    ]
    for request in requests:
        check_request(request)
    if comparing:
        if skip_existing or output_format == "csv":
            raise UserError("--compare uses no records: leave out --skip-existing and --format csv")
        if not models or len(requests) < 2:
            raise UserError("--compare needs two networks, or two set-ups of one: name them")
        _print_comparisons(requests, output_format == "json")
        return
    store = open_store(results)
    records = sweep_throughput(requests, store, skip_existing=skip_existing, quiet=quiet)
    if output_format == "json":
        print_json([record.model_dump(mode="json", exclude_none=True) for record in records])
    elif output_format == "csv":
        print_csv(records, count([_computed(one) for one in records], store, packages or ()))
    else:
        print_records(records)
    if len(records) < len(requests):
        raise typer.Exit(1)


def _computed(record: Record) -> Subject:
    """What was timed, in the form for inference where that is what another runtime computes."""
    form = None if record.provenance.runtime is None else "inference"
    return record.subject.model_copy(update={"form": form})


def _require_gpu() -> None:
    from mogabench.console import print_error
    from mogabench.machine import find_gpu_fault

    if fault := find_gpu_fault():
        print_error(f"{fault}; leave --gpu out to measure the CPU")
        raise typer.Exit(1)


def _batch_size(text: str) -> int | Literal["auto"]:
    from mogabench.errors import UserError

    if text == "auto":
        return "auto"
    if not text.isdecimal() or int(text) == 0:
        raise UserError(f"--batch-size {text}: give a number from 1 up, or auto")
    return int(text)


def _check_csv(subjects: Sequence[Subject], set_ups: Sequence[Settings]) -> None:
    """Refuses what timm's columns cannot tell apart."""
    from mogabench.errors import UserError

    if len(set_ups) > 1:
        raise UserError("--format csv is for one set-up: give one --dtype, --runtime and mode")
    if any(one.options or one.task != "classification" for one in subjects):
        raise UserError(
            "--format csv has timm's columns, which are of classifiers without options: use "
            "--format json"
        )


def _set_ups(
    settings: Settings,
    dtypes: Sequence[str],
    modes: Sequence[bool],
    runtimes: Sequence[str],
) -> list[Settings]:
    from mogabench.errors import unknown
    from mogabench.measure.settings import Dtype

    valid = get_args(Dtype)
    for dtype in dtypes:
        if dtype not in valid:
            raise unknown("dtype", dtype, valid)
    return [
        replace(settings, dtype=dtype, compile=mode, runtime=runtime)
        for dtype, mode, runtime in product(dict.fromkeys(dtypes), modes, dict.fromkeys(runtimes))
    ]


def _print_comparisons(requests: Sequence[Request], as_json: bool) -> None:
    from mogabench.cli.profile_output import print_comparisons
    from mogabench.console import print_json
    from mogabench.measure.comparing import compare

    found = compare(requests)
    if as_json:
        print_json([asdict(item) | {"verdict": item.verdict} for item in found])
    else:
        print_comparisons(found)


def _print_check(
    check: str, subjects: Sequence[Subject], output_format: str, *, quiet: bool
) -> None:
    from mogabench.console import print_json, print_table
    from mogabench.errors import UserError, unknown
    from mogabench.measure.reference import compare_with_fvcore
    from mogabench.progress import progress

    if check != "fvcore":
        raise unknown("check", check, ["fvcore"])
    if output_format == "csv":
        raise UserError("--format csv is for timings: --check prints text or json")
    found = {}
    with progress("counting", len(subjects), quiet=quiet) as advance:
        for subject in subjects:
            found[subject] = compare_with_fvcore(subject)
            advance(subject.backbone)
    if output_format == "json":
        about = ({"backbone": one.backbone, "subject": one.key} for one in found)
        print_json([a | asdict(pair) for a, pair in zip(about, found.values(), strict=True)])
        return
    often = Counter(subject.backbone for subject in found)
    names = [one.key if often[one.backbone] > 1 else one.backbone for one in found]
    rows = [
        (name, f"{pair.ours / 1e9:.4f}", f"{pair.fvcore / 1e9:.4f}", f"{pair.difference:+.2%}")
        for name, pair in zip(names, found.values(), strict=True)
    ]
    heads = ("model", "ours (G)", "fvcore (G)", "difference")
    print_table(heads, rows, right=heads[1:])
