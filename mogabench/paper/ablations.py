"""A paper's ablations, each network of which has a name such as ``A5/4``.

They are listed in ``ablations.yaml``: there in full, or as a table, whose accuracies' networks they
are, in reading order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from mogabench.errors import UserError, unknown
from mogabench.paper.meta import Meta
from mogabench.paper.numbers import printed_value
from mogabench.paper.reading import build, read_yaml
from mogabench.paper.table import cell_meta

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mogabench.paper.paper import Paper
    from mogabench.paper.table import PaperTable


class Variant(NamedTuple):
    """A network of an ablation.

    Attributes:
        name: Such as ``A5/4``.
        label: What is different in it, in the paper's words.
        meta: What it is.
        printed: Its printed top-1 accuracy in %; None where the text at hand has none.
    """

    name: str
    label: str
    meta: Meta
    printed: float | None


class Ablation(NamedTuple):
    """Networks that differ in one respect.

    Attributes:
        name: The table or figure.
        title: What differs.
        variants: In the paper's order.
    """

    name: str
    title: str
    variants: tuple[Variant, ...]


@dataclass(frozen=True)
class _TableEntry:
    """What is written of an ablation that is a table: its ID, and the metric of its cells."""

    table: str
    metric: str


@dataclass(frozen=True)
class _Entry:
    """What is written of an ablation in full."""

    title: str
    backbone: str
    recipe: str
    variants: tuple[Any, ...]


@dataclass(frozen=True)
class _VariantEntry:
    """What is written of one of its networks."""

    label: str
    options: Mapping[str, Any]


def ablations(paper: Paper) -> Mapping[str, Ablation]:
    """All ablations of a paper, by name.

    Raises:
        UserError: The file is malformed, or a table that it names.
    """
    path = paper.folder / "ablations.yaml"
    return {
        str(name): _ablation(paper, str(name), entry, f"{path}, ablation {name}")
        for name, entry in read_yaml(path).items()
    }


def get_ablation(paper: Paper, name: str) -> Ablation:
    """The ablation of a table or figure, such as ``A5``.

    Raises:
        UserError: There is none of that name.
    """
    found = ablations(paper)
    known = {other.lower(): one for other, one in found.items()}
    if name.lower() not in known:
        raise unknown("ablation", name, found)
    return known[name.lower()]


def get_variant(paper: Paper, name: str) -> Variant:
    """The network of an ablation, such as ``A5/4``.

    Raises:
        UserError: There is none of that name.
    """
    ablation = get_ablation(paper, name.partition("/")[0])
    for variant in ablation.variants:
        if variant.name.lower() == name.lower():
            return variant
    raise unknown("ablation", name, [variant.name for variant in ablation.variants])


def _ablation(paper: Paper, name: str, entry: Any, where: str) -> Ablation:
    if not (isinstance(entry, dict) and "table" in entry):
        return _of_text(name, build(_Entry, entry, where), where)
    written = build(_TableEntry, entry, where)
    if written.table not in paper.table_ids:
        raise UserError(f"{where}: {unknown('table', written.table, paper.table_ids)}")
    return _of_table(name, paper.table(written.table), written.metric)


def _of_text(name: str, entry: _Entry, where: str) -> Ablation:
    variants = []
    for number, written in enumerate(entry.variants, 1):
        variant = build(_VariantEntry, written, f"{where}, variant {number}")
        meta = Meta(
            task="classification",
            method="classifier",
            backbone=entry.backbone,
            input_size=(224, 224),
            recipe=entry.recipe,
            options=variant.options,
        )
        variants.append(Variant(f"{name}/{number}", variant.label, meta, None))
    return Ablation(name, entry.title, tuple(variants))


def _of_table(name: str, table: PaperTable, metric: str) -> Ablation:
    variants = tuple(
        Variant(f"{name}/{number}", label, meta, printed)
        for number, (label, meta, printed) in enumerate(_cells(table, metric), 1)
    )
    return Ablation(name, table.title, variants)


def _cells(table: PaperTable, metric: str) -> Iterator[tuple[str, Meta, float | None]]:
    """The label, the network and the value of each accuracy of a table."""
    columns = [column for column in table.columns if column.metric == metric]
    for row in table.rows:
        for column in columns:
            head = next(iter(row.cells))
            label = row.label if len(columns) == 1 else f"{head}: {row.label}; {column.head}"
            yield label, cell_meta(row, column), printed_value(row.cells[column.head])
