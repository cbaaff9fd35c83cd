"""Receptive fields as records, lines of a table, and CSV."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from mogabench.analysis.figures import csv_text
from mogabench.analysis.receptive_field.field import THRESHOLDS
from mogabench.records import Kind, Quantity

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mogabench.analysis.classifier import Classifier
    from mogabench.analysis.receptive_field.field import Field
    from mogabench.records import Record


class Measured(NamedTuple):
    """The field of a network, with its name, input size, whether it is trained, and the data."""

    label: str
    size: int
    is_trained: bool
    data: str
    field: Field


def measured(classifier: Classifier, field: Field) -> Measured:
    """The field of a network, named."""
    return Measured(
        classifier.label,
        classifier.subject.input_size[0],
        classifier.weights is not None,
        classifier.data.name,
        field,
    )


def receptive_field_record(
    classifier: Classifier, field: Field, *, batch_size: int, seed: int
) -> Record:
    """The record of a network's receptive field at one input size.

    Args:
        classifier: The network and its images.
        field: What was measured.
        batch_size: Images per pass.
        seed: Of the choice of images and of the bootstrap; of the weights where they are random.
    """
    row, column = field.squares.centre
    values = {
        "images": Quantity(value=field.images, unit="1"),
        "centre row": Quantity(value=row, unit="px"),
        "centre column": Quantity(value=column, unit="px"),
    }
    names = [f"of {part} at {t:.2f}" for part in ("contribution", "log scores") for t in THRESHOLDS]
    for name, ratio, error in zip(names, field.ratios, field.error, strict=True):
        values[f"area ratio {name}"] = Quantity(value=float(ratio), unit="1")
        values[f"standard error {name}"] = Quantity(value=float(error), unit="1")
    return classifier.record(Kind.RECEPTIVE_FIELD, values, batch_size=batch_size, seed=seed)


def as_csv(found: Sequence[Measured]) -> str:
    """The parts within the squares as CSV, a line for each network, size and square."""
    rows = []
    for one in found:
        squares = one.field.squares
        head = (one.label, "yes" if one.is_trained else "no", one.data, one.size)
        columns = (squares.area, squares.contribution, squares.log_score)
        for radius, numbers in enumerate(zip(*columns, strict=True)):
            rows.append((*head, 2 * radius + 1, *(f"{number:.5f}" for number in numbers)))
    parts = ("area_ratio", "contribution", "log_score")
    return csv_text(("network", "trained", "data", "size", "side", *parts), rows)
