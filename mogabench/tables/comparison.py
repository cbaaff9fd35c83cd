"""Networks beside each other over several tasks: their costs, rates and qualities."""

from __future__ import annotations

import statistics
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mogabench.catalogue import check_backbone
from mogabench.columns import short
from mogabench.records import Kind
from mogabench.tables.cells import timing_caveat
from mogabench.tables.grid import MISSING
from mogabench.tables.series import set_up, spread
from mogabench.tables.timed import PLAIN_RUN, timings_by_machine
from mogabench.tasks import make_subject

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from mogabench.engine.task import Metric, Task
    from mogabench.records import Record, Store
    from mogabench.subject import Subject
    from mogabench.tables.grid import Footnotes


@dataclass(frozen=True)
class Line:
    """A figure of several networks.

    Attributes:
        kind: Of the records behind it.
        task: A task's name.
        where: The method and size, or the data and recipe, by which all were measured.
        figure: What it is, such as ``param.`` or ``Top-1``.
        unit: Such as ``M``.
        samples: What each network's records say: a quality of each seed, any other figure once,
            nothing where it is not known.
        show: Writes a single value.
        caveats: What a reader of each network's value must know, empty for most; nothing where the
            line has none.
    """

    kind: Kind
    task: str
    where: str
    figure: str
    unit: str
    samples: tuple[tuple[float, ...], ...]
    show: Callable[[float], str] = "{:.2f}".format
    caveats: tuple[str, ...] = ()

    @property
    def values(self) -> list[float | None]:
        """The mean of each network's samples; None where there are none."""
        return [statistics.fmean(sample) if sample else None for sample in self.samples]

    def texts(self, footnotes: Footnotes) -> list[str]:
        """The values as printed, with the deviations of means and the marks of their caveats.

        Args:
            footnotes: Of the table that the line is in; takes the caveats.
        """
        caveats = self.caveats or ("",) * len(self.samples)
        return [
            self._text(sample) + footnotes.mark(caveat)
            for sample, caveat in zip(self.samples, caveats, strict=True)
        ]

    def _text(self, sample: Sequence[float]) -> str:
        if len(sample) > 1:
            return spread(sample)
        return self.show(sample[0]) if sample else MISSING

    def entry(self, networks: Sequence[str]) -> dict[str, Any]:
        """The line as plain data."""
        samples = zip(networks, self.samples, strict=True)
        caveats = zip(networks, self.caveats, strict=True) if self.caveats else ()
        return {
            "task": self.task,
            "where": self.where,
            "figure": self.figure,
            "unit": self.unit,
            "values": dict(zip(networks, self.values, strict=True)),
            "deviations": {name: statistics.stdev(each) for name, each in samples if len(each) > 1},
            "notes": {name: text for name, text in caveats if text},
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
        samples = tuple(
            (r.values[name].value / scale,) if r and name in r.values else () for r in counted
        )
        yield Line(Kind.COMPLEXITY, task, where, figure, unit, samples)


def _rates(task: str, where: str, chosen: Sequence[Subject | None], store: Store) -> Iterator[Line]:
    """A line for each machine: throughput in eager float32, of one that was not busy."""
    keys = {one.key for one in chosen if one}
    by_machine = timings_by_machine(keys, store, with_batch=True, **PLAIN_RUN)
    for machine, records in by_machine.items():
        by_key = {record.subject.key: record for record in records}
        found = [by_key.get(one.key) if one else None for one in chosen]
        samples = tuple((r.values["throughput"].value,) if r else () for r in found)
        unit = records[0].values["throughput"].unit
        on = f"{where}, float32 on {machine}"
        caveats = tuple(timing_caveat(r, "fps") if r else "" for r in found)
        yield Line(Kind.THROUGHPUT, task, on, "throughput", unit, samples, short, caveats)


def _qualities(task: Task[Any, Any], networks: Sequence[str], store: Store) -> Iterator[Line]:
    groups: dict[tuple[str, str], dict[str, list[Record]]] = {}
    for record in store.all(Kind.QUALITY):
        subject, data = record.subject, record.provenance.data
        if subject.task == task.name and subject.backbone in networks and not subject.options:
            group = _conditions(record), data.digest if data else ""
            groups.setdefault(group, {}).setdefault(subject.backbone, []).append(record)
    repeated = Counter(conditions for conditions, _ in groups)
    for (conditions, digest), by_network in groups.items():
        found = [_of_each_seed(by_network.get(name, [])) for name in networks]
        of_data = f", data {digest[:8]}" * (repeated[conditions] > 1)  # as of folders of one name
        about = Kind.QUALITY, task.name, conditions + of_data
        seeds = tuple((len(records),) if records else () for records in found)
        if max(seeds) > (1,):
            yield Line(*about, "seeds", "1", seeds, "{:.0f}".format)
        for metric in task.metrics:
            samples = tuple(_sample(records, metric) for records in found)
            if any(samples):
                label = metric.label.partition(" (")[0]
                show = ("{:.4f}" if metric.unit == "1" else "{:.2f}").format  # as of SSIM
                yield Line(*about, label, metric.unit, samples, show)


def _of_each_seed(records: Sequence[Record]) -> list[Record]:
    """The newest record, and the newest of each other seed of the same training."""
    alike = (record for record in records if set_up(record) == set_up(records[-1]))
    return list({record.provenance.seed: record for record in alike}.values())


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


def _sample(records: Sequence[Record], metric: Metric) -> tuple[float, ...]:
    return tuple(r.values[metric.name].value for r in records if metric.name in r.values)
