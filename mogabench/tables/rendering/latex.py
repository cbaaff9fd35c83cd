"""Tables in LaTeX, for ``booktabs`` alone: floats that fit the text of an article."""

from __future__ import annotations

import math
import re
import unicodedata
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import TYPE_CHECKING

from mogabench.tables.grid import NEAR, figure, percent
from mogabench.tables.layout import (
    CHANGE,
    MEASURED,
    PRINTED,
    kinds,
    letter,
    split_head,
)
from mogabench.tables.measurable import COSTS, lower_is_better
from mogabench.tables.verdict import Status

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mogabench.tables.cells import Cell
    from mogabench.tables.join import JoinedTable

_SPECIAL = {
    "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "\\": r"\textbackslash{}",
    "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", '"': "\'\'",
    "×": r"$\times$", "÷": r"$\div$", "±": r"$\pm$", "≈": r"$\approx$", "≤": r"$\leq$",
    "≥": r"$\geq$", "−": "$-$", "·": r"$\cdot$", "°": r"$^\circ$", "→": r"$\rightarrow$",
    "↓": r"$\downarrow$", "↑": r"$\uparrow$", "Δ": r"$\Delta$", "∆": r"$\Delta$",
    "α": r"$\alpha$", "β": r"$\beta$", "γ": r"$\gamma$", "ϵ": r"$\epsilon$", "ε": r"$\epsilon$",
    "μ": r"$\mu$", "σ": r"$\sigma$", "‡": r"\textsuperscript{\ddag}",
    "†": r"\textsuperscript{\dag}", "§": r"\S{}", "✓": r"$\surd$", "✗": r"$\times$",
    "—": "---", "–": "--", "…": r"\dots{}", "‘": "`", "’": "'", "“": "``", "”": "''",
    "\u00a0": "~", "\u202f": r"\,",
}  # fmt: skip
_LATIN = re.compile(r"[ -~¡-ſ]")
_RAISED = "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ"
_LOWERED = "₀₁₂₃₄₅₆₇₈₉₊₋ₕₗₘₙₓ"
_RUNS = re.compile(f"([{_RAISED}]+)|([{_LOWERED}]+)")

_WIDTH = 337
"""Points that a table may have, by the estimate below; LaTeX's own ``article`` has 345."""
_HEIGHT = 450
"""Points of rows and footnotes in a float, with room for caption and heads in 550."""
_SEPARATION = 4.0
"""Points between two columns."""
_LEADING = {"small": 11.0, "footnotesize": 9.5, "scriptsize": 8.0}
"""The sizes of article at 10 points, with their points from line to line."""
_EM = {"small": 9.25, "footnotesize": 8.5, "scriptsize": 7.97}
"""Twice the width of a digit in points: small sizes of Computer Modern are wider than they say."""
_KINDS = {PRINTED: "print", MEASURED: "meas.", CHANGE: CHANGE}
"""The innermost heads, short."""
_EMS = (
    ("0123456789", 0.5),
    (" -.,;:!|'()[]/ijlfrt", 0.33),
    ("MWmw%+−=≈×&Δ@", 0.8),
    ("ABCDEFGHIJKLNOPQRSTUVXYZ", 0.7),
)
"""About the widths of characters; others have half an em."""


def render_latex(tables: Sequence[JoinedTable]) -> str:
    r"""A ``table`` for each table, or several for one that is longer than a page.

    Each fits a page of ``article`` and its footnotes stand below it. The document needs
    ``\usepackage{booktabs}``. Where better is known, the best of a column is bold.
    """
    head = "% Written by mogabench; needs \\usepackage{booktabs}"
    return "\n\n".join([head, "\n\n\\clearpage\n\n".join(map(_render_table, tables))])


@dataclass(frozen=True)
class _Field:
    """A text that is not yet LaTeX, its footnote, and how it is set."""

    text: str
    note: str = ""
    sign: str = ""
    bold: bool = False

    @property
    def width(self) -> float:
        """About its width in ems."""
        text = _ems(self.text) * (1.15 if self.bold else 1)
        return text + 0.55 * (bool(self.note) + bool(self.sign))


@dataclass(frozen=True)
class _Column:
    """A column of the float: its heads from the outermost inwards, and its fields."""

    heads: tuple[str, str, str]
    fields: tuple[_Field, ...]
    is_numeric: bool
    is_minor: bool = False
    names_rows: bool = False

    @property
    def width(self) -> float:
        """About its width in ems; a head that spans several columns is left out."""
        return max([_ems(self.heads[-1]), *(item.width for item in self.fields)])


@dataclass
class _Notes:
    """Footnotes in their order, each once."""

    texts: list[str] = field(default_factory=list)

    def mark(self, text: str) -> str:
        """The letter of a footnote."""
        if text not in self.texts:
            self.texts.append(text)
        return letter(self.texts.index(text) + 1)


def _ems(text: str) -> float:
    """About the width of a text in ems."""
    plain = "".join(_character(c) if c not in _SPECIAL and not _RUNS.match(c) else c for c in text)
    return sum(next((width for some, width in _EMS if c in some), 0.52) for c in plain)


