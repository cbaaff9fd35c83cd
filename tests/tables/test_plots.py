"""Points and files of the paper's figures."""

from dataclasses import replace

import pytest

from mogabench.paper import Paper, get_paper, paper_figures
from mogabench.paper.skeleton import write_skeleton
from mogabench.records import (
    Kind,
    Provenance,
    Quantity,
    Record,
    Store,
    open_store,
    packaged_results,
)
from mogabench.subject import Subject
from mogabench.tables import plots
from mogabench.tables.join import join
from mogabench.tables.page.details import Details
from mogabench.tables.page.figures import ratio_charts
from mogabench.tables.plots import FORMATS, draw_scatter
from mogabench.tables.points import (
    Point,
    Scatter,
    cost_points,
    cost_scatters,
    throughput_points,
)


def test_figure_1_has_slak_at_its_sparse_size_and_others_as_measured():
    table = join(get_paper().table("3"), open_store(packaged_results()))
    figure = paper_figures(get_paper())["1"]
    points = {point.name: point.cost for point in cost_points(table, figure)}
    # 0.6 of 50.70, 91.13 and 157.95 M; the paper prints 30, 55 and 95.
    assert [points[f"SLaK-{size}"] for size in "TSB"] == pytest.approx([30.42, 54.68, 94.77], 1e-3)
    assert points["MogaNet-S"] == pytest.approx(25.336, abs=1e-3)


def test_costs_that_are_printed_in_m_and_g_stand_on_one_axis():
    """Where StarNet-S1's 425M were 425 G, it would be the largest network."""
    paper = get_paper("since_2024")
    table = join(paper.table("1"), open_store(packaged_results()))
    figure = replace(paper_figures(paper)["1"], column="FLOPs")
    points = {point.name: point.cost for point in cost_points(table, figure)}
    assert points["StarNet-S1"] == pytest.approx(0.425, rel=0.01)
    assert points["RDNet-B"] == pytest.approx(15.4, rel=0.01)
    chart = next(c for c in ratio_charts([table], Details()) if c.id == "operations_ratio")
    [starnet] = [mark for mark in chart.marks if mark.text.startswith("StarNet-S1,")]
    assert starnet.x == pytest.approx(0.425)


def test_a_plot_shows_what_is_measured_also_where_the_print_is_of_another_form():
    """RepViT-M0.9 has 5.5 M parameters as trained; 5.1M is printed, of the form for inference."""
    table = join(get_paper("since_2024").table("1"), open_store(packaged_results()))
    figure = replace(paper_figures(table.paper.paper)["1"], column="Param.")
    points = {point.name: point.cost for point in cost_points(table, figure)}
    assert points["RepViT-M0.9"] == pytest.approx(5.49, abs=0.005)


def test_what_has_no_logarithm_is_in_no_plot():
    """Table 1 of the paper prints differences, which may be negative, and 0 where it measures."""
    table = join(get_paper().table("3"), open_store(packaged_results()))
    figure = paper_figures(get_paper())["1"]

    def with_params(index, **changes):
        cells = tuple(
            replace(cell, **changes) if cell.column.head == "Param. (M)" else cell
            for cell in table.rows[index].cells
        )
        return replace(table.rows[index], cells=cells)

    rows = (with_params(0, paper=-22.0), with_params(1, measured=0.0), *table.rows[2:])
    odd = replace(table, rows=rows)
    assert len(cost_points(odd, figure)) == len(cost_points(table, figure)) - 1
    for chart, whole in zip(*(ratio_charts([t], Details()) for t in (odd, table)), strict=True):
        assert len(chart.marks) == len(whole.marks) - 2 * (chart.id == "parameters_ratio")


def test_a_figure_comes_as_png_svg_and_pdf_and_the_same_each_time():
    points = [Point(1.0, 80.0, "MogaNet-T"), Point(1.01, 80.0, "Swin-T"), Point(2.0, 82.0, "A-B")]
    plot = Scatter("a", "A long title " * 12, "cost", "M", points)
    first, second = (draw_scatter(plot) for _ in range(2))
    assert set(first) == set(FORMATS) == {"png", "svg", "pdf"}
    assert first == second
    assert first["png"].startswith(b"\x89PNG") and first["pdf"].startswith(b"%PDF")
    assert b"<svg" in first["svg"]


