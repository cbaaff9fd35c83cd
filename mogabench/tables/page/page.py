"""The page as a whole: the template, filled."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from mogabench.escaping import without_controls
from mogabench.tables.page.chart import shape_element
from mogabench.tables.page.details import Details
from mogabench.tables.page.figures import curve_charts, ratio_charts, scatter_charts
from mogabench.tables.page.groups import GROUPS
from mogabench.tables.page.overview import overview
from mogabench.tables.page.sections import sections
from mogabench.tables.page.trainings import HEADS, training_rows

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mogabench.records import Record
    from mogabench.tables.join import JoinedTable
    from mogabench.tables.points import Scatter


def render_page(
    tables: Sequence[JoinedTable],
    *,
    scatters: Sequence[Scatter],
    trainings: Sequence[Record] = (),
    results: Path | None = None,
) -> str:
    """The HTML of the page; the same tables give the same text.

    Args:
        tables: The tables of a paper to show, at least one, with what became of their cells.
        scatters: Plots of printed accuracies against measured costs.
        trainings: Records of trainings, each a row of a table of its own.
        results: The folder of the results, where the trainings' curves are; None shows none.
    """
    details = Details()
    shown = sections(tables, details)
    charts = [*scatter_charts(scatters, details), *ratio_charts(tables, details)]
    runs = training_rows(trainings, details)
    page = (
        _environment()
        .get_template("page.html.jinja")
        .render(
            paper=tables[0].paper.paper.about,
            title=_title(tables),
            style=Markup(_beside("page.css")),
            script=Markup(_beside("page.js")),
            groups=GROUPS,
            overview=overview(tables),
            sections=shown,
            charts=charts,
            trainings=runs,
            curves=[] if results is None else curve_charts(trainings, results),
            training_heads=HEADS,
            key_shape=lambda shape: shape_element(shape, 0, 0, 5),
            details=Markup(details.as_json()),
        )
        .rstrip("\n")
    )
    return without_controls(page)


def _title(tables: Sequence[JoinedTable]) -> str:
    if len(tables) == 1:
        return f"{tables[0].paper.name}. {tables[0].paper.title}"
    return f"The tables of {tables[0].paper.paper.about.name}, measured again"


def _beside(name: str) -> str:
    return (files("mogabench.tables.page") / name).read_text("utf-8").strip()


def typeset(head: str) -> Markup:
    """A head with its sub- and superscripts set: ``AP^b_50`` has a b above and a 50 below."""
    text = re.sub(r"\^(\w+?)(?=_|\b)", r"<sup>\1</sup>", str(escape(head)))
    return Markup(re.sub(r"_(\w+)", r"<sub>\1</sub>", text))  # escaped above


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("mogabench.tables.page", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["typeset"] = typeset
    return environment
