"""The CSV files against the text of the printed tables, both ways and word by word."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path

import pytest

from mogabench.paper import get_paper, printed_value

HEAD_LINES = {"7": 3, "A1": 2, "A2": 2, "A4": 2, "A5": 2} | dict.fromkeys(
    ("A8", "A9", "A10", "A12", "A14", "A15"), 2
)
TURNED = ("A1", "A2", "A3")
# Table A4 heads its corner with the metric of all its cells, and its rows with "Gating branch" down
# the side; Table A6 has no head over its architectures.
CORNER = {"A4": {"Top", "1", "Acc"}}
UNPRINTED = {"A4": {"Gating"}, "A6": {"Architecture"}}
UPRIGHT = tuple(name for name in get_paper().table_ids if name not in (*TURNED, "1"))


def printed_blocks() -> dict[str, list[list[str]]]:
    """The lines of each printed table, heads included, as cells."""
    text = (Path(__file__).parent / "printed_tables.tsv").read_text("utf-8")
    blocks = (block.splitlines() for block in text.strip().split("\n\n"))
    return {head.split()[1]: [line.split("\t") for line in body] for head, *body in blocks}


PRINTED = printed_blocks()


def words(*texts: str) -> list[str]:
    """Numbers, words and marks in order, whatever the typesetting around them."""
    text = " ".join(texts)
    text = re.sub(r" \([A-Z][^()]*, (?:19|20)\d\d[ab]?\)", "", text)
    text = re.sub(r"\\(?:times|text|frac)", " ", text)
    text = re.sub(r"(?<=\d)x(?=\d|\W|$)", " ", text)
    raised = r"[²³¹⁰⁴-⁹₀-₉ₗₘₕ]+"
    plain = re.sub(raised, lambda run: f" {unicodedata.normalize('NFKC', run[0])}", text)
    return re.findall(r"\d+(?:\.\d+)?|[^\W\d_]+|[✓✗†‡§]", plain)


def printed_body(table_id: str) -> list[list[str]]:
    """Body lines, without a cell that the text puts beside or before the row it spans."""
    lines = PRINTED[table_id][HEAD_LINES.get(table_id, 1) :]
    beside = {"A4": 4, "5": 6}.get(table_id)
    return [[cell for cell in line if cell.strip()][-beside:] if beside else line for line in lines]


@pytest.mark.parametrize("table_id", UPRIGHT)
def test_every_row_has_the_printed_words_and_no_others(table_id: str) -> None:
    table = get_paper().table(table_id)
    spanning = "Method" if table_id == "5" else None
    ours = [
        words(*(text for head, text in row.cells.items() if head != spanning)) for row in table.rows
    ]
    assert ours == [words(*line) for line in printed_body(table_id)]


@pytest.mark.parametrize("table_id", UPRIGHT)
def test_every_head_is_printed_and_every_printed_head_is_there(table_id: str) -> None:
    heads = PRINTED[table_id][: HEAD_LINES.get(table_id, 1)]
    printed = {word for line in heads for word in words(*line)}
    ours = set(words(*(column.head for column in get_paper().table(table_id).columns)))
    corner, unprinted = CORNER.get(table_id, set()), UNPRINTED.get(table_id, set())
    assert ours == (printed - corner) | unprinted


def spread(cells: list[str], width: int) -> list[str]:
    """Repeats the cells that span columns; only whole spans occur in these tables."""
    filled = [cell for cell in cells if cell]
    if len(filled) == width:
        return filled
    if len(filled) == 1:
        return filled * width
    left = {3: [1, 1, 6], 2: [4, 4], 5: [4, 1, 1, 1, 1]}[len(filled)]
    return [cell for cell, times in zip(filled, left, strict=True) for _ in range(times)]


def assert_turned(table_id: str, head: str, printed: list[str]) -> None:
    column = [row.cells[head] for row in get_paper().table(table_id).rows]
    assert [words(cell) for cell in column] == [words(cell) for cell in printed], head


def test_configurations_are_the_printed_rows_turned() -> None:
    body = PRINTED["A1"][2:]
    stage, heads = "", {"Architecture"}
    for first, second, third, *rest in body:
        if not third:
            head, cells = first, [second, *rest]
        else:
            stage = first or stage
            head, cells = f"{stage}: {third}", rest
        if second and third:
            assert_turned("A1", f"{stage}: Output Size", [second] * 6)
            heads.add(f"{stage}: Output Size")
        assert_turned("A1", head, spread(cells, 6))
        heads.add(head)
    assert heads == {column.head for column in get_paper().table("A1").columns}
    assert [words(row.label)[1:] for row in get_paper().table("A1").rows] == [
        words(name) for name in PRINTED["A1"][1] if name
    ]


def test_hyperparameters_are_the_printed_rows_turned() -> None:
    heads = ["Configuration"]
    for line in PRINTED["A2"][2:]:
        second = line.index(line[0], 1)
        head = next(
            column.head
            for column in get_paper().table("A2").columns
            if words(column.head) == words(re.sub(r"\\beta", "β", line[0]))
        )
        assert_turned("A2", head, spread(line[1:second], 8))
        assert_turned("A3", head, spread(line[second + 1 :], 8))
        heads.append(head)
    labels = {
        "A2": [
            "DeiT",
            "RSB A2",
            *(f"MogaNet: {size}" for size in ("XT", "T", "S", "B", "L", "XL")),
        ],
        "A3": [
            f"{phase}: {size}"
            for phase in ("IN-21K PT", "IN-1K FT")
            for size in ("S", "B", "L", "XL")
        ],
    }
    for table_id, printed in labels.items():
        assert heads == [column.head for column in get_paper().table(table_id).columns]
        assert printed == [row.label for row in get_paper().table(table_id).rows]


def test_the_paper_has_428_rows_after_table_1() -> None:
    assert (
        sum(len(get_paper().table(name).rows) for name in get_paper().table_ids if name != "1")
        == 428
    )


def test_semantic_fpn_has_the_first_seven_rows_of_table_5() -> None:
    # The extracted text loses which rows the two methods span; the figures give it: UperNet has
    # over 50 M parameters everywhere, Semantic FPN under 35 M.
    for row in get_paper().table("5").rows:
        size = printed_value(row.cells["Param. (M)"])
        assert size is not None
        method = "Semantic FPN (80K)" if size < 40 else "UperNet (160K)"
        assert row.cells["Method"] == method
        assert row.meta.method == ("semantic_fpn" if size < 40 else "upernet")


@pytest.mark.parametrize(
    ("table_id", "index", "head", "text"),
    [  # read off the paper's text by eye, the misprints included
        ("2", 18, "FLOPs (G)", "1.04"),
        ("3", 51, "Top-1 Acc (%)", "87.8"),
        ("5", 25, "mIoU^ss (%)", "54.0"),
        ("7", 4, "Video Prediction: SSIM (%)↑", "94.3"),
        ("A1", 5, "Parameters (M)", "180.8"),
        ("A2", 3, "Stochastic Depth", "0.1"),
        ("A3", 7, "Stochastic Depth", "0.8"),
        ("A8", 0, "RetinaNet 1×: AP_M", "390"),
        ("A13", 29, "FLOPs (G)", "33.1"),
        ("A14", 10, "2000 epochs: SSIM↑", "0.9661"),
        ("A15", 39, "Param. (M)", "189"),
    ],
)
def test_cells_read_by_eye(table_id: str, index: int, head: str, text: str) -> None:
    assert get_paper().table(table_id).rows[index].cells[head] == text
