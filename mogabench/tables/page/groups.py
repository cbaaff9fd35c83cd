"""The groups that the page sorts cells into: what a reader wants to know first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mogabench.paper import TIMED
from mogabench.tables.measurable import COSTS, is_buildable
from mogabench.tables.verdict import DIFFERS, Status

if TYPE_CHECKING:
    from mogabench.tables.cells import Cell


@dataclass(frozen=True)
class Group:
    """Cells that stand alike.

    Attributes:
        key: Its name in the page's code.
        name: Its name for a reader, behind a number of cells.
        mark: What stands behind a measured figure of it, so that colour is not all that tells.
        about: What it means, in a sentence; ``{gpu}`` is the one that the paper timed on.
    """

    key: str
    name: str
    mark: str
    about: str


GROUPS = (
    Group(
        "reproduced",
        "reproduced",
        "≈",
        "The measured figure rounds to the printed digits or, with ≈, is within tolerance: "
        "0.5 % of the parameters, 1 % of the operations, the noise of a quality.",
    ),
    Group(
        "differs",
        "differ for a proven reason",
        "*",
        "The measured figure differs, and the reason accounts for the number.",
    ),
    Group(
        "unexplained",
        "unexplained",
        "!",
        "The measured figure differs, and no reason that was tried accounts for it.",
    ),
    Group(
        "gpu",
        "wait for the paper’s GPU",
        "°",
        "Throughputs printed for a {gpu}: timed on another device, or not yet.",
    ),
    Group("data", "wait for data", "", "Accuracies that need the data set and weights."),
    Group(
        "lacking",
        "cannot be measured here",
        "",
        "The network is not here or could not be counted, or counting.yaml does not say how its "
        "operations were counted.",
    ),
)

_OF_STATUS = {
    Status.ROUNDS: "reproduced",
    Status.WITHIN_TOLERANCE: "reproduced",
    Status.REPRODUCED: "reproduced",
    Status.WITHIN_NOISE: "reproduced",
    Status.KNOWN_REASON: "differs",
    Status.OTHER_DEVICE: "gpu",
} | dict.fromkeys(DIFFERS, "unexplained")


def group_of(cell: Cell) -> str:
    """The key of a cell's group; empty for a cell that holds no figure of the paper."""
    if cell.status is None:
        return ""
    if cell.status != Status.NOT_MEASURED:
        return _OF_STATUS[cell.status]
    assert cell.subject is not None  # as of every cell that holds a figure
    if cell.column.metric in COSTS or not is_buildable(cell.subject):
        return "lacking"
    return "gpu" if cell.column.metric in TIMED else "data"
