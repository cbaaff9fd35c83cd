"""Networks beside each other over several tasks: their costs, rates and qualities."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mogabench.catalogue import check_backbone
from mogabench.records import Kind
from mogabench.tables.grid import MISSING
from mogabench.tables.timed import PLAIN_RUN, machine_of
from mogabench.tasks import make_subject

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mogabench.engine.task import Metric, Task
    from mogabench.records import Record, Store
    from mogabench.subject import Subject


@dataclass(frozen=True)
class Line:
    """A figure of several networks.

    Attributes:
        kind: Of the records behind it.
        task: A task's name.
        where: The method and size, or the data and recipe, by which all were measured.
        figure: What it is, such as ``param.`` or ``Top-1``.
        unit: Such as ``M``.
        values: One for each network; None where it is not known.
        digits: After the decimal point, where it is printed.
    """

    kind: Kind
    task: str
    where: str
    figure: str
    unit: str
    values: tuple[float | None, ...]
    digits: int = 2

    def texts(self) -> list[str]:
        """The values as printed; one that is not known is a dash."""
        return [MISSING if value is None else f"{value:.{self.digits}f}" for value in self.values]

    def entry(self, networks: Sequence[str]) -> dict[str, Any]:
        """The line as plain data."""
        return {
            "task": self.task,
            "where": self.where,
            "figure": self.figure,
            "unit": self.unit,
            "values": dict(zip(networks, self.values, strict=True)),
        }


def check_networks(tasks: Sequence[Task[Any, Any]], networks: Sequence[str]) -> None:
    """Refuses a name that none of the tasks knows.

    Raises:
        UserError: The first such name, with the nearest ones that are known.
    """
    known = {name for task in tasks for name in task.backbones()}
    for name in networks:
        check_backbone(name, known, "network")


def subjects(task: Task[Any, Any], networks: Sequence[str]) -> list[Subject | None]:
    """What is counted of each network: the task's first method at its size; None if it has none."""
    known = task.backbones()
    return [
        make_subject(task, name) if name.partition(".")[0] in known else None  # without its tag
        for name in networks
    ]


def compare(task: Task[Any, Any], networks: Sequence[str], store: Store) -> list[Line]:
    """All that is known of networks in a task, by records.

    Qualities stand on one line only where data, method, size, recipe, epochs and known
    pre-training are the same.

    Args:
        task: The task.
        networks: timm models, or what else the task takes.
        store: The records; what they miss is None.
    """
    chosen = subjects(task, networks)
    found = next((subject for subject in chosen if subject is not None), None)
    if found is None:
        return []
    where = f"{found.method} {'x'.join(map(str, found.input_size))}"
    lines = [*_costs(task.name, where, chosen, store), *_rates(task.name, where, chosen, store)]
    return [*lines, *_qualities(task, networks, store)]


def _costs(task: str, where: str, chosen: Sequence[Subject | None], store: Store) -> Iterator[Line]:
    counted = [store.latest(one.key, Kind.COMPLEXITY) if one else None for one in chosen]
    for name, figure, unit, scale in (
        ("trainable_parameters", "param.", "M", 1e6),
        ("operations_matmul", "FLOPs, matmul", "G", 1e9),  # leaves nothing of attention out
        ("activations", "act.", "M", 1e6),
    ):
        values = tuple(
            r.values[name].value / scale if r and name in r.values else None for r in counted
        )
        yield Line(Kind.COMPLEXITY, task, where, figure, unit, values)


def _rates(task: str, where: str, chosen: Sequence[Subject | None], store: Store) -> Iterator[Line]:
    """A line for each machine: throughput in eager float32, of one that was not busy."""
    keys = [one and one.key for one in chosen]
    by_machine: dict[str, dict[str, Record]] = {}
    for record in store.all(Kind.THROUGHPUT):
        if record.subject.key in keys and record.same_setup(**PLAIN_RUN):
            where_timed = machine_of(record, with_batch=True)
            by_machine.setdefault(where_timed, {})[record.subject.key] = record
    for machine, records in by_machine.items():
        found = [records.get(key or "") for key in keys]
        values = tuple(r.values["throughput"].value if r else None for r in found)
        unit = next(iter(records.values())).values["throughput"].unit
        on = f"{where}, float32 on {machine}"
        yield Line(Kind.THROUGHPUT, task, on, "throughput", unit, values, digits=1)


def _qualities(task: Task[Any, Any], networks: Sequence[str], store: Store) -> Iterator[Line]:
    groups: dict[tuple[str, str], dict[str, Record]] = {}
    for record in store.all(Kind.QUALITY):
        subject, data = record.subject, record.provenance.data
        if subject.task == task.name and subject.backbone in networks and not subject.options:
            group = _conditions(record), data.digest if data else ""
            groups.setdefault(group, {})[subject.backbone] = record
    repeated = Counter(conditions for conditions, _ in groups)
    for (conditions, digest), records in groups.items():
        of_data = f", data {digest[:8]}" * (repeated[conditions] > 1)  # as of folders of one name
        where = conditions + of_data
        for metric in task.metrics:
            values = tuple(_value(records.get(name), metric) for name in networks)
            if any(value is not None for value in values):
                label = metric.label.partition(" (")[0]
                yield Line(Kind.QUALITY, task.name, where, label, metric.unit, values)


def _conditions(record: Record) -> str:
    """What must be the same for qualities to be compared."""
    how, subject = record.provenance, record.subject
    changes = "".join(f" {name}={value}" for name, value in (how.recipe_changes or {}).items())
    data = f"{how.data.name} {how.data.split}" if how.data else "unnamed data"
    epochs = f", {how.training.epochs} epochs" if how.training else ""
    size = "x".join(map(str, how.evaluated_size or subject.input_size))
    start = f", from {how.started_from}" if how.started_from in ("in1k", "in21k") else ""
    how_trained = f"{how.recipe or 'no recipe'}{changes}{epochs}{start}"
    return f"{subject.method} {size} on {data}, {how_trained}"


def _value(record: Record | None, metric: Metric) -> float | None:
    quantity = record and record.values.get(metric.name)
    return quantity.value if quantity else None
