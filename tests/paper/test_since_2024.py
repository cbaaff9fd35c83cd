"""The folder of networks since 2024, against the lines of its sources and against timm."""

import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import timm

import mogabench.models  # noqa: F401  (registers MogaNet with timm)
from mogabench.paper import get_paper, paper_figures
from mogabench.records import (
    Kind,
    Provenance,
    Quantity,
    Record,
    Store,
    open_store,
    packaged_results,
)
from mogabench.tables.join import join
from mogabench.tables.points import cost_scatters
from mogabench.tables.rendering import RENDERERS
from mogabench.tables.verdict import Status
from mogabench.tasks import get_task, make_subject

SOURCES = Path(__file__).parent / "since_2024.tsv"
FIGURES = ("Param.", "FLOPs", "Top-1 Acc (%)", "AP^b", "AP^m", "mIoU^ss (%)", "AP (%)")
FAMILIES = (
    *("rdnet", "inception_next", "starnet", "mobilenetv4", "fastvit", "hiera", "iformer"),
    *("repvit", "shvit", "efficientvim", "mambaout", "fasternet", "swiftformer", "caformer"),
    *("convnextv2", "tiny_vit", "nextvit", "unireplknet", "overlock"),
)
OURS = ("moganet", "unireplknet", "overlock")
"""Families that timm lacks, and has no weights of."""


def source_lines() -> dict[str, list[list[str]]]:
    """The cells of each source's lines, behind the commit, by the source."""
    found: dict[str, list[list[str]]] = {}
    for line in SOURCES.read_text("utf-8").splitlines():
        source, _, *cells = line.split("\t")
        found.setdefault(source, []).append(cells)
    return found


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    """The tables beside the packaged records."""
    store = open_store(tmp_path_factory.mktemp("results"))
    return [join(table, store) for table in get_paper("since_2024").tables()]


def test_every_printed_figure_is_in_a_line_of_its_source():
    sources, checked = source_lines(), 0
    for table in get_paper("since_2024").tables():
        for row in table.rows:
            source = row.cells["Source"]
            if not source or source.startswith("MogaNet's paper"):
                continue
            figures = [row.cells[head] for head in FIGURES if row.cells.get(head)]
            lines = [
                {part for cell in cells for text in cell.split(" / ") for part in text.split("/")}
                for cells in sources[source]
            ]
            fitting = [line for line in lines if all({f, f.rstrip("MG")} & line for f in figures)]
            assert fitting, (row.label, figures)
            checked += len(figures)
    assert checked > 270


def test_moganets_figures_are_those_of_its_own_tables():
    own, checked = {table.id: table for table in get_paper().tables()}, 0
    heads = {
        "Param.": ("Param. (M)", "#P. (M)"),
        "FLOPs": ("FLOPs (G)",),
        "AP^b": ("Mask R-CNN 1×: AP^b",),
        "AP^m": ("Mask R-CNN 1×: AP^m",),
    }
    for table in get_paper("since_2024").tables():
        for row in table.rows:
            if not row.meta.backbone.startswith("moganet"):
                continue
            id_ = row.cells["Source"].removeprefix("MogaNet's paper, Table ")
            [theirs] = [
                other.cells
                for other in own[id_].rows
                if (other.label, other.meta.input_size) == (row.label, row.meta.input_size)
            ]
            for head in FIGURES:
                if text := row.cells.get(head, "").rstrip("MG"):
                    assert text in [theirs.get(name) for name in heads.get(head, (head,))]
                    checked += 1
    assert checked > 60


def test_the_weights_are_timms_and_each_family_is_there():
    [table, *_] = get_paper("since_2024").tables()
    for row in table.rows:
        if row.meta.backbone.startswith(OURS):
            config = timm.get_pretrained_cfg(row.meta.backbone)
            assert config is not None and not row.cells["Weights"]
            continue
        config = timm.get_pretrained_cfg(f"{row.meta.backbone}.{row.cells['Weights']}")
        assert config is not None and row.meta.input_size in (
            config.input_size[1:],
            (config.test_input_size or config.input_size)[1:],
        )
    names = " ".join(row.meta.backbone for row in table.rows)
    assert [family for family in FAMILIES if family not in names] == []


def test_all_is_counted_by_three_conventions_and_parameters_are_timms(tables):
    for table in tables:
        for row in table.rows:
            counted = {c.column.head: c for c in row.cells if c.column.head.startswith("Counted")}
            assert len(counted) == 5 and all(c.measured for c in counted.values()), row.row.label
            assert all(cell.status is None for cell in counted.values())
    own = sum(p.numel() for p in timm.create_model("starnet_s1").parameters())
    [row] = [row for row in tables[0].rows if row.row.label == "StarNet-S1"]
    cells = {cell.column.head: cell.measured for cell in row.cells}
    assert cells["Counted: Param. (M)"] == pytest.approx(own / 1e6)


