"""Papers beside MogaNet's, through whole commands."""

import json
import re
import shlex
from collections import Counter
from pathlib import Path

import pytest

from mogabench.cli.subjects import subjects_to_time
from mogabench.paper import get_paper
from mogabench.records import Data, Kind, Provenance, Quantity, Record, Store
from mogabench.subject import Subject
from mogabench.tables import row

HEADS = "task,method,backbone,input_size,pretraining,Architecture,Size,Params,FLOPs,Top-1"
ROWS = [
    "classification,classifier,{},224x224,none,ResNet-18,224²,{},1.8G,69.8%",
    "classification,classifier,resnet_18,224x224,none,Typed wrong,224²,11.7M,1.8G,-",
    ",,,,,Without a network,224²,11.7M,1.8G,69.8%",
]


@pytest.fixture
def mine(mogabench):
    """A paper of one's own in the current folder, with a table C1."""
    mogabench("paper", "new", "mine")

    def write(*rows, heads=HEADS):
        Path("mine/table_C1_My_table.csv").write_text("\n".join([heads, *rows, ""]))
        return "--papers", ".", "--paper", "mine"

    return write


def cells(out):
    return {(cell["row"], cell["column"]): cell for cell in json.loads(out)}


def test_convnexts_table_is_counted_as_printed(mogabench):
    out, _ = mogabench("table", "--paper", "convnext", "1", "--format", "json")
    found = cells(out)
    assert Counter(cell["status"] for cell in json.loads(out)) == {
        **{"rounds": 10, "within_tolerance": 1, "known_reason": 1},
        "not_measured": 6,
    }
    params = found["ConvNeXt-T", "#params"]
    assert (params["printed"], params["paper"], params["unit"]) == ("28M", 28.0, "M")
    assert params["account"] == "cut off: 28.59"
    assert found["ConvNeXt-T", "FLOPs"]["counted_by"] == "ConvNeXt's authors"
    out, _ = mogabench("table", "--paper", "convnext", "1")
    assert out.startswith("Table 1 of ConvNeXt. ImageNet-1K trained models\n")
    assert "28.6M" in out and "101.0G" in out and "100.98G" in out


def test_every_form_of_a_table_names_its_paper(mogabench):
    says = {
        "markdown": "## Table 2 of ConvNeXt. ImageNet-22K trained models",
        "latex": "(Table 2 of ConvNeXt, CVPR 2022)",
        "html": "A ConvNet for the 2020s</a>",
    }
    for name, text in says.items():
        out, _ = mogabench("table", "--paper", "convnext", "2", "--format", name)
        assert text in out and "MogaNet, ICLR" not in out


def test_a_run_shows_the_figures_of_the_paper_that_is_named(mogabench, monkeypatch):
    monkeypatch.setattr(row, "time_briefly", lambda *_: None)
    measure = ("run", "classification", "--backbone", "rdnet_tiny")
    out, _ = mogabench(*measure, "--paper", "since_2024")
    assert "Table 1 of Since 2024, RDNet-T" in out and "82.814" in out
    assert "Table" not in mogabench(*measure)[0]  # MogaNet's paper does not have it
    assert "unknown paper 'since'" in mogabench(*measure, "--paper", "since", status=2)[1]


def test_a_figure_of_weights_of_unknown_training_is_shown_as_left_out(mogabench):
    subject = Subject(
        task="classification",
        method="classifier",
        backbone="convnext_tiny",
        input_size=(224, 224),
    )
    data = Data(name="imagenet-1k", split="val", samples=50_000, digest="0" * 64)
    record = Record(
        subject=subject,
        kind=Kind.QUALITY,
        values={"top1": Quantity(value=82.9, unit="%")},
        provenance=Provenance(command="test", device="cpu", data=data),
    )
    Store(Path("out")).append(record)
    of_paper = ("--paper", "convnext", "--results", "out")
    out, _ = mogabench("explain", *of_paper, "1:ConvNeXt-T:acc@1")
    assert "measured    no\n" in out and "82.9 % is not shown" in out
    assert "--weights FILE --pretraining none" in out
    for name in ("1", "2"):
        out, _ = mogabench("table", *of_paper, name)
        assert out.count("82.9 % is not shown") == 1 and "reproduced" not in out


