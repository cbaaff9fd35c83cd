"""The trainings done here as rows of the page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mogabench.tables.series import split_series
from mogabench.tables.trainings import quality_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mogabench.records import Record
    from mogabench.tables.page.details import Details


HEADS = ("task", "network", "recipe", "epochs", "seed", "result", "date")


@dataclass(frozen=True)
class TrainingRow:
    """A training: its name in the page, its texts, and the number of its details."""

    anchor: str
    texts: tuple[str, ...]
    detail: int


def anchor_of_training(record: Record) -> str:
    """The name of a training in the page."""
    return f"r{record.id}"


def training_rows(trainings: Sequence[Record], details: Details) -> list[TrainingRow]:
    """What `HEADS` says of each training; a network of a series has its own options by it."""
    series, _ = split_series(trainings)
    names = {
        record.id: name
        for one in series
        for name, records in one.by_network.items()
        for record in records
    }
    return [
        _row(record, names.get(record.id, record.subject.backbone), details) for record in trainings
    ]


def _row(record: Record, network: str, details: Details) -> TrainingRow:
    where, subject = record.provenance, record.subject
    assert where.training is not None
    result = quality_text(record)
    recipe = where.recipe or ""
    changes = ", ".join(f"{key}={value}" for key, value in (where.recipe_changes or {}).items())
    pairs = [
        ("training", f"{subject.task}: {subject.backbone}"),
        ("result", result),
        ("network", subject.key),
        ("recipe", f"{recipe} with {changes}" if changes else recipe),
        ("trained on", f"{where.training.data.samples} samples of {where.training.data.name}"),
        ("device", where.device),
        *(("note", note) for note in record.notes),
        ("record", record.id),
        ("made by", where.command),
    ]
    texts = (
        *(subject.task, network, recipe, str(where.training.epochs)),
        "" if where.seed is None else str(where.seed),
        result,
        f"{where.started:%Y-%m-%d}",
    )
    anchor = anchor_of_training(record)
    return TrainingRow(anchor, texts, details.add(anchor, "", pairs))