def test_each_count_is_the_printed_one_or_explained_but_for_two(tables):
    unexplained = {
        (row.row.label, cell.column.head)
        for table in tables
        for row in table.rows
        for cell in row.cells
        if cell.status is Status.UNEXPLAINED
    }
    assert unexplained == {("iFormer-L", "FLOPs"), ("StarNet-S4", "FLOPs")}


def test_the_committed_paragraph_on_speed_follows_from_the_committed_table():
    folder = Path(__file__).parents[2] / "results" / "papers" / "since_2024"
    head, _, *lines = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in (folder / "table_1.md").read_text("utf-8").splitlines()
        if line.startswith("|")
    ]
    accuracy = head.index("Top-1 Acc (%)")
    on_cpu = re.compile(r"Timed: .* \(img/s\) on .* thread")
    rates = [i for i, text in enumerate(head) if on_cpu.match(text)]
    points = {}  # speed and accuracy, by the name as the paragraph has it
    for cells in lines:
        family, _, size = cells[0].rpartition("-")
        speed = max(float(cells[i].partition("<sup>")[0]) for i in rates)
        points[f"{family} {size}"] = speed, float(cells[accuracy])
    ours = [point for name, point in points.items() if name.startswith("MogaNet ")]
    line = sorted(p for p in ours if not any(q[0] > p[0] and q[1] > p[1] for q in ours))
    speeds, accuracies = zip(*line, strict=True)

    text = (folder / "README.md").read_text("utf-8").partition("at equal measured speed")[2]
    compared, _, outside = text.partition("\n")[0].partition(
        "Cheaper than every MogaNet and less accurate, or dearer and more accurate: "
    )
    groups = re.split("More accurate:|Within 0.2 points:|Less accurate:", compared)
    checked = 0
    for group, holds in zip(
        groups[1:], (lambda d: d > 0.1, lambda d: abs(d) < 0.3, lambda d: d < -0.1), strict=True
    ):
        for entry in group.strip(" .;").split("; "):
            first, *more = entry.split(", ")
            family = first.partition(" (")[0].rpartition(" ")[0]
            for each in (first, *(f"{family} {size}" for size in more)):
                name, _, printed = each.strip(")").partition(" (")
                speed, top1 = points[name]
                distance = top1 - np.interp(math.log(speed), np.log(speeds), accuracies)
                assert holds(distance) and abs(distance - float(printed)) < 0.1, name
                checked += 1
    left_out = [
        f"{family.rpartition(' ')[0]} {size}"
        for entry in outside.strip(" .").split("; ")
        for family in (entry.split(", ")[0],)
        for size in (family.rpartition(" ")[2], *entry.split(", ")[1:])
    ]
    for speed, top1 in map(points.__getitem__, left_out):
        is_cheaper = speed > max(speeds) and top1 < accuracies[-1]
        assert is_cheaper or (speed < min(speeds) and top1 > accuracies[0])
    assert checked + len(left_out) + len(ours) == len(points) == 92


def test_upernet_in_openvino_is_as_fast_as_is_said(tables):
    [said] = [text for text in tables[2].paper.notes.remarks if "OpenVINO is" in text]
    numbers = re.match(r"OpenVINO is (\S+) to (\S+) times .* the (\d+) networks", said)
    records = Store(packaged_results()).all(Kind.THROUGHPUT)
    speeds = {"torch": {}, "openvino": {}}
    for record in records:
        how = record.provenance
        if record.subject.method == "upernet" and how.device == "AMD EPYC (2 cores)":
            speed = record.values["throughput"].value
            speeds[how.runtime or "torch"][record.subject.backbone] = speed
    ratios = [speed / speeds["torch"][name] for name, speed in speeds["openvino"].items()]
    assert numbers.groups() == (f"{min(ratios):.2f}", f"{max(ratios):.2f}", f"{len(ratios)}")


def test_the_front_is_what_no_other_network_beats_in_both(tables):
    [plot] = cost_scatters(tables)
    assert paper_figures(tables[0].paper.paper)["1"].front and plot.ours == "MogaNet"

    def is_beaten(point):
        return any(
            other.cost <= point.cost
            and other.accuracy >= point.accuracy
            and (other.cost, other.accuracy) != (point.cost, point.accuracy)
            for other in plot.points
        )

    expected = {point.name for point in plot.points if not is_beaten(point)}
    assert {point.name for point in plot.front} == expected
    assert len(plot.points) == 92 and 3 < len(expected) < 40
    accuracies = [point.accuracy for point in plot.front]
    assert accuracies == sorted(accuracies)


