"""Short names of networks that stand beside each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mogabench.records import Record


def network_labels(records: Sequence[Record]) -> list[str]:
    """Names the networks of records by backbone, and by the options that not all of them have.

    One alone has all its options. Random weights are marked; equal networks with other weights
    have the first digits of these' digest.
    """
    options = [set(record.subject.options) for record in records]
    networks = {(record.subject.backbone, record.subject.options) for record in records}
    shared = set.intersection(*options) if len(networks) > 1 else set()
    labels = []
    for record, own in zip(records, options, strict=True):
        text = ", ".join(f"{name}={value}" for name, value in sorted(own - shared))
        mark = "" if record.provenance.weights else ", untrained"
        labels.append(record.subject.backbone + f" ({text})" * bool(text) + mark)
    return [
        f"{label}, weights {(record.provenance.weights or '')[:8]}"
        if _has_twin(record, records)
        else label
        for label, record in zip(labels, records, strict=True)
    ]


def _has_twin(record: Record, records: Sequence[Record]) -> bool:
    """Whether the same network is there with other weights."""
    return any(
        other.subject == record.subject and other.provenance.weights != record.provenance.weights
        for other in records
    )
