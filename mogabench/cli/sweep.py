"""``mogabench sweep``: a plan of many measurements, here or on a SLURM cluster."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mogabench.cli.options import QuietOption, ResultsOption

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mogabench.records import Store
    from mogabench.sweeps.local import Failure
    from mogabench.sweeps.plan import Measurement


def sweep(
    plan: Annotated[Path, typer.Argument(metavar="PLAN.yaml", help="The plan.")],
    jobs: Annotated[int, typer.Option(min=1, help="Measurements at a time on this machine.")] = 1,
    slurm: Annotated[
        str | None,
        typer.Option(
            metavar="partition=…,gpus=…,time=…",
            help="Run as one job array of SLURM with these parameters of sbatch.",
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would run; with --gpu, also for how long.")
    ] = False,
    gpu: Annotated[
        str | None,
        typer.Option(metavar="h200", help="Estimate times on this device from its records."),
    ] = None,
    hours: Annotated[
        float | None, typer.Option(min=0, help="Run only what fits into these hours on --gpu.")
    ] = None,
    retries: Annotated[
        int,
        typer.Option(
            min=0,
            help="Restarts of a killed measurement. With --slurm, of a job that was preempted or "
            "whose node failed; a job that was killed, such as out of memory, is not restarted.",
        ),
    ] = 3,
    work_dir: Annotated[
        Path, typer.Option("--work-dir", metavar="DIR", help="Folder for checkpoints and logs.")
    ] = Path("sweep"),
    results: ResultsOption = None,
    quiet: QuietOption = False,
) -> None:
    """Run the measurements of a plan that have no record yet.

    A plan is a YAML list. An entry '- run: TASK' or '- profile: MODEL' takes the options of that
    command; a list of values makes a grid, 'seeds: 3' a training for each seed. An entry
    '- tables: [2, 3]' measures what is missing in these tables, with 'data: {TASK: DIR}'; with
    'train: true' it also trains networks that have no released weights.

    Each measurement is a process of its own. Running a plan again measures only what is missing; an
    interrupted training goes on. 'mogabench records merge' gathers what other machines measured.
    """
    from mogabench.console import print_error, print_line
    from mogabench.errors import UserError
    from mogabench.records import open_store
    from mogabench.sweeps.estimate import affordable, find_device
    from mogabench.sweeps.estimate import hours as hours_of
    from mogabench.sweeps.missing import missing
    from mogabench.sweeps.plan import read_plan

    if hours is not None and gpu is None:
        raise UserError("--hours needs --gpu, such as --gpu h200")
    store = open_store(results)
    found = missing(read_plan(plan), store, elsewhere=slurm is not None)
    for item in found.measurements:
        _check(item)
    costs: Sequence[float | None] = [None] * len(found.measurements)
    if gpu is not None:
        device = find_device(gpu, store)
        costs = [hours_of(item, device, store) for item in found.measurements]
    failures: Sequence[Failure] = []
    chosen = found.measurements
    if hours is not None:
        chosen = affordable(chosen, costs, hours)
    if dry_run:
        _print_plan(dict(zip(found.measurements, costs, strict=True)), chosen, gpu)
        for reason, count in found.left_out.items():
            print_line(f"left out: {count} of {reason}")
    elif chosen:
        failures = _run(chosen, store, work_dir, slurm, jobs=jobs, retries=retries, quiet=quiet)
        for failure in failures:
            print_error(f"{failure.item}: {failure.reason}")
    print_line(
        f"{len(chosen)} to measure, {found.done} measured before, {found.left_out.total()} left out"
        + (f", {len(found.measurements) - len(chosen)} beyond --hours" if hours else "")
    )
    if failures:
        raise typer.Exit(1)


def _run(
    items: Sequence[Measurement],
    store: Store,
    work_dir: Path,
    slurm: str | None,
    *,
    jobs: int,
    retries: int,
    quiet: bool,
) -> Sequence[Failure]:
    from mogabench.errors import UserError
    from mogabench.files import expanded
    from mogabench.sweeps.cluster import run_by, slurm_executor
    from mogabench.sweeps.local import Place, run_here

    place = Place(expanded(work_dir).resolve(), store.results.resolve())
    if slurm is None:
        return run_here(items, place, jobs=jobs, retries=retries, quiet=quiet)
    if jobs > 1:
        raise UserError(f"--jobs is for this machine: give --slurm {slurm},jobs={jobs}")
    parameters = _parameters(slurm)
    place = Place(place.work, place.results, int(parameters.get("gpus", "1")))
    return run_by(slurm_executor(place, parameters), items, place, retries=retries, quiet=quiet)


def _parameters(text: str) -> dict[str, str]:
    """``partition=a,gpus=8`` by name.

    Raises:
        UserError: It is not such a text.
    """
    from mogabench.errors import UserError

    pairs = [part.partition("=") for part in text.split(",") if part]
    if not all(name and equals and value for name, equals, value in pairs):
        raise UserError(f"--slurm {text}: give NAME=VALUE,…, such as partition=gpu,gpus=8,time=24h")
    found = {name: value for name, _, value in pairs}
    if not found.get("gpus", "1").isdecimal():
        raise UserError(f"--slurm gpus={found['gpus']}: give a number")
    return found


def _check(item: Measurement) -> None:
    """Refuses a command that the command line would not take, before anything runs.

    Raises:
        UserError: An option, a task or a network is unknown, or a value is of the wrong type.
    """
    from mogabench.catalogue import import_packages
    from mogabench.cli import app
    from mogabench.cli.parsing import parse
    from mogabench.errors import UserError
    from mogabench.sweeps.estimate import subject_of

    import_packages(item.values("--import"))
    try:
        subject_of(item)
        parse(typer.main.get_command(app), list(item.words))
    except UserError as error:
        raise UserError(f"{item}: {error}") from None


def _print_plan(
    costs: dict[Measurement, float | None], chosen: Sequence[Measurement], gpu: str | None
) -> None:
    from mogabench.console import print_line

    for item, cost in costs.items():
        known = "" if gpu is None else f"{_duration(cost):>8}  "
        mark = "" if item in chosen else "  (beyond --hours)"
        print_line(f"{known}{item}{mark}")
    if gpu is not None:
        known_costs = [costs[item] for item in chosen]
        total = sum(cost for cost in known_costs if cost is not None)
        unknown = sum(cost is None for cost in known_costs)
        more = f", and {unknown} of unknown time" * bool(unknown)
        print_line(f"about {_duration(total)} on {gpu}, on the paper's data{more}")


def _duration(hours: float | None) -> str:
    if hours is None:
        return "?"
    return f"{hours:.1f} h" if hours >= 1 else f"{60 * hours:.1f} min"
