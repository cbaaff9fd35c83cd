"""What the tables say about their rows: subjects, metrics, recipes, errata."""

from __future__ import annotations

import subprocess
import sys
from collections import defaultdict
from dataclasses import replace
from importlib.resources import files
from itertools import combinations

import pytest

from mogabench.catalogue import backbones
from mogabench.errors import UserError
from mogabench.paper import (
    Meta,
    cell_meta,
    cell_subject,
    decimals,
    get_paper,
    printed_value,
)
from mogabench.tasks import tasks

PAPER = get_paper()


def cells():
    """Every cell of every table with its subject, which is None for a descriptive one."""
    for table_id in PAPER.table_ids:
        paper = PAPER.table(table_id)
        for row in paper.rows:
            for column in paper.columns:
                yield table_id, row, column, cell_subject(row, column)


CELLS = list(cells())


ERRATA = [known for name in PAPER.table_ids for known in PAPER.errata(name).values()]


def column(table_id: str, head: str):
    return next(column for column in PAPER.table(table_id).columns if column.head == head)


def test_tables_come_in_the_papers_order() -> None:
    assert PAPER.table_ids == (*"1234567", *(f"A{number}" for number in range(1, 16)))
    assert PAPER.table("a15") is PAPER.table("A15")
    assert PAPER.table("A9").title == "COCO Mask R-CNN"
    with pytest.raises(UserError, match="unknown table 'A16'; did you mean"):
        PAPER.table("A16")


@pytest.mark.parametrize(
    ("table_id", "index", "head", "key", "recipe"),
    [
        (
            "2",
            20,
            "Top-1 Acc (%)",
            "classification/classifier/moganet_tiny@256x256",
            "in1k_refined",
        ),
        ("3", 20, "FLOPs (G)", "classification/classifier/efficientnet_b6@528x528", ""),
        ("4", 13, "AP^m (%)", "detection/mask_rcnn/moganet_small@800x1280", "mask_rcnn_1x"),
        ("5", 25, "Param. (M)", "segmentation/upernet/moganet_xlarge@640x2560", "upernet_160k_640"),
        ("7", 3, "3D Hand: FLOPs (G)", "mesh/expose_hand/hornet_tiny@224x224", "expose_hand_100e"),
        ("7", 3, "Video Prediction: MSE↓", "video/simvp/hornet@10x1x64x64", "mmnist_200e"),
        ("A12", 0, "Face: #P. (M)", "mesh/expose_face/mobilenetv2_100@256x256", "expose_face_100e"),
        (
            "A13",
            39,
            "AR (%)",
            "pose/simple_baseline/moganet_base@384x288",
            "simple_baseline_384x288",
        ),
        ("A14", 6, "2000 epochs: MAE↓", "video/simvp/incepu@10x1x64x64", "mmnist_2000e"),
        # EfficientNet-B3 is tested at 288² after 100 epochs and at 300² after 300.
        (
            "A15",
            11,
            "100-epoch: Acc (%)",
            "classification/classifier/efficientnet_b3@288x288",
            "rsb_a3_100e",
        ),
        ("A15", 11, "300-epoch: Acc (%)", "classification/classifier/efficientnet_b3@300x300", ""),
        (
            "A6",
            3,
            "Norm (after) LN: Norm (within) BN",
            'classification/classifier/moganet_small@224x224?norm_after="ln"&norm_within="bn"',
            "in1k_300e",
        ),
        (
            "A6",
            2,
            "Norm (after) BN: Norm (within) BN",
            "classification/classifier/moganet_small@224x224",
            "in1k_300e",
        ),
    ],
)
def test_a_cell_asks_for(table_id: str, index: int, head: str, key: str, recipe: str) -> None:
    row = PAPER.table(table_id).rows[index]
    subject = cell_subject(row, column(table_id, head))
    assert subject is not None
    assert subject.key == key
    assert cell_meta(row, column(table_id, head)).recipe == recipe


def test_activations_of_both_branches_reach_the_subject() -> None:
    subject = cell_subject(PAPER.table("A4").rows[1], column("A4", "Context branch: GELU"))
    assert subject is not None
    assert dict(subject.options)["gate_act"] == "sigmoid"
    assert dict(subject.options)["value_act"] == "gelu"


