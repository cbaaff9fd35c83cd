"""The trainings done here, of any length and on any data: what each reached, and how."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mogabench.escaping import markdown_code, markdown_text
from mogabench.files import write_whole
from mogabench.recipes import load, names, variant_for
from mogabench.records import Kind
from mogabench.tables.series import correlations, render_series, split_series
from mogabench.tasks import get_task, tasks

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mogabench.records import Data, Quantity, Record, Store
    from mogabench.tables.series import Series

FOLDER = "trainings"
"""Below the results: a folder for each training, see `folder_of`."""

CURVE = "curve.jsonl"
_KEPT = (CURVE, "curve.png", "predictions.png")
"""What of a training's work folder is worth keeping, where it is there."""


def keep(record: Record, work_dir: Path, results: Path) -> None:
    """Copies a training's curve and pictures to the results.

    Args:
        record: What the training reached.
        work_dir: Where it left them.
        results: The folder of the results.

    Raises:
        UserError: They cannot be written.
    """
    for file in (work_dir / name for name in _KEPT):
        if file.exists():
            write_whole(results / folder_of(record) / file.name, file.read_bytes())


def folder_of(record: Record) -> str:
    """Where, below the results, a training's curve and pictures are: named after its weights."""
    return f"{FOLDER}/{(record.provenance.weights or '')[:12]}"


def trainings(store: Store) -> list[Record]:
    """The newest record of each training.

    One is of a network by a recipe, on the same data, from the same weights and in one arithmetic.

    Records of a task that is not here, such as one of a package that is not imported, are left out.
    """
    newest, known = {}, tasks()
    for record in store.all(Kind.QUALITY):
        where = record.provenance
        if where.training is not None and record.subject.task in known:
            how = (where.recipe_digest, where.initial_weights, where.amp)
            newest[record.subject.key, how, where.training.data.digest] = record
    return sorted(newest.values(), key=lambda record: record.subject.key)


def quality_text(record: Record) -> str:
    """The metrics, and what they were measured on: ``top-1 97.10 %, … on 360 …``."""
    labels = {metric.name: metric.label for metric in get_task(record.subject.task).metrics}
    metrics = ", ".join(
        f"{labels.get(name, name).partition(' (')[0]} {_with_unit(quantity)}"
        for name, quantity in record.values.items()
    )
    data = record.provenance.data
    return f"{metrics} on {_data_text(data) if data else 'unnamed data'}"


def render_trainings(records: list[Record], results: Path) -> str:
    """A page of Markdown with a section for each training, or for each series of them.

    Args:
        records: As of `trainings`.
        results: The folder of the results, where the page goes.
    """
    head = [
        "# Trainings",
        "",
        "Trainings by this repository's own code, on data at hand. Where data or length are not",
        "the paper's, the figure is a row of its own: it shows that a recipe works, and stands in",
        "no table.",
    ]
    series, single = split_series(records)
    sections = [_section(record, results) for record in single]
    sections += [_series_section(one) for one in series]
    return "\n".join([*head, *(line for section in sections for line in section)])


def _series_section(series: Series) -> Iterator[str]:
    record, networks = series.first, len(series.by_network)
    backbones = {records[0].subject.backbone for records in series.by_network.values()}
    by_backbone = len(backbones) == networks
    word = get_task(record.subject.task).backbone_word if by_backbone else "network"
    title = f"{record.subject.task}: {networks} {word}s {_recipe_and_size(record)}"
    yield from ("", f"## {markdown_text(title)}", "")
    data = record.provenance.data
    yield _item(f"means and standard deviations over seeds, on {_data_text(data) if data else '—'}")
    yield from _set_up(record)
    if series.options:
        yield _item(f"options of all networks: {series.options}")
    yield from map(_item, record.notes)
    yield from map(_item, correlations(series))
    machines = (_machine(one) for records in series.by_network.values() for one in records)
    yield from map(_item, dict.fromkeys(machines))
    yield f"- {markdown_code(record.provenance.command)}"
    yield from ("", *render_series(series))


def _section(record: Record, results: Path) -> Iterator[str]:
    subject = record.subject
    title = f"{subject.task}: {subject.backbone} {_recipe_and_size(record)}"
    yield from ("", f"## {markdown_text(title)}", "")
    yield _item(f"{quality_text(record)}")
    yield from _set_up(record)
    yield from map(_item, [*record.notes, *_printed(record)])
    where = record.provenance
    yield _item(f"{where.started:%Y-%m-%d}, {where.seconds / 60:.1f} min on {_machine(record)}")
    yield f"- {markdown_code(where.command)}"
    for name in _KEPT:
        file = f"{folder_of(record)}/{name}"
        if name.endswith(".png") and (results / file).exists():
            yield from ("", f"![{name.partition('.')[0]}]({file})")


def _item(text: str) -> str:
    return f"- {markdown_text(text)}"


def _recipe_and_size(record: Record) -> str:
    where = record.provenance
    size = "x".join(map(str, where.evaluated_size or record.subject.input_size))
    return f"by {where.recipe}, {size}"


def _set_up(record: Record) -> Iterator[str]:
    where = record.provenance
    training = where.training
    assert training is not None
    yield _item(
        f"trained for {training.epochs} epoch(s): {training.steps} steps of "
        f"{training.batch_size}, on {_data_text(training.data)}"
    )
    if where.initial_weights:
        start = where.started_from or "unknown"
        yield _item(f"started from the weights {where.initial_weights[:12]}, pretraining {start}")
    if where.recipe_changes:
        changes = ", ".join(f"{k}={v}" for k, v in where.recipe_changes.items())
        yield _item(f"the recipe is changed: {changes}")


def _machine(record: Record) -> str:
    where = record.provenance
    commit = f", commit {where.commit[:10]}" if where.commit else ""
    return where.device + (f", {where.amp}" if where.amp else "") + commit


def _printed(record: Record) -> Iterator[str]:
    """What the paper prints for the whole recipe, for comparison."""
    name, task = record.provenance.recipe or "", get_task(record.subject.task)
    if name not in names(task):
        return
    recipe = load(name, task, variant=variant_for(record.subject.backbone, name, task))
    if recipe.expected is not None:
        printed = recipe.expected.values.items()
        values = ", ".join(f"{metric} {value:g}" for metric, value in printed)
        yield f"for comparison, Table {recipe.expected.table} prints {values}: {recipe.title}"


def _data_text(data: Data) -> str:
    return f"{data.samples} {data.split} samples of {data.name}"


def _with_unit(quantity: Quantity) -> str:
    if quantity.unit == "%":
        return f"{quantity.value:.2f} %"
    return f"{quantity.value:.4g}" + f" {quantity.unit}" * (quantity.unit != "1")
