"""The paper's ablations, each network of which has a name such as ``A5/4``.

Those of Tables A4 to A7 are the networks of the tables' accuracies, in reading order; those of
Table 1 and of Figures 4c and 7 are in ``ablations.yaml``.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from mogabench.errors import unknown
from mogabench.paper.meta import Meta
from mogabench.paper.numbers import printed_value
from mogabench.paper.table import cell_meta, load_table
from mogabench.paper.vocabulary import read_yaml

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_TABLES = ("A4", "A5", "A6", "A7")
_METRIC = "top1"


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


@cache
def ablations() -> Mapping[str, Ablation]:
    """All ablations, by name."""
    figures = {name: _of_text(name, entry) for name, entry in read_yaml("ablations.yaml").items()}
    return figures | {name: _of_table(name) for name in _TABLES}


def get_ablation(name: str) -> Ablation:
    """The ablation of a table or figure, such as ``A5``.

    Raises:
        UserError: There is none of that name.
    """
    known = {other.lower(): one for other, one in ablations().items()}
    if name.lower() not in known:
        raise unknown("ablation", name, ablations())
    return known[name.lower()]


def get_variant(name: str) -> Variant:
    """The network of an ablation, such as ``A5/4``.

    Raises:
        UserError: There is none of that name.
    """
    ablation = get_ablation(name.partition("/")[0])
    for variant in ablation.variants:
        if variant.name.lower() == name.lower():
            return variant
    raise unknown("ablation", name, [variant.name for variant in ablation.variants])


def _of_text(name: str, entry: dict[str, Any]) -> Ablation:
    variants = (
        Variant(
            f"{name}/{number}",
            variant["label"],
            Meta(
                task="classification",
                method="classifier",
                backbone=entry["backbone"],
                input_size=(224, 224),
                recipe=entry["recipe"],
                options=variant["options"],
            ),
            None,
        )
        for number, variant in enumerate(entry["variants"], 1)
    )
    return Ablation(name, entry["title"], tuple(variants))


def _of_table(name: str) -> Ablation:
    table = load_table(name)
    variants = tuple(
        Variant(f"{name}/{number}", label, meta, printed)
        for number, (label, meta, printed) in enumerate(_cells(name), 1)
    )
    return Ablation(name, table.title, variants)


def _cells(name: str) -> Iterator[tuple[str, Meta, float | None]]:
    """The label, the network and the value of each accuracy of a table."""
    table = load_table(name)
    columns = [column for column in table.columns if column.metric == _METRIC]
    for row in table.rows:
        for column in columns:
            head = next(iter(row.cells))
            label = row.label if len(columns) == 1 else f"{head}: {row.label}; {column.head}"
            yield label, cell_meta(row, column), printed_value(row.cells[column.head])
