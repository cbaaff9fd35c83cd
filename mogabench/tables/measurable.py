"""Which printed figures can be measured here, and why the others cannot."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mogabench import recipes
from mogabench.catalogue import check_backbone
from mogabench.errors import UserError, unknown
from mogabench.paper import TIMED, UNITS, cell_meta, cell_subject, read_number
from mogabench.tasks import tasks

if TYPE_CHECKING:
    from mogabench.engine.task import Metric
    from mogabench.paper import Column, Meta, Paper, PaperTable, Row
    from mogabench.subject import Subject

COSTS = ("params", "operations", "activations")


def is_buildable(subject: Subject) -> bool:
    """Whether the task, the method and the backbone exist, and the size is one of the task."""
    return not _unknown_part(subject)


def unit_of(printed: str, column: Column, subject: Subject) -> str | None:
    """The unit of a cell's number: its own, its column's, or that of the task's metric.

    Returns:
        None for a cost or a timing without a unit, or a number with one that is none of its
        metric; empty for an unknown metric.
    """
    stated, units = _stated_unit(printed, column), _units(column, subject)
    if not stated and column.metric not in UNITS:
        return next(iter(units), "")
    return stated if stated in units or not units else None


def _stated_unit(printed: str, column: Column) -> str:
    number = read_number(printed)
    return (number.unit if number else "") or column.unit or ""


def _units(column: Column, subject: Subject) -> list[str]:
    """The units of a column's metric, its own first; none for an unknown metric."""
    name = column.metric or ""
    if name in UNITS:
        return list(UNITS[name])
    metric = metrics_of(subject).get(name)
    return [metric.unit, *["%"] * (metric.unit == "1")] if metric else []


def metrics_of(subject: Subject) -> dict[str, Metric]:
    """What the subject's task measures the quality by; empty for an unknown task."""
    task = tasks().get(subject.task)
    return {item.name: item for item in task.metrics} if task else {}


def lower_is_better(column: Column, subject: Subject | None) -> bool:
    """Whether the figures of a column are errors, or memory."""
    metric = metrics_of(subject).get(column.metric or "") if subject else None
    return column.metric == "memory" or (metric is not None and metric.lower_is_better)


def obstacle(table: PaperTable, row: Row, column: Column, *, suggest: bool = False) -> str:
    """Why no command measures a figure; empty where one does, and where none is printed.

    Args:
        table: The printed table.
        row: A row of it.
        column: A column of it.
        suggest: Whether to name backbones like one that is unknown. They depend on the release of
            timm, so a report, which is to be the same everywhere, does not.
    """
    printed = row.cells.get(column.head, "")
    subject = cell_subject(row, column)
    if column.metric is None or (column.is_printed and not printed):
        return ""
    if subject is None:
        return _missing_name(cell_meta(row, column))
    return (
        (_number_fault(printed, column, subject) if column.is_printed else "")
        or _unknown_part(subject, suggest=suggest)
        or _missing_statement(table.paper, cell_meta(row, column), column, subject)
    )


def _missing_name(meta: Meta) -> str:
    """What lacks for a network."""
    lacking = [name for name in ("task", "backbone") if not getattr(meta, name)]
    if len(lacking) > 1:
        return "the row names no network"
    return f"the row names no {lacking[0]}: a column '{lacking[0]}' must have it"


def _number_fault(printed: str, column: Column, subject: Subject) -> str:
    if read_number(printed) is None:
        return f"'{printed}' is not a number"
    if unit_of(printed, column, subject) is None:
        stated, right = _stated_unit(printed, column), ", ".join(_units(column, subject))
        what = f"is in {stated}, which is" if stated else "has"
        return f"'{printed}' {what} no unit of {column.metric} (valid: {right})"
    return ""


def _missing_statement(paper: Paper, meta: Meta, column: Column, subject: Subject) -> str:
    """What lacks for a figure of a network that exists."""
    if column.metric == "operations" and not (column.convention or paper.counting_source(meta)):
        return "counting.yaml does not say who counted it, and by which convention"
    if column.metric in (*COSTS, *TIMED):
        return ""
    if column.metric not in metrics_of(subject):
        return str(unknown(f"metric of {subject.task}", column.metric or "", metrics_of(subject)))
    task = tasks()[subject.task]
    if meta.recipe and meta.recipe not in recipes.names(task):
        return str(unknown("recipe", meta.recipe, recipes.names(task)))
    own = task.data_of(subject)
    if meta.dataset not in ("", own) and not meta.dataset.startswith("folder:"):  # one's own
        return f"{subject.task} is measured on {own}, not on {meta.dataset}"
    return ""


def _unknown_part(subject: Subject, *, suggest: bool = False) -> str:
    """What of task, method, backbone and size is none; empty where nothing is."""
    task = tasks().get(subject.task)
    if task is None:
        return str(unknown("task", subject.task, tasks()))
    if subject.method not in task.methods:
        return str(unknown(f"method of {task.name}", subject.method, task.methods))
    try:
        check_backbone(subject.backbone, task.backbones(), task.backbone_word)
    except UserError as error:
        word = task.backbone_word
        return str(error) if suggest else f"there is no {word} '{subject.backbone}' here"
    default = task.default_sizes[subject.method]
    if len(subject.input_size) != len(default):
        size, example = ("x".join(map(str, pixels)) for pixels in (subject.input_size, default))
        return f"'{size}' is not a size of {task.name}, such as {example}"
    return ""
