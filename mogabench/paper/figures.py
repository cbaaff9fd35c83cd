"""The plots of a paper, read from its ``figures.yaml``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mogabench.errors import UserError, unknown
from mogabench.paper.numbers import printed_size
from mogabench.paper.reading import build, read_yaml

if TYPE_CHECKING:
    from mogabench.paper.paper import Paper
    from mogabench.paper.table import PaperTable


@dataclass(frozen=True)
class PaperFigure:
    """A plot of printed accuracies.

    Attributes:
        tables: Those that print the accuracies.
        title: What it shows.
        column: The head whose measured figures are the costs; empty for throughputs.
        cost: What its horizontal axis says, where it is not throughputs.
        name: What its files are called behind its number, where it is not throughputs.
        size: The input size that all of its networks have, as ``224x224``; empty for each its own.
        front: Whether it shows the Pareto front.
        task: The task of its networks.
        networks: Their backbones, where it shows some of the tables' only.
    """

    tables: tuple[str, ...]
    title: str
    column: str = ""
    cost: str = ""
    name: str = ""
    size: str = ""
    front: bool = False
    task: str = ""
    networks: tuple[str, ...] = ()

    def shows(self, input_size: tuple[int, ...]) -> bool:
        """Whether it shows networks of that size."""
        return printed_size(self.size) in ((), input_size)


def paper_figures(paper: Paper) -> dict[str, PaperFigure]:
    """The figures by name; none for most papers.

    Raises:
        UserError: The file is malformed.
    """
    path = paper.folder / "figures.yaml"
    return {
        str(name): _figure(paper, str(name), entry, f"{path}, figure {name}")
        for name, entry in read_yaml(path).items()
    }


def _figure(paper: Paper, name: str, entry: Any, where: str) -> PaperFigure:
    figure = build(PaperFigure, entry, where)
    for text in (name, figure.name):  # both are parts of its files' names
        if set("/\\") & set(text) or not text.isprintable():
            raise UserError(f"{where}: '{text}' cannot be in a file's name; use letters and digits")
    try:
        printed_size(figure.size)
    except ValueError as error:
        raise UserError(f"{where}: size: {error}") from None
    if figure.column and not (figure.cost and figure.name):
        raise UserError(f"{where}: a plot of a column needs 'cost' and 'name'")
    for table in figure.tables:
        if table not in paper.table_ids:
            raise UserError(f"{where}: {unknown('table', table, paper.table_ids)}")
        if table not in paper.problems:
            _check_columns(figure, paper.table(table), where)
    return figure


def _check_columns(figure: PaperFigure, table: PaperTable, where: str) -> None:
    """Refuses a figure of a table that has not both of its axes."""
    metrics = {column.head: column.metric for column in table.columns if column.metric}
    if figure.column and figure.column not in metrics:
        kind = f"column of numbers of {table.name}"
        raise UserError(f"{where}: {unknown(kind, figure.column, metrics)}")
    if "top1" not in metrics.values():
        raise UserError(f"{where}: {table.name} has no column of top1, the accuracy of a plot")
