"""A network of one's own beside the paper's, measured as those are."""

import json
import os
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from mogabench.cli import app
from mogabench.cli.subjects import read_added
from mogabench.errors import UserError
from mogabench.paper import Paper, get_paper
from mogabench.paper.skeleton import write_skeleton
from mogabench.records import Store, open_store
from mogabench.tables.added import Added, add_network
from mogabench.tables.join import join, unmeasured

REFUSING = {"1", "A2", "A3", "A4", "A5", "A6", "A7"}


def added_rows(table_id, network, store):
    joined = join(add_network(get_paper().table(table_id), network), store)
    return joined, [row for row in joined.rows if row.added]


@pytest.mark.parametrize(
    ("table_id", "backbone", "label"),
    [
        ("2", "resnet18", "ResNet-18"),
        ("4", "swin_tiny_patch4_window7_224", "Swin-T"),
        ("A9", "pvt_v2_b2", "PVTv2-B2"),
        ("A13", "convnext_tiny", "ConvNeXt-T"),
        ("A14", "hornet", "HorNet"),
    ],
)
def test_a_network_of_the_paper_gets_the_figures_of_its_own_row(table_id, backbone, label):
    joined, added = added_rows(table_id, Added(backbone), open_store())
    own = [row for row in joined.rows if row.row.label == label and not row.added]
    assert own
    for row in own:
        meta = row.row.meta
        (twin,) = [
            other
            for other in added
            if (other.row.meta.method, other.row.meta.input_size) == (meta.method, meta.input_size)
        ]
        for ours, theirs in zip(twin.cells, row.cells, strict=True):
            if theirs.column.metric in ("params", "operations"):
                assert ours.counts == theirs.counts and ours.printed == ""
                assert ours.counts or ours.measured == theirs.measured


def test_a_row_for_each_set_up_with_its_method_and_size(tmp_path):
    _, rows = added_rows("4", Added("resnet26"), Store(tmp_path))
    assert [row.row.cells["Method"] for row in rows] == [
        *("RetinaNet", "Mask R-CNN", "Cascade Mask")
    ]
    _, rows = added_rows("2", Added("resnet26"), Store(tmp_path))
    assert {row.row.cells["Image Size"]: row.row.meta.input_size for row in rows} == {
        "224²": (224, 224),
        "256²": (256, 256),
    }
    _, (row,) = added_rows("3", Added("resnet26"), Store(tmp_path))
    assert row.row.meta.input_size == (224, 224)  # 384 is of fine-tuned networks
    _, rows = added_rows("5", Added("resnet26"), Store(tmp_path))
    assert [(row.row.cells["Architecture"], row.row.meta.method) for row in rows] == [
        ("resnet26", "semantic_fpn"),
        ("resnet26", "upernet"),
    ]


def test_method_size_and_options_are_ones_own(tmp_path):
    network = Added("resnet26", "mask_rcnn", (640, 640), {"output_stride": 16})
    table = add_network(get_paper().table("4"), network)
    (subject,) = [s for s in unmeasured([table], Store(tmp_path)) if s.backbone == "resnet26"]
    assert subject.key == "detection/mask_rcnn/resnet26@640x640?output_stride=16"
    with pytest.raises(UserError, match="no method 'fcos': its methods are retinanet, mask_rcnn"):
        add_network(get_paper().table("4"), Added("resnet26", "fcos"))
    with pytest.raises(UserError, match="has tasks of different input sizes"):
        add_network(get_paper().table("7"), Added("resnet26", input_size=(64, 64)))
    with pytest.raises(UserError, match="3x64x64 is not a size of classification"):
        add_network(get_paper().table("3"), Added("resnet26", input_size=(3, 64, 64)))
    (row,) = add_network(get_paper().table("3"), Added("resnet26", input_size=[64, 96])).rows[-1:]
    assert row.meta.input_size == (64, 96) and "64x96" in row.cells.values()


def test_a_size_of_ones_own_stands_only_where_a_size_stood(tmp_path):
    folder = write_skeleton("mine", tmp_path)
    for file, old, new in (
        ("vocabulary.yaml", "Size]", "Size, Crop, Setting, Epochs]"),
        ("paper.yaml", "networks: []", "networks: [resnet50]"),
        ("table_1_An_example.csv", "Size", "Size,Crop,Setting,Epochs"),
        ("table_1_An_example.csv", "224²", "224²,224,Mask R-CNN,300"),
    ):
        text = (folder / file).read_text()
        (folder / file).write_text(text.replace(old, new))
    table = add_network(Paper("mine", folder).table("1"), Added("resnet26", input_size=(64, 96)))
    shown = [table.rows[-1].cells[head] for head in ("Size", "Crop", "Setting", "Epochs")]
    assert shown == ["64x96", "64x96", "Mask R-CNN", "300"]


