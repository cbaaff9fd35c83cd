"""Every cell of tables as an entry, for programs: JSON, CSV, Parquet, and frames of pandas."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any

from mogabench.errors import UserError
from mogabench.escaping import csv_field
from mogabench.paper import cell_meta

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pandas import DataFrame

    from mogabench.tables.cells import Cell
    from mogabench.tables.join import JoinedRow, JoinedTable

_NUMBERS = ("row_index", "paper", "measured", "difference")
FIELDS = (
    *("paper_name", "table", "row_index", "row", "column"),
    *("task", "method", "backbone", "size", "subject"),
    *("metric", "unit", "printed", "paper", "measured", "difference", "status"),
    *("convention", "counted_by", "evidence"),
    *("reason", "source", "account", "note"),
    *("command", "record"),
)
"""The fields of an entry, in order.

The cell: ``paper_name``, as ``--paper`` takes it, ``table``, ``row_index`` (from 0), ``row`` and
``column``. What it is about: ``task``, ``method``, ``backbone``, ``size`` such as ``224x224``, and
``subject``, which has the options, too.
Its numbers: ``metric`` and their ``unit``, the ``printed`` text and its number ``paper``, what is
``measured``, the ``difference`` relative to paper, and the ``status``. How operations are counted:
``convention``, ``counted_by``, and the ``evidence`` of that. Why the two differ: ``reason``, its
``source``, its ``account`` in numbers, and a ``note`` on the measurement. The ``command`` that
measured it, or would, and the id of its ``record``, or two for the difference of two networks.
"""


def render_csv(tables: Sequence[JoinedTable]) -> str:
    """Long CSV: one line per cell, with `FIELDS` as its head."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, fieldnames=FIELDS, lineterminator="\n")
    writer.writeheader()
    for entry in json_entries(tables):
        writer.writerow({name: csv_field(value) for name, value in entry.items()})
    return stream.getvalue().rstrip("\n")


def render_json(tables: Sequence[JoinedTable]) -> str:
    """A list with one object per cell, with `FIELDS` as its keys."""
    return json.dumps(json_entries(tables), ensure_ascii=False, indent=1)


def render_parquet(tables: Sequence[JoinedTable]) -> bytes:
    """A Parquet file with one row per cell and `FIELDS` as its columns.

    Raises:
        UserError: pyarrow is not installed.
    """
    try:
        import pyarrow as arrow
        from pyarrow import parquet
    except ImportError as error:
        raise UserError("Parquet needs pyarrow: pip install 'mogabench[frames]'") from error
    kinds = {name: arrow.string() for name in FIELDS} | dict.fromkeys(_NUMBERS, arrow.float64())
    schema = arrow.schema(list((kinds | {"row_index": arrow.int64()}).items()))
    stream = io.BytesIO()
    parquet.write_table(arrow.Table.from_pylist(json_entries(tables), schema=schema), stream)
    return stream.getvalue()


def to_frame(tables: Sequence[JoinedTable]) -> DataFrame:
    """The cells as a frame of pandas with `FIELDS` as its columns, for notebooks.

    Args:
        tables: Joined tables, such as of `mogabench.tables.join.join`.

    Raises:
        UserError: pandas is not installed.
    """
    try:
        import pandas as pd
    except ImportError as error:
        raise UserError("frames need pandas: pip install 'mogabench[frames]'") from error
    frame = pd.DataFrame(json_entries(tables), columns=list(FIELDS))
    return frame.astype(dict.fromkeys(_NUMBERS[1:], float))


def json_entries(tables: Sequence[JoinedTable]) -> list[dict[str, Any]]:
    """Every cell that holds a figure, with what is known of it; see `FIELDS`."""
    return [
        _entry(table, row, cell)
        for table in tables
        for row in table.rows
        for cell in row.cells
        if cell.status is not None or cell.measured is not None
    ]


def _entry(table: JoinedTable, row: JoinedRow, cell: Cell) -> dict[str, Any]:
    subject = cell.subject
    assert subject is not None  # as of every cell that holds a figure
    known = table.paper.erratum(row.row, cell.column) if cell.erratum else None
    counted = table.paper.paper.counting_source(cell_meta(row.row, cell.column))
    made_by = [record.provenance.command for record in cell.records]
    values = {
        "paper_name": table.paper.paper.name,
        "table": table.paper.id,
        "row_index": row.row.index,
        "row": row.row.label,
        "column": cell.column.head,
        "task": subject.task,
        "method": subject.method,
        "backbone": subject.backbone,
        "size": "x".join(map(str, subject.input_size)),
        "subject": subject.key,
        "metric": cell.column.metric,
        "unit": cell.unit,
        "printed": cell.printed,
        "paper": cell.paper,
        "measured": cell.measured,
        "difference": cell.difference,
        "status": cell.status,
        "convention": cell.convention,
        "counted_by": cell.counted_by or None,
        "evidence": counted.evidence if counted and cell.counted_by and cell.printed else None,
        "reason": known.reason if known else None,
        "source": (known.source or None) if known else None,
        "account": cell.account or None,
        "note": cell.caveat or None,
        "command": cell.command or "; ".join(dict.fromkeys(made_by)) or None,
        "record": " ".join(record.id for record in cell.records) or None,
    }
    assert tuple(values) == FIELDS
    return values
