"""What is known of a table, a network or a record, as headings with their texts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mogabench.escaping import command_line
from mogabench.measure.settings import set_up_name
from mogabench.paper.papers import paper_options
from mogabench.records import Kind
from mogabench.tables.grid import counts_text
from mogabench.tables.join import join, subjects_of
from mogabench.tables.text import complexity_line, made_by, quality_lines, throughput_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from mogabench.paper import Paper, PaperTable
    from mogabench.records import Record, Store
    from mogabench.subject import Subject

Pairs = list[tuple[str, str]]


def about_table(table: PaperTable, store: Store) -> Pairs:
    """The table's title, size and columns, what its rows are about, and how its cells compare."""
    metas = [row.meta for row in table.rows]
    methods = _distinct(f"{meta.task}/{meta.method}" for meta in metas if meta.task)
    return _filled(
        ("table", f"{table.id}: {table.title}"),
        ("rows", str(len(table.rows))),
        ("columns", ", ".join(column.head for column in table.columns)),
        ("networks of", ", ".join(methods)),
        ("recipes", ", ".join(_distinct(meta.recipe for meta in metas if meta.recipe))),
        ("cells", counts_text(join(table, store))),
        ("to print it", command_line("table", table.id, *paper_options(table.paper))),
    )


def about_network(name: str, paper: Paper, store: Store, recipes: Sequence[str]) -> Pairs:
    """The tables of a paper that a network is in, and what records say of it.

    Args:
        name: A timm model name.
        paper: The paper.
        store: The records.
        recipes: The recipes with values of its own.
    """
    tables = [
        (
            table.id,
            list(dict.fromkeys(row.label for row in table.rows if row.meta.backbone == name)),
        )
        for table in paper.tables()
    ]
    return _filled(
        ("network", name),
        ("tables", "; ".join(f"{id_}: {', '.join(rows)}" for id_, rows in tables if rows)),
        ("recipes", ", ".join(recipes)),
        *_counts(name, paper, store),
        *_rates(name, store),
        *_trainings(name, store),
        ("to count it", command_line("count", name, "--depth", 2)),
        ("to time it", command_line("profile", name)),
    )


def about_record(record: Record) -> Pairs:
    """All that a record holds."""
    return _filled(
        ("record", f"{record.id}, {record.kind.replace('_', ' ')}"),
        ("subject", record.subject.key),
        *((name, f"{item.value:.10g} {item.unit}") for name, item in record.values.items()),
        *(("note", note) for note in record.notes),
        ("made by", made_by(record)),
        *(
            (name.replace("_", " "), str(value))
            for name, value in record.provenance.model_dump(mode="json", exclude_none=True).items()
            if name not in ("command", "packages", "code", "commit", "dirty") and value != {}
        ),
    )


def find_record(start: str, store: Store) -> list[Record]:
    """The records whose ids begin so."""
    return [record for record in store.all() if record.id.startswith(start)]


def _counts(name: str, paper: Paper, store: Store) -> Iterator[tuple[str, str]]:
    """The counts of each network with that backbone that a table has."""
    seen: set[Subject] = set()
    for table in paper.tables():
        for subject in subjects_of(table):
            if subject.backbone == name and not subject.options and subject not in seen:
                seen.add(subject)
                record = store.latest(subject.key, Kind.COMPLEXITY)
                if record is not None:
                    yield "counted", f"{subject.key}: {complexity_line(record)}"


def _rates(name: str, store: Store) -> Iterator[tuple[str, str]]:
    for record in store.all(Kind.THROUGHPUT):
        if record.subject.backbone == name and "throughput" in record.values:
            yield "timed", f"{record.id}: {_how(record)}: {throughput_line(record)}"


def _trainings(name: str, store: Store) -> Iterator[tuple[str, str]]:
    for record in store.all(Kind.QUALITY):
        if record.subject.backbone == name:
            yield "trained", f"{record.id}: {quality_lines(record)[0]}"


def _how(record: Record) -> str:
    """The network that was timed, and in which set-up."""
    how = record.provenance
    set_up = set_up_name(
        how.dtype, compiled=how.compiled, channels_last=how.channels_last, runtime=how.runtime
    )
    return f"{record.subject.key}, {set_up}"


def _distinct(texts: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(texts))


def _filled(*pairs: tuple[str, str]) -> Pairs:
    return [(heading, text) for heading, text in pairs if text]
