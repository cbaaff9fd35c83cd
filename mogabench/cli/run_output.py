"""Prints what ``mogabench run`` measured of a network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mogabench.console import print_json, print_line, print_table
from mogabench.tables.appearances import appearances, commands_for_missing, reasons_of, rows_of
from mogabench.tables.text import complexity_line, quality_lines, throughput_line

if TYPE_CHECKING:
    from mogabench.paper import Paper
    from mogabench.tables.row import Row


def print_row(row: Row, paper: Paper, *, per_class: bool) -> None:
    """Prints a row beside the paper's figures, and the figures of each class where asked for."""
    print_line(row.subject.key)
    if row.quality is not None:
        for line in quality_lines(row.quality):
            print_line(line)
    found = [] if row.is_of_own_data else appearances(row.subject, paper, row.store)
    if found:
        heads = ("", "where", "printed", "measured", "Δ", "status")
        print_table(heads, rows_of(found), right=heads[2:5], prose=("where",))
    for reason in reasons_of(found):
        print_line(f"  {reason}")
    counted = dict(row.complexity.subject.options)
    own = [
        f"{value} classes" if name == "num_classes" else f"{name}={value}"
        for name, value in counted.items()
        if name not in dict(row.subject.options)
    ]
    print_line(f"with {', '.join(own)}: " * bool(own) + complexity_line(row.complexity))
    if row.throughput is not None:
        print_line(throughput_line(row.throughput))
    for command in commands_for_missing(found):
        print_line(f"to measure the rest: {command}")
    if row.by_class and per_class:
        _print_classes(row)


def _print_classes(row: Row) -> None:
    names = dict.fromkeys(name for figures in row.by_class.values() for name in figures)
    heads = ("class", *row.by_class)
    rows = [
        (name, *(_figure(figures.get(name)) for figures in row.by_class.values())) for name in names
    ]
    print_table(heads, rows, right=heads[1:])


def _figure(value: float | None) -> str:
    if value is None:
        return "—"
    return str(value) if isinstance(value, int) else f"{value:.2f}"


def print_row_as_json(row: Row, paper: Paper, *, per_class: bool) -> None:
    """Prints a row, its cells of the paper and its records."""
    records = {"throughput": row.throughput, "quality": row.quality}
    print_json(
        {
            "subject": row.subject.key,
            **({"by_class": row.by_class} if per_class else {}),
            "cells": [item.entry() for item in appearances(row.subject, paper, row.store)],
            **{
                name: record and record.model_dump(mode="json", exclude_none=True)
                for name, record in records.items()
            },
        }
    )