def test_a_number_in_a_result_table_is_never_merely_descriptive() -> None:
    settings = {"Warmup epochs", "Added Top-1 Acc (%)"}
    found = {
        column.head
        for table_id, row, column, subject in CELLS
        if table_id not in ("A1", "A2", "A3") and subject is None
        if printed_value(row.cells[column.head]) is not None
    }
    assert found == settings


def test_a_measurable_cell_holds_a_number_or_a_dash() -> None:
    held = {row.cells[column.head] for *_, row, column, subject in CELLS if subject is not None}
    assert {text for text in held if printed_value(text) is None} == {"-"}


def test_every_moganet_row_names_its_backbone() -> None:
    sizes = {"XT": "xtiny", "T": "tiny", "S": "small", "B": "base", "L": "large", "XL": "xlarge"}
    rows = {(table_id, row.index): row for table_id, row, *_ in CELLS if "MogaNet-" in row.label}
    for row in rows.values():
        size = row.label.removeprefix("MogaNet-").removesuffix(" (EMA)").rstrip("‡§")
        assert row.meta.backbone == f"moganet_{sizes[size]}", row.label
    assert len(rows) == 72  # as many lines of printed_tables.tsv as have one of the six names


def test_every_backbone_exists() -> None:
    named = {(subject.task, subject.backbone) for *_, subject in CELLS if subject is not None}
    missing = {
        backbone
        for task, backbone in named
        if backbone not in (tasks()[task].backbones() if task in tasks() else backbones())
    }
    assert missing == set()


def test_meta_uses_known_words() -> None:
    for table_id, row, _, subject in CELLS:
        known = {"none", "in1k", "in21k"}
        assert subject is None or row.meta.pretraining in known, (table_id, row.label)


def test_every_metric_is_declared_by_the_task_of_its_cells() -> None:
    costs = {"params", "operations", "fps"}
    asked = {(subject.task, column.metric) for *_, column, subject in CELLS if subject is not None}
    declared = {(task.name, metric.name) for task in tasks().values() for metric in task.metrics}
    assert {pair for pair in asked if pair[1] not in costs} <= declared
    assert len(declared & asked) >= 18


def test_classification_recipes_exist() -> None:
    folder = files("mogabench.recipes") / "classification"
    there = {path.name.removesuffix(".yaml") for path in folder.iterdir()}
    used = {
        cell_meta(row, column).recipe
        for _, row, column, subject in CELLS
        if subject
        if subject.task == "classification"
    }
    assert used - {""} <= there


def test_what_two_tables_print_differently_is_in_the_errata() -> None:
    asked = defaultdict(list)
    for table_id, row, column, subject in CELLS:
        value = printed_value(row.cells[column.head])
        recipe = cell_meta(row, column).recipe
        if subject is None or value is None:
            continue
        size = subject.input_size if column.metric != "params" else ()
        training = (
            ()
            if column.metric in ("params", "operations")
            else (recipe, str(cell_meta(row, column).settings), row.meta.pretraining)
        )
        question = (subject.model_copy(update={"input_size": size}).key, column.metric, *training)
        digits = decimals(row.cells[column.head])
        if column.metric == "ssim" and column.unit == "%":
            value, digits = value / 100, digits + 2
        asked[question].append(
            (value, digits, PAPER.table(table_id).erratum(row, column), (table_id, row.label))
        )
    contradictions = [
        (one, other)
        for answers in asked.values()
        for one, other in combinations(answers, 2)
        if abs(one[0] - other[0]) > 0.5001 * 10 ** -min(one[1], other[1])
    ]
    assert [pair for pair in contradictions if not (pair[0][2] or pair[1][2])] == []
    assert len(contradictions) > 30


def test_table_6_prints_ap75_as_ar() -> None:
    full = {
        (row.meta.backbone, row.meta.input_size): row.cells["AP^75 (%)"]
        for row in PAPER.table("A13").rows
    }
    for row in PAPER.table("6").rows:
        assert row.cells["AR (%)"] == full[row.meta.backbone, row.meta.input_size]
        assert PAPER.table("6").erratum(row, column("6", "AR (%)"))