def test_every_entry_names_its_paper(mogabench):
    for name in ("convnext", "moganet"):
        out, _ = mogabench("table", "--paper", name, "2", "--format", "json")
        assert {cell["paper_name"] for cell in json.loads(out)} == {name}


def test_lists_are_of_the_paper_that_is_named(mogabench):
    papers = json.loads(mogabench("list", "papers", "-f", "json")[0])
    sources = {paper["paper"]: paper["source"] for paper in papers}
    assert next(iter(sources)) == "moganet" and "openstl" in sources
    assert "README.md of facebookresearch/ConvNeXt" in sources["convnext"]
    tables = json.loads(mogabench("list", "tables", "--paper", "openstl", "-f", "json")[0])
    assert [table["rows"] for table in tables] == ["26", "13"]
    models = json.loads(mogabench("list", "models", "--paper", "convnext", "-f", "json")[0])
    assert {"backbone": "convnext_xlarge", "tables": "2"} in models and len(models) == 5
    given = ("--paper", "since_2024", "--task", "classification", "-f", "json")
    found = {one["backbone"]: one for one in json.loads(mogabench("list", "models", *given)[0])}
    # As printed: 5.0 by MogaNet's authors, 425 M by fvcore; Hiera's paper has 5 with attention.
    for name, operations, convention in (
        ("moganet_small", "4.97", "paper"),
        ("starnet_s1", "0.42", "fvcore"),
        ("hiera_tiny_224", "4.90", "matmul"),
    ):
        assert (found[name]["FLOPs (G)"], found[name]["convention"]) == (operations, convention)


def test_explain_says_why_nothing_measures_a_cell(mogabench):
    out, _ = mogabench("explain", "--paper", "rdnet", "5:RevCol-T:Param")
    assert "cell        Table 5 of RDNet, RevCol-T, Param" in out
    assert "no command  there is no backbone 'revcol_tiny' here" in out
    out, _ = mogabench("explain", "--paper", "openstl", "2:VAN:MSE")
    assert "video is measured on moving-mnist, not on OpenSTL's fmnist_test_seq.npy" in out
    out, _ = mogabench("explain", "--paper", "convnext", "2:ConvNeXt-B #2:FLOPs")
    assert "printed     47.0G\n" in out and "known reason" in out


def test_a_report_of_another_paper_leaves_the_first_ones_alone(mogabench):
    mogabench("report", "--paper", "convnext", "--results", "out", "-q")
    written = {str(path.relative_to("out")) for path in Path("out").rglob("*") if path.is_file()}
    names = ("README.md", "index.html", "table_1.md", "table_2.md", "unexplained.md")
    assert written == {f"papers/convnext/{name}" for name in names}
    index = Path("out/papers/convnext/README.md").read_text()
    assert index.startswith("# ConvNeXt: results\n") and "at commit 048efce" in index
    page = Path("out/papers/convnext/index.html").read_text()
    assert "The tables of ConvNeXt, measured again" in page
    assert "MogaNet" not in page.partition("<nav")[0]


def test_the_skeleton_is_accepted_and_counted(mogabench):
    out, _ = mogabench("paper", "new", "mine")
    assert "mogabench table --papers . --paper mine all" in out
    out, err = mogabench("paper", "check", "mine")
    assert "counted            Params (1), FLOPs (1)\n" in out and err == ""
    out, _ = mogabench("table", "--papers", ".", "--paper", "mine", "all", "--format", "json")
    assert cells(out)["ResNet-50", "Params"]["status"] == "rounds"
    before = {path: path.read_bytes() for path in Path("mine").iterdir()}
    for name, says in (
        ("mine", "mine exists; give another name"),
        ("convnext", "there is already a paper called 'convnext'"),
        ("../mine2", "cannot be the name of a paper"),
    ):
        assert says in mogabench("paper", "new", name, status=2)[1]
    assert before == {path: path.read_bytes() for path in Path("mine").iterdir()}


