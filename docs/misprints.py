"""The directive ``{misprints}``: what is known to be wrong in the papers' tables.

The page is made of `mogabench.paper`, so it cannot differ from what the tables say.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from docutils import nodes
from docutils.parsers.rst import Directive

from mogabench.files import slug
from mogabench.paper import Erratum, PaperTable, get_paper, paper_names


class Misprints(Directive):
    """A section for each table in which something is wrong."""

    def run(self) -> list[nodes.Node]:
        """The sections."""
        papers = map(get_paper, paper_names())
        return [
            section for paper in papers for table in paper.tables() for section in _sections(table)
        ]


def _sections(table: PaperTable) -> Iterator[nodes.section]:
    known = table.paper.errata(table.id).values()
    if not known and not table.notes.remarks:
        return
    section = nodes.section(ids=[slug(table.name)])
    section += nodes.title(text=f"{table.name}. {table.title}")
    if table.notes.remarks:
        section += _bullets(table.notes.remarks)
    by_evidence: dict[tuple[str, ...], list[str]] = {}
    for item in known:
        by_evidence.setdefault(_evidence(item), []).append(_cell(table, item))
    for evidence, cells in by_evidence.items():
        entry = nodes.definition_list_item()
        entry += nodes.term(text="; ".join(cells))
        entry += nodes.definition("", *(nodes.paragraph(text=text) for text in evidence if text))
        section += nodes.definition_list("", entry)
    yield section


def _cell(table: PaperTable, item: Erratum) -> str:
    row = next(row for row in table.rows if row.index == item.row)
    text = f"{row.label}, {item.column}: {row.cells[item.column]}"
    return text + (f" (should be {item.should_be})" if item.should_be else "")


def _evidence(item: Erratum) -> tuple[str, ...]:
    """The reason, how the printed figure comes about, and the source; empty where unknown."""
    derived = f"The printed figure comes out: {item.printed_is.text}." if item.printed_is else ""
    return item.reason, derived, f"Source: {item.source}" if item.source else ""


def _bullets(texts: Iterable[str]) -> nodes.bullet_list:
    return nodes.bullet_list("", *(nodes.list_item("", nodes.paragraph(text=t)) for t in texts))


def setup(app: Any) -> dict[str, bool]:
    """Registers the directive."""
    app.add_directive("misprints", Misprints)
    return {"parallel_read_safe": True}
