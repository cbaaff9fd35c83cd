"""A user's own network in a table of the paper: a row for each set-up that the table has."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from mogabench.catalogue import check_has_file
from mogabench.errors import UserError
from mogabench.paper.numbers import printed_size
from mogabench.tables.measurable import COSTS
from mogabench.tasks import get_task, make_subject

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mogabench.paper import PaperTable, Row
    from mogabench.subject import OptionValue


@dataclass(frozen=True)
class Added:
    """A network to add to tables.

    Attributes:
        backbone: A timm name, or that of a video translator.
        method: The only method to add it for; None for each that the table has.
        input_size: ``(H, W)`` in pixels; None for those of the table.
        options: Keyword arguments of the network.
    """

    backbone: str
    method: str | None = None
    input_size: tuple[int, ...] | None = None
    options: Mapping[str, OptionValue] = field(default_factory=dict)


def add_network(table: PaperTable, network: Added) -> PaperTable:
    """Appends a row for each method and input size that the table measures its paper's networks by.

    Fine-tuned networks have a set-up of their own only where the method has no other, so that
    Table 3's is 224x224 from scratch.

    Raises:
        UserError: The table cannot take the network.
    """
    check_has_file(network.backbone)
    models = _models(table)
    if not models:
        takers = [other.id for other in table.paper.tables() if _models(other)]
        raise UserError(
            f"{table.name} takes no network of yours: it compares {_what(table)}; "
            + (f"Tables {', '.join(takers)} do" if takers else "no table of the paper does")
        )
    chosen = [row for row in models if network.method in (None, row.meta.method)]
    if not chosen:
        methods = dict.fromkeys(row.meta.method for row in models if row.meta.method)
        has = f"its methods are {', '.join(methods)}" if methods else "it has no methods"
        raise UserError(f"{table.name} has no method '{network.method}': {has}")
    set_ups: dict[tuple[str, tuple[int, ...]], Row] = {}
    for row in chosen:
        size = row.meta.input_size if network.input_size is None else tuple(network.input_size)
        set_ups.setdefault((row.meta.method, size), row)
    rows = [
        _row(table, row, network, index)
        for index, row in enumerate(set_ups.values(), start=len(table.rows))
    ]
    return replace(table, rows=(*table.rows, *rows))


def _models(table: PaperTable) -> list[Row]:
    """The paper's own rows, whose set-ups others get; none of an ablation or of settings."""
    own = [row for row in table.rows if table.paper.is_model(row.meta.backbone)]
    is_ablation = any(row.meta.options or row.meta.baseline is not None for row in own)
    if is_ablation or not any(column.metric in COSTS for column in table.columns):
        return []
    scratch = {row.meta.method for row in own if row.meta.pretraining != "in21k"}
    return [row for row in own if row.meta.pretraining != "in21k" or row.meta.method not in scratch]


def _what(table: PaperTable) -> str:
    if not any(table.paper.is_model(row.meta.backbone) for row in table.rows):
        return "networks of which paper.yaml calls none the paper's own"
    has_costs = any(column.metric in COSTS for column in table.columns)
    return (
        f"parts of {table.paper.about.name}" if has_costs else "trainings, and prints no parameters"
    )


def _row(table: PaperTable, model: Row, network: Added, index: int) -> Row:
    """The row of a network, measured as one of the paper's own is."""
    meta = replace(
        model.meta, backbone=network.backbone, options=dict(network.options), recipe="", settings={}
    )
    if meta.task:
        subject = make_subject(
            get_task(meta.task),
            network.backbone,
            method=meta.method,
            input_size=meta.input_size if network.input_size is None else network.input_size,
            options=network.options,
        )
        meta = replace(meta, input_size=subject.input_size)
    elif network.input_size is not None:
        raise UserError(f"{table.name} has tasks of different input sizes; leave --size out")
    size = "" if network.input_size is None else "x".join(map(str, meta.input_size))
    cells = {
        head: size if size and _states_size(text, model) else text
        for head, text in model.cells.items()
        if table.paper.vocabulary.is_set_up(head)
    }
    label = table.columns[table.label_place].head
    return replace(
        model,
        index=index,
        label=network.backbone,
        meta=meta,
        cells=cells | {label: network.backbone},
        beside=model,
    )


def _states_size(text: str, model: Row) -> bool:
    """Whether a row's text is a size; a single number may be another, such as that of epochs."""
    try:
        sides = printed_size(text)
    except ValueError:
        return False
    return len(sides) > 1 or sides * 2 == model.meta.input_size
