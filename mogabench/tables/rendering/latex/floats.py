"""A table as floats: their heads, rows and footnotes."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING

from mogabench.tables.grid import NEAR
from mogabench.tables.layout import MEASURED, kinds, letter
from mogabench.tables.rendering.latex.columns import Column, Field, columns_of
from mogabench.tables.rendering.latex.fitting import SEPARATION, floats_of
from mogabench.tables.rendering.latex.text import escape, escape_head, escape_prose

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mogabench.tables.join import JoinedTable


def render_latex(tables: Sequence[JoinedTable]) -> str:
    r"""A ``table`` for each table, or several for one that is longer than a page.

    Each fits a page of ``article`` and its footnotes stand below it. The document needs
    ``\usepackage{booktabs}``. Where better is known, the best of a column is bold.
    """
    head = "% Written by mogabench; needs \\usepackage{booktabs}"
    return "\n\n".join([head, "\n\n\\clearpage\n\n".join(map(_render_table, tables))])


def _render_table(table: JoinedTable) -> str:
    floats, size = floats_of(columns_of(table))
    return "\n\n".join(_float(table, some, size, part) for part, some in enumerate(floats))


def _float(table: JoinedTable, columns: list[Column], size: str, part: int) -> str:
    notes = _Notes()
    rows = [
        _row(" & ".join(_set(item, notes) for item in fields))
        for fields in zip(*(column.fields for column in columns), strict=True)
    ]
    alignment = "".join("r" if column.is_numeric else "l" for column in columns)
    signs = {item.sign for column in columns for item in column.fields}
    paper = table.paper.paper
    printed_in = ", ".join(filter(None, [paper.about.name, paper.about.venue]))
    caption = f"{table.paper.title} (Table {table.paper.id} of {printed_in})"
    measured = any(len(kinds(table, number)) > 1 for number in range(len(table.paper.columns)))
    caption += ", printed and measured" * measured + ", continued" * bool(part)
    label = f"\\label{{tab:{paper.name}-{table.paper.id}}}" if not part else ""
    return "\n".join(
        [
            r"\begin{table}[tp]",
            rf"\centering\caption{{{escape(caption)}}}{label}\par\smallskip",
            rf"\{size}\setlength{{\tabcolsep}}{{{SEPARATION / 2:g}pt}}",
            rf"\begin{{tabular}}{{@{{}}{alignment}@{{}}}}",
            r"\toprule",
            *_head_lines(columns),
            r"\midrule",
            *rows,
            r"\bottomrule",
            r"\end{tabular}",
            *_foot(notes, signs, _machines(columns)),
            r"\end{table}",
        ]
    )


def _head_lines(columns: Sequence[Column]) -> Iterator[str]:
    """The levels of heads that some column has, with rules below what spans several columns."""
    for level in range(3):
        if not any(column.heads[level] for column in columns):
            continue
        texts, rules, place = [], [], 1
        for heads, members in groupby(columns, key=lambda column: column.heads[: level + 1]):
            head, inside = escape_head(heads[level]), list(members)
            count = len(inside)
            if level == 2 or not heads[level]:
                texts += [
                    rf"\multicolumn{{1}}{{{'r' if column.is_numeric else 'l'}}}{{{head}}}"
                    if head
                    else ""
                    for column in inside
                ]
            else:
                texts.append(rf"\multicolumn{{{count}}}{{c}}{{{head}}}")
                rules.append(rf"\cmidrule(lr){{{place}-{place + count - 1}}}")
            place += count
        yield " & ".join(texts) + r" \\"
        if rules:
            yield "".join(rules)


def _machines(columns: Sequence[Column]) -> list[str]:
    """What the columns of timings were measured on, a line for each machine."""
    found: dict[str, list[str]] = {}
    for column in columns:
        if column.timed_on:
            found.setdefault(column.timed_on, []).append(column.head)
    return [f"{', '.join(heads)}: {MEASURED}{on}" for on, heads in found.items()]


def _foot(notes: _Notes, signs: set[str], machines: Sequence[str]) -> Iterator[str]:
    legend = []
    if NEAR in signs:
        legend.append(
            f"{NEAR} within 0.5 % of the parameters, 1 % of the operations, or a quality's noise"
        )
    if "!" in signs:
        legend.append("! unexplained, or another quality")
    lines = [
        rf"\textsuperscript{{{letter(n)}}}\,{escape_prose(t)}"
        for n, t in enumerate(notes.texts, start=1)
    ]
    lines += [escape("; ".join(legend))] * bool(legend) + list(map(escape_prose, machines))
    if lines:
        yield r"\par\smallskip"
        yield r"\begin{minipage}{\linewidth}\scriptsize\raggedright"
        yield "\\par\n".join(lines)
        yield r"\end{minipage}"


def _row(text: str) -> str:
    r"""A line of the body; the ``\\`` or rule above would take what begins so as its argument."""
    return "{}" * text.startswith(("[", "*")) + text + r" \\"


def _set(item: Field, notes: _Notes) -> str:
    text = escape(item.text)
    if item.bold:
        text = rf"\textbf{{{text}}}"
    marks = [escape(item.sign)] if item.sign else []
    marks += [notes.mark(item.note)] if item.note else []
    return text + (rf"\textsuperscript{{{','.join(marks)}}}" if marks else "")


@dataclass
class _Notes:
    """Footnotes in their order, each once."""

    texts: list[str] = field(default_factory=list)

    def mark(self, text: str) -> str:
        """The letter of a footnote."""
        if text not in self.texts:
            self.texts.append(text)
        return letter(self.texts.index(text) + 1)