def test_pose_operations_of_convolutions_grow_with_the_area_but_for_a_misprint() -> None:
    operations = {
        (row.meta.backbone, row.meta.input_size): row.cells["FLOPs (G)"]
        for row in PAPER.table("A13").rows
    }

    def could_be(small: str, large: str) -> bool:
        """Whether figures that round to these, or are 1 % off, could be 2.25 times each other."""
        least = (float(large) - 0.05) / (float(small) + 0.05)
        most = (float(large) + 0.05) / (float(small) - 0.05)
        return 0.99 * least <= 2.25 <= 1.01 * most

    others = set()
    for row in PAPER.table("A13").rows:
        small = operations.get((row.meta.backbone, (256, 192)))
        if row.meta.input_size == (384, 288) and small is not None:
            known = PAPER.table("A13").erratum(row, column("A13", "FLOPs (G)"))
            if not could_be(small, row.cells["FLOPs (G)"]):
                others.add(row.label)
            if row.label == "ConvNeXt-T":
                assert known is not None and known.should_be is not None
                assert could_be(small, known.should_be)
    # Attention over everything grows faster, padded windows grow in steps.
    assert others == {"ConvNeXt-T", "Uniformer-S", "Uniformer-B", "Swin-L"}


@pytest.mark.parametrize(
    ("table_id", "index", "head", "should_be"),
    [
        ("3", 34, "Architecture", "FAN-L-Hybrid"),
        ("3", 41, "Param. (M)", "82"),
        ("4", 17, "Architecture", "HorNet-S 7×7"),
        ("A8", 0, "RetinaNet 1×: AP_M", "39.0"),
        ("A15", 26, "Architecture", "Swin-B"),
        ("A15", 39, "Param. (M)", "198"),
    ],
)
def test_known_misprints(table_id: str, index: int, head: str, should_be: str) -> None:
    found = PAPER.table(table_id).erratum(PAPER.table(table_id).rows[index], column(table_id, head))
    assert found is not None
    assert found.should_be == should_be


def test_an_erratum_is_a_sentence_and_corrects_what_is_printed() -> None:
    for entry in ERRATA:
        printed = PAPER.table(entry.table).rows[entry.row].cells[entry.column]
        assert entry.reason.endswith("."), entry
        assert entry.should_be != printed, entry
    assert any("512×2048" in line for line in PAPER.notes("5").remarks)
    assert PAPER.notes("A14").remarks == ()


def test_a_reason_from_outside_names_its_source() -> None:
    for entry in ERRATA:
        if any(word in entry.reason for word in ("repository", "'s paper", "released config")):
            assert entry.source, entry


def test_rows_of_other_authors_carry_no_recipe_of_ours() -> None:
    """But in Tables 7 and A7 and the right half of A15, which MogaNet's authors trained."""
    for table_id, row, _, subject in CELLS:
        if subject and table_id in ("2", "3", "4", "5", "6", "A8", "A9", "A10", "A11", "A13"):
            assert bool(row.meta.recipe) == row.meta.backbone.startswith("moganet_"), row


def test_operations_are_counted_as_their_source_counts() -> None:
    found = {
        PAPER.counting_source(cell_meta(row, column))
        for *_, row, column, subject in CELLS
        if subject and column.metric == "operations"
    }
    assert found == set(PAPER.counting_sources)
    rows = {(s.source, s.convention) for s in found}
    assert ("MogaNet's authors", "paper") in rows
    assert ("OpenSTL", "fvcore") in rows
    swin = Meta(task="detection", backbone="swin_tiny_patch4_window7_224")
    by_method = {
        method: PAPER.counting_source(replace(swin, method=method)).convention
        for method in ("mask_rcnn", "cascade_mask_rcnn")
    }
    # Swin's repository prints 267 G for Mask R-CNN; the tables have 264 G, without attention.
    assert by_method == {"mask_rcnn": "paper", "cascade_mask_rcnn": "fvcore"}


def test_reading_every_table_imports_neither_torch_nor_pandas() -> None:
    code = (
        "import sys\n"
        "from mogabench.paper import get_paper\n"
        "tables = get_paper().tables()\n"
        "assert len(tables) == 22\n"
        "assert not {'torch', 'timm', 'pandas', 'numpy', 'pydantic'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
