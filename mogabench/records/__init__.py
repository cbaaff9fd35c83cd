"""The record schema, provenance, and the append-only store."""

from mogabench.records.provenance import provenance
from mogabench.records.schema import Data, Kind, Provenance, Quantity, Record, Training
from mogabench.records.store import Store

__all__ = [
    "Data",
    "Kind",
    "Provenance",
    "Quantity",
    "Record",
    "Store",
    "Training",
    "provenance",
]