def _render_table(table: JoinedTable) -> str:
    columns, size = _fit(_columns(table))
    cuts = [
        _cut(panel, *rows)
        for panel in _panels(columns, size)
        for rows in _parts(panel, _LEADING[size])
    ]
    return "\n\n".join(_float(table, cut, size, number) for number, cut in enumerate(cuts))


def _fit(columns: list[_Column]) -> tuple[list[_Column], str]:
    """What is shown, and in which size: all that fits, else less, or turned, or all in panels."""
    needed = [column for column in columns if not column.is_minor]
    fewest = [column for column in needed if column.heads[-1] != CHANGE]
    forms = [columns, needed, fewest, _turn(columns)]
    fitting = ((form, size) for form in forms for size in _EM if _width(form, size) <= _WIDTH)
    in_panels = min(forms[1:], key=lambda form: len(list(_panels(form, "scriptsize"))))
    return next(fitting, (in_panels, "scriptsize"))


def _panels(columns: Sequence[_Column], size: str) -> Iterator[list[_Column]]:
    """Columns that fit beside those that name the rows, with which each panel begins."""
    names = [column for column in columns if column.names_rows]
    panel = list(names)
    others = [column for column in columns if not column.names_rows]
    for (_, head), members in groupby(others, key=lambda column: column.heads[:2]):
        inside = list(members)
        for some in [inside] if head else [[column] for column in inside]:
            if panel != names and _width([*panel, *some], size) > _WIDTH:
                yield panel
                panel = list(names)
            panel += some
    yield panel


def _width(columns: Sequence[_Column], size: str) -> float:
    """About the width of columns in points, the heads above several of them included."""
    return _EM[size] * _ems_below(columns, 0, _SEPARATION / _EM[size])


def _ems_below(columns: Sequence[_Column], level: int, separation: float) -> float:
    """The width of columns below their heads of a level, in ems."""
    if level == len(columns[0].heads) - 1:
        return sum(column.width for column in columns) + separation * (len(columns) - 1)
    groups = [list(members) for _, members in groupby(columns, key=lambda c: c.heads[: level + 1])]
    widths = [
        max(_ems(members[0].heads[level]), _ems_below(members, level + 1, separation))
        for members in groups
    ]
    return sum(widths) + separation * (len(groups) - 1)


def _turn(columns: Sequence[_Column]) -> list[_Column]:
    """Rows as columns, as the paper prints its tables of settings."""
    names = [_Field(", ".join(filter(None, column.heads))) for column in columns[1:]]
    rows = [
        _Column(("", "", item.text), tuple(column.fields[n] for column in columns[1:]), True)
        for n, item in enumerate(columns[0].fields)
    ]
    return [_Column(("", "", columns[0].heads[-1]), tuple(names), False, names_rows=True), *rows]


def _parts(columns: Sequence[_Column], leading: float) -> Iterator[tuple[int, int]]:
    """The first row and the one after the last of each float."""
    start, count = 0, len(columns[0].fields)
    height, seen = 0.0, set[str]()
    for row in range(count):
        notes = {column.fields[row].note for column in columns} - {""}
        more = leading + sum(_note_height(note) for note in notes - seen)
        if height + more > _HEIGHT and row > start:
            yield start, row
            start, height, seen = row, 0.0, set()
            more = leading + sum(map(_note_height, notes))
        height, seen = height + more, seen | notes
    yield start, count


def _note_height(text: str) -> float:
    """About the height of a footnote, which is set in scriptsize, a paragraph of its own."""
    lines = math.ceil(_ems(text) * _EM["scriptsize"] / (0.95 * _WIDTH))
    return lines * _LEADING["scriptsize"]


def _cut(columns: Sequence[_Column], start: int, stop: int) -> list[_Column]:
    return [replace(column, fields=column.fields[start:stop]) for column in columns]


# From cells to fields.


def _columns(table: JoinedTable) -> list[_Column]:
    found = []
    split = [split_head(column.head) for column in table.paper.columns]
    deep = {group for n, (group, _) in enumerate(split) if len(kinds(table, n)) > 1}
    flat = {group for group, _ in split} - deep - {""}
    for number, column in enumerate(table.paper.columns):
        group, name = split[number]
        shown, best = kinds(table, number), _best(table, number)
        is_label = number == table.paper.label_place
        names_rows = column.metric is None and number <= table.paper.label_place
        for kind in shown:
            fields = tuple(
                _Field(row.row.label)
                if row.added and is_label
                else _field(row.cells[number], kind, len(shown) > 1, best.get(kind))
                for row in table.rows
            )
            heads = (group, name, _KINDS[kind]) if len(shown) > 1 else (group, "", name)
            if group in flat:
                heads = ("", group, name)  # next to what it is the head of
            is_numeric = column.metric is not None
            found.append(_Column(heads, fields, is_numeric, column.is_minor, names_rows))
    return found


