"""Which record answers a printed quality: of the same data, and of weights trained as the row's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mogabench.data.identity import is_of
from mogabench.records import Kind
from mogabench.tasks import tasks

if TYPE_CHECKING:
    from collections.abc import Callable

    from mogabench.paper import Meta
    from mogabench.records import Record, Store
    from mogabench.subject import Subject

    Find = Callable[..., Record | None]
    """Finds the newest record with a figure of a row's network, data and recipe."""


def find_quality(
    meta: Meta, subject: Subject, metric: str, store: Store
) -> tuple[Record | None, str]:
    """The newest record whose figure of a metric is that of a row.

    Args:
        meta: What the row is about.
        subject: Its network.
        metric: The figure's name.
        store: The records.

    Returns:
        None where there is no such record, and a note on one that is left out, as nothing says what
        its weights' training started from; empty for most rows.
    """
    recipe = meta.recipe or None
    task = tasks().get(subject.task)
    dataset = task.data_of(subject, meta.dataset) if task else meta.dataset
    if not dataset:
        return None, ""
    trained_on = (task.trained_on.get(subject.method) if task else None) or dataset
    changes = dict(meta.settings) or None
    how = {"dataset": dataset, "recipe": recipe, "recipe_changes": changes}

    def find(**start: Any) -> Record | None:
        records = store.matching(subject.key, Kind.QUALITY, **how, **start)
        answers = (one for one in records if metric in one.values and _is_of(trained_on, one))
        return next(answers, None)

    found = _of_same_start(find, meta)
    return (None, _left_out(find, meta, metric)) if found is None else (found, "")


def _is_of(trained_on: str, record: Record) -> bool:
    """Whether weights were trained on the row's data, as far as is known.

    Of data that are not recognised a run trains and evaluates on the one folder that it was given.
    """
    data = record.provenance.training_data
    return data is None or ":" in trained_on or is_of(trained_on, data)


def _of_same_start(find: Find, meta: Meta) -> Record | None:
    """The record of weights whose training started from what the row's did."""
    if not meta.pretraining:
        return find()
    found = find(started_from=meta.pretraining)
    if found is None and meta.recipe:
        # Weights that were not trained here are said to be the recipe's, which includes its start.
        found = find(pretraining=None, training=None)
    return found


def _left_out(find: Find, meta: Meta, metric: str) -> str:
    record = find(started_from=None)
    if record is None:
        return ""
    quantity = record.values[metric]
    figure = f"{quantity.value:.6g}" + f" {quantity.unit}" * (quantity.unit != "1")
    start = "there was none" if meta.pretraining == "none" else f"it was {meta.pretraining}"
    return (
        f"{figure} is not shown, as its record does not state the pretraining: if {start}, "
        f"evaluate again with --pretraining {meta.pretraining}"
    )
