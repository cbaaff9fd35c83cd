"""The plots of a paper, read from its ``figures.yaml``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mogabench.errors import UserError, unknown
from mogabench.paper.reading import build, read_yaml

if TYPE_CHECKING:
    from mogabench.paper.paper import Paper


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
        front: Whether it shows which networks none is better than in both.
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
        return self.size in ("", "x".join(map(str, input_size)))


def paper_figures(paper: Paper) -> dict[str, PaperFigure]:
    """The figures by name; none for most papers.

    Raises:
        UserError: The file is malformed.
    """
    path = paper.folder / "figures.yaml"
    found = {}
    for name, entry in read_yaml(path).items():
        where = f"{path}, figure {name}"
        figure: PaperFigure = build(PaperFigure, entry, where)
        for table in figure.tables:
            if table not in paper.table_ids:
                raise UserError(f"{where}: {unknown('table', table, paper.table_ids)}")
        if figure.column and not (figure.cost and figure.name):
            raise UserError(f"{where}: a plot of a column needs 'cost' and 'name'")
        found[name] = figure
    return found