def _best(table: JoinedTable, number: int) -> dict[str, float]:
    """The best printed and the best measured figure of a column, where better is known.

    Costs have no better. A print that is known to be wrong is not the best.
    """
    column = table.paper.columns[number]
    if column.metric is None or column.metric in COSTS:
        return {}
    cells = [row.cells[number] for row in table.rows]
    better = min if any(map(lower_is_better, cells)) else max
    sound = [cell.paper for cell in cells if not cell.erratum]
    by_kind = {PRINTED: sound, MEASURED: [c.measured for c in cells]}
    known = {kind: [v for v in values if v is not None] for kind, values in by_kind.items()}
    return {kind: better(values) for kind, values in known.items() if len(values) > 1}


def _field(cell: Cell, kind: str, has_measured: bool, best: float | None) -> _Field:
    """A field of a cell; its footnote goes with the measured figure where there is one."""
    note = "; ".join(text.rstrip(".") for text in (cell.erratum, cell.account, cell.caveat) if text)
    if kind == CHANGE:
        return _Field(percent(cell.difference).replace("-", "−"))
    if kind == MEASURED:
        is_best = cell.measured is not None and cell.measured == best
        return _Field(figure(cell.measured, cell.like), note, _sign(cell), is_best)
    is_best = cell.paper is not None and cell.paper == best and not cell.erratum
    return _Field(cell.printed, "" if has_measured else note, bold=is_best)


def _sign(cell: Cell) -> str:
    if cell.status in (Status.WITHIN_TOLERANCE, Status.WITHIN_NOISE):
        return NEAR
    return "!" if cell.status in (Status.UNEXPLAINED, Status.BELOW, Status.ABOVE) else ""


# From fields to LaTeX.


def _float(table: JoinedTable, columns: list[_Column], size: str, part: int) -> str:
    notes = _Notes()
    rows = [
        " & ".join(_set(item, notes) for item in fields) + r" \\"
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
            rf"\{size}\setlength{{\tabcolsep}}{{{_SEPARATION / 2:g}pt}}",
            rf"\begin{{tabular}}{{@{{}}{alignment}@{{}}}}",
            r"\toprule",
            *_head_lines(columns),
            r"\midrule",
            *rows,
            r"\bottomrule",
            r"\end{tabular}",
            *_foot(notes, signs),
            r"\end{table}",
        ]
    )


def _head_lines(columns: Sequence[_Column]) -> Iterator[str]:
    """The levels of heads that some column has, with rules below what spans several columns."""
    for level in range(3):
        if not any(column.heads[level] for column in columns):
            continue
        texts, rules, place = [], [], 1
        for heads, members in groupby(columns, key=lambda column: column.heads[: level + 1]):
            head, inside = _set_head(heads[level]), list(members)
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


def _foot(notes: _Notes, signs: set[str]) -> Iterator[str]:
    legend = []
    if NEAR in signs:
        legend.append(f"{NEAR} within 0.5 % of the parameters or 1 % of the operations")
    if "!" in signs:
        legend.append("! unexplained")
    lines = [
        rf"\textsuperscript{{{letter(n)}}}\,{_prose(t)}" for n, t in enumerate(notes.texts, start=1)
    ]
    lines += [escape("; ".join(legend))] * bool(legend)
    if lines:
        yield r"\par\smallskip"
        yield r"\begin{minipage}{\linewidth}\scriptsize\raggedright"
        yield "\\par\n".join(lines)
        yield r"\end{minipage}"


def _set(item: _Field, notes: _Notes) -> str:
    text = escape(item.text)
    if item.bold:
        text = rf"\textbf{{{text}}}"
    marks = [escape(item.sign)] if item.sign else []
    marks += [notes.mark(item.note)] if item.note else []
    return text + (rf"\textsuperscript{{{','.join(marks)}}}" if marks else "")


def _set_head(head: str) -> str:
    """A head, with sub- and superscripts where the plain text has ``_`` and ``^``."""
    parts = re.split(r"(\^[a-z0-9]+|_[A-Za-z0-9]+)", head)
    names = {"^": "textsuperscript", "_": "textsubscript"}
    return "".join(
        rf"\{names[part[0]]}{{{part[1:]}}}" if part[:1] in names else escape(part) for part in parts
    )


def _prose(text: str) -> str:
    """A footnote; paths in it may break."""
    return escape(text).replace("/", r"/\allowbreak{}").replace(r"\_", r"\_\allowbreak{}")


def escape(text: str) -> str:
    """Plain text as LaTeX that pdflatex sets with its own fonts.

    A letter that these fonts lack is set as the nearest Latin one, or else as its code point.
    """

    def run(match: re.Match[str]) -> str:
        plain = unicodedata.normalize("NFKC", match.group()).replace("−", "-")
        name = "textsuperscript" if match.group(1) else "textsubscript"
        return rf"\{name}{{{plain}}}".replace("-", "$-$")

    pieces, end = [], 0
    for match in _RUNS.finditer(text):
        pieces += [*map(_character, text[end : match.start()]), run(match)]
        end = match.end()
    return "".join([*pieces, *map(_character, text[end:])])


def _character(character: str) -> str:
    if character in _SPECIAL:
        return _SPECIAL[character]
    if _LATIN.match(character):
        return character
    plain = unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode()
    return plain or f"[U+{ord(character):04X}]"