def test_check_says_what_is_measured_and_why_the_rest_is_not(mogabench, mine):
    mine(ROWS[0].format("resnet18", "11.7"), *ROWS[1:])
    out, _ = mogabench("paper", "check", "mine")
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert "table C1. My table: 3 rows" in lines
    assert "counted FLOPs (1)" in lines
    assert "needs imagenet-1k Top-1 (1)" in lines
    unit = "'11.7' has no unit of params (valid: K, M, G, B, T)"
    assert f"not measured Params of ResNet-18: {unit}" in lines
    wrong = "not measured Params, FLOPs of Typed wrong: unknown backbone 'resnet_18'; did you mean"
    assert any(line.startswith(wrong) for line in lines)
    none = "not measured Params, FLOPs, Top-1 of Without a network: the row names no network"
    assert none in lines


def test_check_promises_no_figure_that_nothing_measures(mogabench, mine, monkeypatch):
    """Nor a timing by a command that would time another method's network."""
    row = "{},{},{},224x224,{},11.7M"
    mine(
        row.format("classification", "classifier", "resnet18", "A"),
        row.format("classification", "classifier", "resnet_18", "B"),
        row.format("clasification", "classifier", "resnet18", "C"),
        row.format("detection", "mask_rcnn", "resnet18", "D"),
        ",,,,A heading,",
        heads="task,method,backbone,input_size,Architecture,Params",
    )
    with Path("mine/vocabulary.yaml").open("a") as vocabulary:
        vocabulary.write("measured: {Memory (MB): {metric: memory, unit: MB, device: cpu}}\n")
    out, _ = mogabench("paper", "check", "mine")
    lines = [" ".join(line.split()) for line in out.splitlines()]
    one_image = "--batch-size 1 --threads 1"  # else the column does not show the timing
    for task in ("", " --task detection"):
        command = f"mogabench profile{task} {one_image} --papers . --paper mine"
        assert f"timed Memory (MB) (1), by '{command}'" in lines
    reasons = "\n".join(line for line in lines if line.startswith("not measured"))
    assert "Params, Memory (MB) of B: unknown backbone 'resnet_18'" in reasons
    assert "Params, Memory (MB) of C: unknown task 'clasification'" in reasons
    assert "Memory (MB) of A heading: the row names no network" in reasons
    out, _ = mogabench("explain", "--papers", ".", "--paper", "mine", "C1:C:Memory")
    assert "no command  unknown task 'clasification'" in out
    of_paper = subjects_to_time("detection", [], None, paper="mine", papers=Path())
    assert [one.method for one in of_paper] == ["mask_rcnn"]
    monkeypatch.chdir("mine")
    inside = mogabench("paper", "check", ".")[0]
    assert f"{one_image} --papers {Path.cwd().parent} --paper mine'" in inside


def test_check_says_what_a_network_refuses_and_what_may_be_a_mistake(mogabench, mine):
    row = "classifier,resnet18,224x224,{},{},11.7M"
    heads = "method,backbone,input_size,options,Size,Params"
    refused = "classification," + row.format('"{""foo"": 1}"', "Refused")
    taken = "classification," + row.format('"{""stem_width"": 32}"', "Taken")
    mine(refused, taken, taken, heads=f"task,{heads}")
    lines = [" ".join(line.split()) for line in mogabench("paper", "check", "mine")[0].splitlines()]
    assert "rows named by 'Size', the first column, as there is no 'Architecture'" in lines
    assert "duplicate rows Taken" in lines
    assert "counted Params (2)" in lines
    start = "not measured Params of Refused: resnet18 cannot be built with "
    assert any(line.startswith(start) for line in lines)
    mine(row.format("", "R"), heads=heads)
    out = mogabench("paper", "check", "mine")[0]
    assert "Params of R: the row names no task: a column 'task' must have it" in out


def test_a_table_of_ones_own_is_counted_and_says_what_it_cannot_read(mogabench, mine):
    options = mine(ROWS[0].format("resnet18", "11.7"), *ROWS[1:])
    out, _ = mogabench("table", *options, "c1", "--format", "json")
    found = cells(out)
    # 11 689 512 parameters and 1.81 G multiply-accumulates, as torchvision states them
    assert found["ResNet-18", "FLOPs"]["status"] == "rounds"
    assert ("ResNet-18", "Params") not in found
    out, _ = mogabench("table", *options, "C1")
    assert "Figures that cannot be compared: 4, such as '11.7'" in out
    assert "Rows without an implementation yet: 1." in out


