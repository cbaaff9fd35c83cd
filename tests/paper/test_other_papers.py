"""The papers that come with the project beside MogaNet's, against the text of their sources."""

from collections import Counter
from pathlib import Path

import pytest

from mogabench.paper import get_paper, paper_names
from mogabench.records import open_store
from mogabench.tables.checking import check_table, file_problems
from mogabench.tables.join import join
from mogabench.tables.verdict import Status

PRINTED = Path(__file__).parent / "printed"


def printed_tables(name: str) -> list[list[list[str]]]:
    """The lines of each table of a source, its heads first, as cells."""
    blocks = (PRINTED / f"{name}.tsv").read_text("utf-8").strip().split("\n\n")
    return [[line.split("\t") for line in block.splitlines()[1:]] for block in blocks]


@pytest.fixture
def joined(tmp_path):
    """The tables of a paper beside the packaged records."""
    store = open_store(tmp_path)
    return lambda name: [join(table, store) for table in get_paper(name).tables()]


@pytest.mark.parametrize("name", sorted(file.stem for file in PRINTED.iterdir()))
def test_the_tables_are_those_of_the_source_cell_by_cell(name):
    tables = get_paper(name).tables()
    ours = [
        [
            [column.head for column in table.columns],
            *(list(row.cells.values()) for row in table.rows),
        ]
        for table in tables
    ]
    assert ours == printed_tables(name)


@pytest.mark.parametrize("name", paper_names())
def test_every_paper_is_sound_and_names_its_source(name):
    paper = get_paper(name)
    assert file_problems(paper) == [] and paper.problems == {} and paper.about.source
    assert all(check_table(table) for table in paper.tables())


def test_rows_of_convnext_are_the_networks_that_their_names_say():
    sizes = {"T": "tiny", "S": "small", "B": "base", "L": "large", "XL": "xlarge"}
    for table in get_paper("convnext").tables():
        for row in table.rows:
            assert row.meta.backbone == f"convnext_{sizes[row.label.removeprefix('ConvNeXt-')]}"
            assert "x".join(map(str, row.meta.input_size)) == row.cells["resolution"]


def test_convnext_is_counted_as_printed_but_for_two_misprints(joined):
    tables = joined("convnext")
    found = Counter(
        cell.status
        for table in tables
        for row in table.rows
        for cell in row.cells
        if cell.column.metric in ("params", "operations")
    )
    assert found == {Status.ROUNDS: 29, Status.WITHIN_TOLERANCE: 1, Status.KNOWN_REASON: 2}
    # 28 589 128 parameters, as timm and torchvision state them
    assert tables[0].rows[0].cells[3].measured == pytest.approx(28.589128)


README_OF_RDNET = """\
detection/README.md, Mask-RCNN: RDNet-T 43M 278G 47.5 68.5 52.1 42.4 65.6 45.7
detection/README.md, Cascade Mask-RCNN: RDNet-T 81M 757G 51.6 70.5 56.0 44.6 67.9 48.3
detection/README.md, Cascade Mask-RCNN: RDNet-S 108M 832G 52.3 70.8 56.6 45.4 68.5 49.3
detection/README.md, Cascade Mask-RCNN: RDNet-B 144M 971G 52.9 71.5 57.2 46.0 69.1 50.0
segmentation/README.md: RDNet-T 47.6 48.6
segmentation/README.md: RDNet-S 48.7 49.8
segmentation/README.md: RDNet-B 49.6 50.5"""


def test_rdnets_own_rows_are_those_of_its_repository_as_well():
    upernet, mask_rcnn, cascade = get_paper("rdnet").tables()
    of = {"Mask-RCNN": mask_rcnn, "Cascade Mask-RCNN": cascade}
    for line in README_OF_RDNET.splitlines():
        where, _, figures = line.partition(": ")
        label, *printed = figures.split()
        table = of.get(where.partition(", ")[2], upernet)
        [cells] = [list(row.cells.values()) for row in table.rows if row.label == label]
        assert cells[-len(printed) :] == printed, line


def test_rdnets_neighbours_print_what_they_do_in_moganets_table_of_cascade():
    theirs = {row.meta.backbone: row.cells for row in get_paper().table("A10").rows}
    for row in get_paper("rdnet").table("F").rows:
        if row.meta.backbone in theirs:
            params, operations, *aps = list(theirs[row.meta.backbone].values())[2:]
            figures = list(row.cells.values())[1:]
            assert figures[:2] == [f"{params}M", f"{operations}G"]
            assert all(own in ("-", other) for own, other in zip(figures[2:], aps, strict=True))


def test_rdnet_is_counted_as_printed_but_for_parameters_of_deit(joined):
    tables = joined("rdnet")
    costs = {
        (table.paper.id, row.row.label, cell.column.metric): cell
        for table in tables
        for row in table.rows
        for cell in row.cells
        if cell.column.metric in ("params", "operations")
    }
    absent = {label for (_, label, _), cell in costs.items() if cell.measured is None}
    assert absent == {f"{family}-{size}" for family in ("RevCol", "NAT") for size in "TSB"}
    found = Counter(cell.status for cell in costs.values() if cell.measured is not None)
    assert found == {Status.ROUNDS: 41, Status.WITHIN_TOLERANCE: 8, Status.UNEXPLAINED: 1}
    assert costs["5", "DeiT III-B", "params"].status == Status.UNEXPLAINED
    assert costs["6", "RDNet-T", "operations"].convention == "paper"


def test_openstl_counts_its_translators(joined):
    costs = {
        (row.row.label, cell.column.metric): cell
        for row in joined("openstl")[1].rows
        for cell in row.cells
        if cell.column.metric in ("params", "operations")
    }
    by_status = Counter(cell.status for cell in costs.values())
    assert by_status[Status.ROUNDS] + by_status[Status.WITHIN_TOLERANCE] == 24
    assert costs["ConvMixer", "operations"].status == Status.KNOWN_REASON
    assert costs["ViT", "operations"].status is None  # 16.9.G, as printed


def test_a_quality_on_other_data_is_never_taken_from_the_tasks_own(joined):
    moving_mnist, fashion = joined("openstl")
    for table, has_command in ((moving_mnist, True), (fashion, False)):
        commands = {
            bool(cell.command)
            for row in table.rows
            for cell in row.cells
            if cell.column.metric == "mse"
        }
        assert commands == {has_command}


def test_a_reason_that_does_not_account_for_the_number_proves_nothing(joined):
    reasons = [
        erratum
        for name in paper_names()
        for table in get_paper(name).table_ids
        for erratum in get_paper(name).errata(table).values()
        if "not known" in erratum.reason
    ]
    assert len(reasons) > 10
    assert not [one for one in reasons if one.should_be or one.printed_is]
    unexplained = [
        (row.row.label, cell.printed)
        for row in joined("since_2024")[0].rows
        for cell in row.cells
        if cell.status == Status.UNEXPLAINED
    ]
    assert unexplained == [("StarNet-S4", "1075M"), ("iFormer-L", "2.63G")]
