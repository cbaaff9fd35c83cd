"""Tables as an HTML page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mogabench.tables.page import render_page
from mogabench.tables.points import cost_scatters

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mogabench.tables.join import JoinedTable


def render_html(tables: Sequence[JoinedTable]) -> str:
    """A whole page: the report's, without what needs more than the tables."""
    return render_page(tables, scatters=cost_scatters(tables))