def test_each_point_has_its_mark_and_its_name(monkeypatch):
    figures = []
    monkeypatch.setattr(plots, "pictures", lambda figure, _: figures.append(figure))
    points = [Point(1.0, 80.0, "MogaNet-T"), Point(1.5, 81.0, "Swin-S"), Point(2.0, 82.0, "A-B")]
    draw_scatter(Scatter("a", "A title", "cost", "M", points))
    [figure] = figures
    [axes] = figure.axes
    marks = [place for drawn in axes.collections for place in drawn.get_offsets().tolist()]
    assert marks == [[1.0, 80.0], [1.5, 81.0], [2.0, 82.0]]
    assert [text.get_text() for text in axes.texts] == ["T", "S", "B"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["MogaNet", "Swin", "A"]


def timed(backbone, speed, kind=Kind.THROUGHPUT, *, subject=None, **where):
    network = {"task": "classification", "method": "classifier", "input_size": (224, 224)}
    where = {"device": "CPU", "threads": 1, "batch_size": 1} | where
    return Record(
        subject=Subject(backbone=backbone, **network | (subject or {})),
        kind=kind,
        values={"throughput": Quantity(value=speed, unit="img/s")},
        provenance=Provenance(command="test", **where),
    )


def test_figure_a3_leaves_out_what_a_busy_machine_measured_and_training(tmp_path):
    store = Store(tmp_path)
    store.append(timed("moganet_small", 50.0))
    store.append(timed("moganet_small", 20.0, busy=True))
    store.append(timed("moganet_base", 30.0))
    store.append(timed("moganet_large", 10.0, busy=True))
    store.append(timed("moganet_base", 3.0, Kind.TRAIN_STEP, optimizer="adamw"))
    [points] = throughput_points([get_paper().table("3")], store, any, compiled=False).values()
    assert [(point.name, point.cost) for point in points] == [("MogaNet-S", 50), ("MogaNet-B", 30)]


def test_figure_a3_shows_a_rough_speed_only_where_there_is_no_other(tmp_path):
    store = Store(tmp_path)
    for backbone, speed, passes in (
        ("moganet_small", 50.0, 100),
        ("moganet_small", 90.0, 3),
        ("moganet_base", 30.0, 3),
    ):
        record = timed(backbone, speed)
        record.values["iterations"] = Quantity(value=passes, unit="1")
        store.append(record)
    [points] = throughput_points([get_paper().table("3")], store, any, compiled=False).values()
    assert [point.cost for point in points] == [50.0, 30.0]


def test_figure_a3_compares_the_networks_of_its_rows_in_one_set_up(tmp_path):
    """An ablation's network, a regressor, a larger batch and more threads are all faster here."""
    store = Store(tmp_path)
    for record in (
        timed("moganet_small", 50.0),
        timed("moganet_small", 51.0, subject={"options": {"gate_act": "gelu"}}),
        timed("moganet_small", 52.0, subject={"task": "mesh", "method": "expose_hand"}),
        timed("moganet_small", 53.0, batch_size=8),
        timed("moganet_small", 54.0, threads=2),
        timed("moganet_base", 30.0),
    ):
        store.append(record)
    found = throughput_points([get_paper().table("3")], store, any, compiled=False)
    assert {name: [p.cost for p in points] for name, points in found.items()} == {
        "CPU, 1 thread, batch 1": [50.0, 30.0]
    }


def speeds(folder, *rows, head="Top-1"):
    """The tables of a paper with classifiers' accuracies, and a plot of a column of speeds."""
    write_skeleton("mine", folder)
    vocabulary = folder / "mine" / "vocabulary.yaml"
    groups = "groups: {100 epochs: {overrides: {recipe: rsb_a3_100e}}}"
    measured = "measured: {Speed: {metric: fps, unit: img/s, device: cpu}}\n"
    vocabulary.write_text(vocabulary.read_text().replace("groups: {}", groups) + measured)
    (folder / "mine" / "figures.yaml").write_text(
        "'1': {tables: ['1'], title: T, front: true, column: Speed, cost: img/s, name: speed}\n"
    )
    lines = [f"task,method,backbone,input_size,Architecture,{head}", *rows]
    (folder / "mine" / "table_1_An_example.csv").write_text("\n".join(lines))
    return Paper("mine", folder / "mine").table("1")


def test_the_front_of_a_column_of_speeds_leads_through_the_fastest(tmp_path):
    store = Store(tmp_path)
    networks = (("resnet50", 80, 10.0), ("resnet34", 79, 100.0), ("resnet18", 78, 50.0))
    for backbone, _, speed in networks:
        store.append(timed(backbone, speed))
    rows = [f"classification,classifier,{name},224x224,{name},{top1}" for name, top1, _ in networks]
    [plot] = cost_scatters([join(speeds(tmp_path, *rows), store)])
    assert [point.name for point in plot.front] == ["resnet34", "resnet50"]


@pytest.mark.parametrize("head", ["Top-1", "100 epochs: Top-1"])
def test_a_table_that_states_no_pretraining_has_a_figure_and_may_have_headings(tmp_path, head):
    store = Store(tmp_path)
    for backbone in ("resnet18", "resnet34"):
        store.append(timed(backbone, 50.0))
    names = ("resnet18", "resnet34")
    rows = [f"classification,classifier,{name},224x224,{name},70" for name in names]
    table = speeds(tmp_path, *rows, ",,,,A heading,70", head=head)
    [points] = throughput_points([table], store, lambda _: True).values()
    assert [point.name for point in points] == ["resnet18", "resnet34"]


def test_on_a_gpu_the_largest_batch_counts_and_the_newest_of_equals(tmp_path):
    store, gpu = Store(tmp_path), {"device": "GPU", "driver": "1", "threads": None}
    for speed, batch in ((800.0, 256), (900.0, 256), (100.0, 1)):
        store.append(timed("moganet_small", speed, batch_size=batch, **gpu))
    store.append(timed("moganet_base", 500.0, batch_size=128, **gpu))
    for backbone, speed in (("moganet_small", 950.0), ("moganet_base", 700.0)):
        store.append(timed(backbone, speed, batch_size=256, channels_last=True, **gpu))
    found = throughput_points([get_paper().table("3")], store, any, compiled=False)
    assert {name: [p.cost for p in points] for name, points in found.items()} == {
        "GPU": [900.0, 500.0],
        "GPU, channels_last": [950.0, 700.0],
    }


def test_figure_a3_has_pytorch_and_the_fastest_other_runtime(tmp_path):
    store = Store(tmp_path)
    for record in (
        timed("moganet_small", 50.0),
        timed("moganet_small", 120.0, runtime="openvino"),
        timed("moganet_small", 110.0, runtime="openvino"),  # the newer one
        timed("moganet_small", 115.0, runtime="onnxruntime"),
        timed("moganet_base", 60.0, runtime="openvino"),
        timed("moganet_base", 50.0, runtime="onnxruntime"),
    ):
        store.append(record)
    [points] = throughput_points([get_paper().table("3")], store, any, compiled=False).values()
    assert [(p.cost, p.accuracy, p.name, p.runtime) for p in points] == [
        (50.0, 83.4, "MogaNet-S", ""),
        (115.0, 83.4, "MogaNet-S", "onnxruntime"),
        (60.0, 84.3, "MogaNet-B", "openvino"),
    ]
    assert {(p.table, p.row) for p in points} == {("3", 11), ("3", 26)}  # their rows, from 0
    figures = [draw_scatter(Scatter("a", "A", "B", "", points[:n]))["svg"] for n in (1, 3)]
    assert [b"stroke-dasharray" in figure for figure in figures] == [False, True]