def test_a_network_is_added_with_the_units_of_the_row_that_it_stands_beside(mogabench, mine):
    about = Path("mine/paper.yaml")
    options = mine(ROWS[0].format("resnet18", "11.7M"))
    refused = mogabench("table", *options, "C1", "--add", "resnet34", status=2)[1]
    assert "paper.yaml calls none the paper's own" in refused
    about.write_text(about.read_text().replace("networks: []", "networks: resnet18"))
    out, _ = mogabench("table", *options, "C1", "--add", "resnet34")
    line = next(line for line in out.splitlines() if line.startswith("resnet34"))
    assert "21.80M" in line and "3.66G" in line  # torchvision: 21 797 672 and 3.66 G


def test_a_malformed_table_breaks_nothing_else(mogabench, mine):
    options = mine(ROWS[0].format("resnet18", "11.7M") + ",1")
    place = "mine/table_C1_My_table.csv, line 2, column 11: the line has 11 cells"
    out, err = mogabench("table", *options, "all", "--format", "json", status=1)
    assert err.count(place) == 1 and {cell["table"] for cell in json.loads(out)} == {"1"}
    _, err = mogabench("table", *options, "C1", status=2)
    assert place in err and len(err.splitlines()) == 1
    assert place in mogabench("paper", "check", "mine", status=2)[1]
    assert mogabench("list", "tables", *options, "-f", "json")[0].count('"rows"') == 1
    assert mogabench("table", *options, "1")[1].count(place) == 0
    listed = json.loads(mogabench("list", "papers", "--papers", ".", "-f", "json")[0])
    assert listed[-1]["paper"] == "mine" and listed[-1]["tables"] == "1, C1"


def test_a_wrong_name_of_a_tables_file_breaks_nothing_else(mogabench, mine):
    options = mine(ROWS[0].format("resnet18", "11.7M"))
    content = Path("mine/table_C1_My_table.csv").read_text()
    for name in ("table_c1_Other.csv", "table_2.csv", "Table3.csv", "table 4 x.csv"):
        Path("mine", name).write_text(content)
    twice = "mine: table C1 has more files than one: table_C1_My_table.csv and table_c1_Other.csv"
    untitled = "mine/table_2.csv: must be called table_<ID>_<title>.csv"
    stray = ("Table3.csv", "table 4 x.csv")
    says = [
        f"mine/{name}: is not a table's name, which is table_<ID>_<title>.csv" for name in stray
    ]
    out, err = mogabench("paper", "check", "mine", status=2)
    assert err.splitlines() == [f"mogabench: {line}" for line in (*says, untitled, twice)]
    assert "An example: 1 rows" in out
    out, err = mogabench("table", *options, "all", "--format", "json", status=1)
    assert err.splitlines() == [f"mogabench: {line}" for line in (untitled, twice)]
    assert {cell["table"] for cell in json.loads(out)} == {"1"}
    listed, err = mogabench("list", "papers", "--papers", ".", "-f", "json")
    assert err == "" and json.loads(listed)[-1]["tables"] == "1, 2, C1"
    assert twice in mogabench("table", *options, "c1", status=2)[1]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("- Params", ": must hold a mapping"),
        ("", ": is empty; it must say what the heads of the tables mean"),
        (None, ": is missing; it must say what the heads of the tables mean"),
    ],
)
def test_a_malformed_vocabulary_is_one_line_for_all_tables(mogabench, mine, content, says):
    options = mine(ROWS[0].format("resnet18", "11.7M"))
    path = Path("mine/vocabulary.yaml")
    path.unlink() if content is None else path.write_text(content)
    line = f"mogabench: mine/vocabulary.yaml{says}\n"
    assert mogabench("paper", "check", "mine", status=2)[1] == line
    assert mogabench("table", *options, "C1", status=2)[1] == line
    Path("t.csv").write_text("of an earlier day")
    for output in (["--format", "html"], ["-o", "t.csv"]):
        out, err = mogabench("table", *options, "all", *output, status=2)
        assert (out, err) == ("", f"{line}mogabench: mine has no table that can be read\n")
    assert Path("t.csv").read_text() == "of an earlier day"


