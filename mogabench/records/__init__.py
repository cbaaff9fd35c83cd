"""The record schema, provenance, the append-only store, and the folders that hold results."""

from mogabench.records.code import is_counted, is_stale
from mogabench.records.folders import default_results, open_store, packaged_results
from mogabench.records.provenance import provenance, remember_code
from mogabench.records.schema import (
    FEWEST_ITERATIONS,
    Data,
    Kind,
    Provenance,
    Quantity,
    Record,
    Training,
)
from mogabench.records.store import Store

__all__ = [
    "FEWEST_ITERATIONS",
    "Data",
    "Kind",
    "Provenance",
    "Quantity",
    "Record",
    "Store",
    "Training",
    "default_results",
    "is_counted",
    "is_stale",
    "open_store",
    "packaged_results",
    "provenance",
    "remember_code",
]