def test_what_is_said_of_moganet_is_what_the_counts_say(tables):
    [plot] = cost_scatters(tables)
    points = {point.name: point for point in plot.points}
    [said] = [text for text in tables[0].paper.notes.remarks if "on the front" in text]
    behind, ahead = said.split("so none")
    assert not any(point.name.startswith("MogaNet") for point in plot.front)

    def beats(one, other):
        return one.cost <= other.cost and one.accuracy >= other.accuracy and one is not other

    pairs = re.findall(r"(\w+) (?:is |are )?behind\s+(\S+?)[,;]", behind)
    assert len(pairs) == 4 and beats(points["SHViT-S4"], points["MogaNet-XT"])
    for size, other in pairs:
        assert beats(points[other], points[f"MogaNet-{size}"]), (size, other)
    for size in ("XT", "T", "S", "B", "L"):
        listed = re.search(rf"\b{size} (?:is ahead )?of ([^;.]*?)[;.] ?", ahead)
        expected = {n for n, p in points.items() if beats(points[f"MogaNet-{size}"], p)}
        names = re.split(r",\s+|\s+and\s+", listed[1]) if listed else []
        assert set(names) == expected, size


PASSES = {"iterations": 100.0}


def timed(rate, size=384, backbone="mobilenetv4_conv_large", *, values=PASSES, **where):
    subject = make_subject(get_task("classification"), backbone, input_size=(size, size))
    how = {"device": "CPU", "threads": 1, "batch_size": 1, "dtype": "float32", "compiled": False}
    return Record(
        subject=subject,
        kind=Kind.THROUGHPUT,
        values={
            "throughput": Quantity(value=rate, unit="img/s"),
            "peak_memory": Quantity(value=rate * 2e7, unit="B"),
            **{name: Quantity(value=value, unit="1") for name, value in values.items()},
        },
        provenance=Provenance(command="test", **{**how, "channels_last": False, **where}),
    )


def test_a_timing_is_of_the_columns_device_and_runtime_at_the_rows_size(tmp_path):
    store = Store(tmp_path)
    for record in (
        timed(7.5),
        timed(9.25, runtime="openvino"),
        timed(100.0, threads=2),
        timed(200.0, batch_size=8),
        timed(300.0, driver="1"),
        timed(400.0, size=256),
        timed(500.0, busy=True),
        timed(600.0, runtime="openvino", dtype="bfloat16"),
        timed(40.0, driver="1", threads=16, batch_size=256, dtype="bfloat16", channels_last=True),
        timed(700.0, driver="1", dtype="bfloat16"),
        timed(800.0, dtype="bfloat16", channels_last=True),
    ):
        store.append(record)
    table = get_paper("since_2024").table("1")
    rows = {row.row.label: row for row in join(table, store).rows}
    # img/s and MB on a thread by PyTorch and by OpenVINO, and on a GPU
    expected = [7.5, 150.0, 9.25, 185.0, 40.0, 800.0]
    timed_row = rows["MobileNetV4-Conv-L"]
    assert [cell.measured for cell in timed_row.cells[-6:]] == expected
    in_giga = [replace(column, unit="GB") for column in table.columns if column.metric == "memory"]
    shown = join(replace(table, columns=tuple(in_giga)), store).rows[timed_row.row.index]
    found = [cell.measured for cell in shown.cells]
    assert found == [value / 1000 for value in expected[1::2]]
    *_, missing, _, on_gpu = rows["MobileNetV4-Conv-M"].cells
    profile = "mogabench profile mobilenetv4_conv_medium"
    assert missing.status is None and missing.command == (
        f"{profile} --batch-size 1 --threads 1 --runtime openvino --size 256x256"
    )
    assert on_gpu.command == f"{profile} --gpu --dtype bfloat16 --channels-last --size 256x256"
    # A detector of another method than profile's has no command.
    table = get_paper("since_2024").table("2")
    assert all(row.cells[-1].command is None for row in join(table, store).rows)


@pytest.mark.parametrize(
    ("values", "is_marked"),
    [
        ({"iterations": 30, "median_error": 5.0}, False),
        ({"iterations": 30, "median_error": 5.1}, True),
        ({"iterations": 6}, False),
        ({"iterations": 5}, True),
    ],
)
def test_a_rough_speed_is_marked_and_its_memory_is_not(tmp_path, values, is_marked):
    store = Store(tmp_path)
    store.append(timed(7.5, code={}, values=values))
    rows = join(get_paper("since_2024").table("1"), store).rows
    caveats = {c.measured: c.caveat for row in rows for c in row.cells if c.measured in (7.5, 150)}
    assert caveats == {7.5: "the speed may be off by more than 5 %" * is_marked, 150: ""}


def test_heads_of_timings_name_the_machine_and_what_older_code_timed_is_marked(tmp_path):
    store = Store(tmp_path)
    store.append(timed(7.5))
    store.append(timed(9.0, 224, "starnet_s1", code={}))
    joined = join(get_paper("since_2024").table("1"), store)
    caveats = [c.caveat for row in joined.rows for c in row.cells if c.measured in (7.5, 9.0)]
    assert sorted(caveats) == ["", "made by other code than this version's"]
    for name in ("text", "markdown", "latex", "html"):
        shown = " ".join(RENDERERS[name]([joined]).split())
        assert "on CPU, 1 thread" in shown