@pytest.mark.parametrize("name", ["paper.yaml", "counting.yaml", "errata.yaml", "figures.yaml"])
def test_check_ends_with_one_status_whatever_file_is_malformed(mogabench, mine, name):
    mine(ROWS[0].format("resnet18", "11.7M"))
    Path("mine", name).write_text("3")
    err = mogabench("paper", "check", "mine", status=2)[1]
    assert len(err.splitlines()) == 1 and f"mine/{name}: must hold a" in err


def test_check_refuses_the_name_of_another_paper(mogabench, mine):
    mine(ROWS[0].format("resnet18", "11.7M"))
    Path("mine").rename("convnext")
    err = mogabench("paper", "check", "convnext", status=2)[1]
    assert err == "mogabench: there is another paper 'convnext'; rename the folder\n"
    assert mogabench("paper", "check", get_paper("convnext").folder)[1] == ""


def test_operations_that_nobody_counted_are_not_compared(mogabench, mine):
    options = mine(ROWS[0].format("resnet18", "11.7M"), *ROWS[1:])
    Path("mine/counting.yaml").write_text("[]")
    out, _ = mogabench("table", *options, "C1", "--format", "json")
    assert cells(out)["ResNet-18", "FLOPs"]["status"] == "not_measured"
    assert cells(out)["ResNet-18", "Params"]["status"] == "rounds"
    out, _ = mogabench("explain", *options, "C1:ResNet-18:FLOPs")
    assert "counting.yaml does not say who counted it" in out
    page, _ = mogabench("table", *options, "C1", "--format", "html")
    answer = re.sub(r"<[^>]+>", "", page.partition('class="answer">')[2].partition("</p>")[0])
    # one accuracy; operations of ResNet-18, and what is printed of a network that is not here
    assert answer.endswith("1 more wait for data. 3 cannot be measured here.")
    assert "Cells by data set: 1 imagenet-1k." in page


def test_a_report_holds_any_name_without_harm(mogabench, mine):
    options = mine(
        ROWS[0].format("resnet18", "11.7M").replace("ResNet-18", "Res\x1b[31mNet\x9b"),
        ROWS[0].format("resnet18", "11.9M\x1b 3"),
        ROWS[0].format("resnet18", "11.9M"),
    )
    Path("mine/table_C1_My_table.csv").rename("mine/table_C 1_A|table.csv")
    mogabench("report", *options, "--results", "out", "-q")
    written = {path.name: path.read_text() for path in Path("out/papers/mine").iterdir()}
    for name, text in written.items():
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", text), name
    assert r"| [C 1](table_C%201.md) | A\|table |" in written["README.md"]
    page = written["index.html"]
    assert '<th scope="row">Res[31mNet</th>' in page and "&#34;row&#34;" not in page
    assert "printed 11.7M, measured 11.69M (" in page and "1.81G (" in page


@pytest.mark.parametrize("name", ["mine", "convnext"])
def test_a_suggested_command_names_the_paper(mogabench, mine, name):
    mine(ROWS[0].format("resnet18", "11.7M"))
    where = ["--papers", ".", "--paper", name] if name == "mine" else ["--paper", name]
    command = ["mogabench", "table", "1", *where]
    shown, _ = mogabench("show", *where, "1")
    assert shlex.split(shown.splitlines()[-2].partition("to print it")[2]) == command
    _, err = mogabench("explain", *where, "1", status=2)
    assert f"which row? {shlex.join(command)} lists them" in err
    assert mogabench(*command[1:])[0].startswith("Table 1 of ")


def test_papers_of_ones_own_need_a_name(mogabench, mine):
    mine(ROWS[0].format("resnet18", "11.7M"))
    assert "say which paper with --paper" in mogabench("table", "--papers", ".", "1", status=2)[1]
    assert "unknown paper 'min'" in mogabench("table", "--paper", "min", "1", status=2)[1]
    assert "has no paper.yaml" in mogabench("paper", "check", ".", status=2)[1]
