"""Interaction strengths as a record, and records as curves."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from mogabench.analysis.figures import csv_text
from mogabench.analysis.labels import network_labels
from mogabench.records import Kind, Quantity

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from mogabench.analysis.classifier import Classifier
    from mogabench.analysis.interaction.study import Protocol, Strengths
    from mogabench.records import Record, Store

_STRENGTH, _ERROR = "strength at order ", "standard error at order "
_NUMBER = re.compile(r"\d+(\.\d+)?")
_OF_CURVE = {"images", "pairs", "grid", "contexts"}
_PROTOCOL = ("grid", "contexts", "radius")


def interaction_record(
    classifier: Classifier, protocol: Protocol, found: Strengths, tried: int, batch_size: int
) -> Record:
    """The record of a network's interaction strengths.

    Args:
        classifier: The network and its images.
        protocol: How the interactions were sampled.
        found: What came of it.
        tried: Images that were tried to find the recognised ones.
        batch_size: Images per forward pass.
    """
    values = {name: float(getattr(protocol, name)) for name in _PROTOCOL}
    values |= {"images": found.images, "images tried": tried, "pairs": found.pairs}
    for order, strength, error in zip(found.orders, found.strength, found.error, strict=True):
        values |= {f"{_STRENGTH}{order:.4f}": strength, f"{_ERROR}{order:.4f}": error}
    return classifier.record(
        Kind.INTERACTION,
        {name: Quantity(value=value, unit="1") for name, value in values.items()},
        batch_size=batch_size,
        seed=protocol.seed,
    )


class Curve(NamedTuple):
    """The interaction strengths of a network, by order from 0 to 1, and how they were sampled."""

    network: str
    orders: list[float]
    strength: list[float]
    error: list[float]
    images: int
    pairs: int
    grid: int
    contexts: int


def curves_of(records: Sequence[Record]) -> list[Curve]:
    """The curves of records, beside each other."""
    return [
        _curve(record, label)
        for record, label in zip(records, network_labels(records), strict=True)
    ]


def _curve(record: Record, label: str) -> Curve:
    numbers = {name: quantity.value for name, quantity in record.values.items()}
    orders = [name.removeprefix(_STRENGTH) for name in numbers if _is_order(name, numbers)]
    return Curve(
        label,
        [float(order) for order in orders],
        [numbers[_STRENGTH + order] for order in orders],
        [numbers[_ERROR + order] for order in orders],
        int(numbers["images"]),
        int(numbers["pairs"]),
        int(numbers["grid"]),
        int(numbers["contexts"]),
    )


def _is_order(name: str, numbers: Mapping[str, float]) -> bool:
    order = name.removeprefix(_STRENGTH)
    is_number = _NUMBER.fullmatch(order) is not None
    return name.startswith(_STRENGTH) and is_number and _ERROR + order in numbers


def curves(store: Store, only: Collection[tuple[str, str]] | None = None) -> dict[str, list[Curve]]:
    """The newest curve of each network and its weights, by data set.

    Args:
        store: The records.
        only: Names and digests of the data sets; None for all.
    """
    newest: dict[tuple[str, str], dict[tuple[str, str | None], Record]] = {}
    for record in store.all(Kind.INTERACTION):
        data = record.provenance.data
        if data is not None and record.values.keys() >= _OF_CURVE:  # else it was not written here
            trained = record.subject.key, record.provenance.weights
            newest.setdefault((data.name, data.digest), {})[trained] = record
    repeated = Counter(name for name, _ in newest)
    return {
        name if repeated[name] == 1 else f"{name} {digest[:8]}": curves_of(list(of.values()))
        for (name, digest), of in newest.items()
        if only is None or (name, digest) in only
    }


def as_csv(found: Sequence[Curve]) -> str:
    """The curves as CSV, a line for each network and order."""
    protocol, rows = ("images", "pairs", "grid", "contexts"), []
    for one in found:
        for numbers in zip(one.orders, one.strength, one.error, strict=True):
            how = (getattr(one, name) for name in protocol)
            rows.append((one.network, *(f"{number:.4f}" for number in numbers), *how))
    return csv_text(("network", "order", "strength", "standard_error", *protocol), rows)
