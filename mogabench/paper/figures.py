"""The networks of the paper's figures, read from ``figures.yaml``."""

from __future__ import annotations

from functools import cache
from typing import Any

from mogabench.errors import unknown
from mogabench.paper.table import cell_subject, load_table, table_ids
from mogabench.paper.vocabulary import read_yaml

_THROUGHPUT_FIGURE = "A3"


def figure_networks(figure: str) -> tuple[str, ...]:
    """The backbones that a figure shows.

    Raises:
        UserError: The figure is not listed.
    """
    if figure not in _figures():
        raise unknown("figure", figure, _figures())
    return tuple(_figures()[figure]["networks"])


def timed_backbones(task: str) -> tuple[str, ...]:
    """The backbones of a task whose throughput the paper shows: in Figure A3, or in a table."""
    if task == _figures()[_THROUGHPUT_FIGURE]["task"]:
        return figure_networks(_THROUGHPUT_FIGURE)
    subjects = (
        cell_subject(row, column)
        for table in map(load_table, table_ids())
        for column in table.columns
        for row in table.rows
        if column.metric == "fps"
    )
    return tuple(
        dict.fromkeys(subject.backbone for subject in subjects if subject and subject.task == task)
    )


@cache
def _figures() -> dict[str, dict[str, Any]]:
    figures: dict[str, dict[str, Any]] = read_yaml("figures.yaml")
    return figures
