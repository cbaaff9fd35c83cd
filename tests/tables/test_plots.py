"""Points and files of the paper's figures."""

import pytest

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
from mogabench.subject import Subject
from mogabench.tables.join import join
from mogabench.tables.plots import FORMATS, draw_scatter
from mogabench.tables.points import Point, Scatter, cost_points, throughput_points


def test_figure_1_has_slak_at_its_sparse_size_and_others_as_measured():
    table = join(get_paper().table("3"), open_store(packaged_results()))
    figure = paper_figures(get_paper())["1"]
    points = {point.name: point.cost for point in cost_points(table, figure)}
    # 0.6 of 50.70, 91.13 and 157.95 M; the paper prints 30, 55 and 95.
    assert [points[f"SLaK-{size}"] for size in "TSB"] == pytest.approx([30.42, 54.68, 94.77], 1e-3)
    assert points["MogaNet-S"] == pytest.approx(25.336, abs=1e-3)


def test_a_figure_comes_as_png_svg_and_pdf_and_the_same_each_time():
    points = [Point(1.0, 80.0, "MogaNet-T"), Point(1.01, 80.0, "Swin-T"), Point(2.0, 82.0, "A-B")]
    plot = Scatter("a", "A long title " * 12, "cost", "M", points)
    first, second = (draw_scatter(plot) for _ in range(2))
    assert set(first) == set(FORMATS) == {"png", "svg", "pdf"}
    assert first == second
    assert first["png"].startswith(b"\x89PNG") and first["pdf"].startswith(b"%PDF")
    assert b"<svg" in first["svg"]


def timed(backbone, speed, kind=Kind.THROUGHPUT, **where):
    subject = Subject(
        task="classification", method="classifier", backbone=backbone, input_size=(224, 224)
    )
    return Record(
        subject=subject,
        kind=kind,
        values={"throughput": Quantity(value=speed, unit="img/s")},
        provenance=Provenance(command="test", device="CPU", threads=1, **where),
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