@pytest.mark.parametrize("table_id", get_paper().table_ids)
def test_a_table_takes_a_network_or_says_why_not(table_id):
    name = "vit" if table_id == "A14" else "resnet26"
    if table_id in REFUSING:
        with pytest.raises(UserError, match=f"Table {table_id} takes no network of yours"):
            add_network(get_paper().table(table_id), Added(name))
    else:
        table = add_network(get_paper().table(table_id), Added(name))
        assert table.rows[-1].added and table.rows[-1].label == name


def test_a_network_by_the_tag_of_its_weights_is_counted(tmp_path):
    table = add_network(get_paper().table("3"), Added("resnet18.a1_in1k"))
    assert "resnet18.a1_in1k" in {one.backbone for one in unmeasured([table], Store(tmp_path))}
    cells = join(table, Store(tmp_path)).rows[-1].cells
    assert any(cell.command and "resnet18.a1_in1k" in cell.command for cell in cells)


def test_a_backbone_is_no_translator(tmp_path):
    with pytest.raises(UserError, match="unknown translator 'resnet26'"):
        add_network(get_paper().table("A14"), Added("resnet26"))
    _, (row,) = added_rows("7", Added("resnet26"), Store(tmp_path))
    video = [cell for cell in row.cells if cell.column.head.startswith("Video")]
    assert {cell.status for cell in video} == {None}


def test_the_command_adds_the_network_that_its_options_say(tmp_path, monkeypatch):
    options = {"method": "mask_rcnn", "size": "64x96", "options": ["a=1"]}
    expected = Added("moganet_small", "mask_rcnn", (64, 96), {"a": 1})
    assert read_added(["s"], **options) == [expected]
    counted = []
    monkeypatch.setattr(
        "mogabench.measure.sweep.sweep", lambda these, *_, **__: counted.extend(these) or []
    )
    words = "table 4 --add resnet26 --method mask_rcnn --size 64x96 --option output_stride=16"
    done = CliRunner().invoke(app, [*words.split(), "--results", str(tmp_path)])
    assert done.exit_code == 0, done.output
    assert [one.key for one in counted if one.backbone == "resnet26"] == [
        "detection/mask_rcnn/resnet26@64x96?output_stride=16"
    ]


def test_all_tables_name_those_that_cannot_take_it(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr("mogabench.measure.sweep.sweep", lambda *_, **__: [])
    given = ["table", "all", "--add", "resnet26", "--results", str(tmp_path), "--format", "json"]
    done = CliRunner().invoke(app, given)
    assert done.exit_code == 0, done.output
    rows = {entry["table"] for entry in json.loads(done.stdout) if entry["row"] == "resnet26"}
    assert rows <= set(get_paper().table_ids) - REFUSING - {"A14"}
    (line,) = [text for text in caplog.messages if "cannot take" in text]
    assert "1, A2, A3, A4, A5, A6, A7, A14" in line


TRANSLATOR = """
from torch import nn
from mogabench.models.simvp import register_translator

register_translator("plain", lambda place: nn.Conv2d(place.dim, place.dim, 1))
"""


@pytest.mark.slow
def test_a_translator_from_outside_stands_in_table_a14(tmp_path):
    (tmp_path / "plain.py").write_text(TRANSLATOR)
    command = ["table", "A14", "--import", "plain.py", "--add", "plain", "--format", "json", "-q"]
    done = subprocess.run(
        [sys.executable, "-P", "-m", "mogabench", *command, "--results", "results"],
        cwd=tmp_path,
        env=os.environ | {"MOGABENCH_CACHE": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    figures = {
        entry["column"]: entry["measured"]
        for entry in json.loads(done.stdout)
        if entry["row"] == "plain"
    }
    # By hand: 640 channels outside and 512 inside make 8 blocks of 1x1 convolutions, and two more
    # change the width; encoder and decoder are those of every translator.
    blocks = (640 + 1) * 640 + 7 * (512 + 1) * 512 + (640 + 1) * 512 + (512 + 1) * 640
    vit = next(e for e in json.loads(done.stdout) if e["row"] == "ViT" and e["unit"] == "M")
    assert blocks / 1e6 < figures["#P. (M)"] < blocks / 1e6 + 1 < vit["measured"]
