"""Papers of one's own: where they are found, and what is wrong with a malformed one."""

import sys
from importlib.metadata import EntryPoint

import pytest

from mogabench.errors import UserError
from mogabench.paper import (
    Paper,
    ablations,
    decimals,
    get_paper,
    paper_figures,
    paper_names,
    papers,
    places_of,
    printed_value,
)
from mogabench.paper.skeleton import write_skeleton

HEADS = "task,method,backbone,input_size,pretraining,Architecture,Size,Params,FLOPs,Top-1"
ROW = "classification,classifier,resnet18,224x224,none,ResNet-18,224²,11.7M,1.8G,69.8%"


@pytest.fixture
def folder(tmp_path):
    """A paper's folder, as its author begins it."""
    return write_skeleton("mine", tmp_path)


def write(folder, text, name="table_C1_My_table.csv"):
    (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return Paper("mine", folder)


def test_any_table_id_is_fine_and_they_come_in_order(folder):
    for name in ("C1", "10", "2", "A2", "A10", "S1b", "App"):
        write(folder, f"{HEADS}\n{ROW}\n", f"table_{name}_My_table.csv")
    paper = Paper("mine", folder)
    assert paper.table_ids == ("1", "2", "10", "A2", "A10", "App", "C1", "S1b")
    assert paper.table("c1").rows[0].label == "ResNet-18"
    assert paper.table("C1").title == "My table"
    assert [column.metric for column in paper.table("C1").columns][2:] == [
        *("params", "operations", "top1"),
    ]


def test_columns_that_are_empty_in_every_row_may_be_left_out(folder):
    row = write(folder, "backbone,Architecture,Params\nresnet18,R18,11.7M\n").table("C1").rows[0]
    assert (row.meta.backbone, row.meta.task, row.meta.options) == ("resnet18", "", {})


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "line 1, column 1: is empty"),
        (
            "task;backbone;A\nc;r;2,5\n",
            "line 1, column 1: there is one head; .* by commas",
        ),
        ("metod,Architecture\nc,R\n", "line 1, column 1: unknown column 'metod'; did you mean me"),
        (f'{HEADS}\n\na,"x\ny",z,"b,c\nd,e\n', "line 4, column 4: the quote is not closed"),
        (f'{HEADS}\na,"b"c,d\n', "line 2, column 2: ',' expected"),
        (f"{HEADS}\n{ROW},1\n", "line 2, column 11: the line has 11 cells, and must have 10"),
        (f"{HEADS}\n{ROW}\n\nclassification\n", "line 4, column 2: the line has 1 cells"),
        (f"{HEADS},Top-5\n{ROW},90\n", "line 1, column 11: unknown column 'Top-5'; did you mean"),
        (f"{HEADS},A: FLOPs\n{ROW},90\n", "line 1, column 11: unknown group of columns 'A'"),
        (f"{HEADS},Params\n{ROW},9\n", "line 1, column 11: 'Params' appears twice"),
        (f"task,{HEADS}\nx,{ROW}\n", "line 1, column 2: 'task' appears twice"),
        (f"{HEADS},recipe\n{ROW},x\n", "line 1, column 11: 'recipe' comes after a printed column"),
        (f"{HEADS}\n{ROW.replace('224x224', '224by224')}\n", r"line 2, column 4 \(input_size\): "),
        (f"{HEADS}\n{ROW.replace('none', 'in22k')}\n", r"line 2, column 5 \(pretraining\): unkn"),
        (f"options,{HEADS}\n{{x,{ROW}\n", r"line 2, column 1 \(options\): '{x' is not JSON"),
        (
            f'options,{HEADS}\n"{{""a"": [{{}}]}}",{ROW}\n',
            "'a' must be a text, a number, .* not .{",
        ),
        (f"options,{HEADS}\n[1],{ROW}\n", r"line 2, column 1 \(options\): .* JSON object"),
        (
            f'settings,{HEADS}\n"{{""schedule"": {{""epochs"": 100}}}}",{ROW}\n',
            r"line 2, column 1 \(settings\): 'schedule' is a section: .* as 'schedule.epochs'",
        ),
        *(
            (f'options,{HEADS}\n"{{""{name}"": {value}}}",{ROW}\n', f"line 2, column 1 .*{says}")
            for name, value, says in (
                *(("a", number, f"not {number}") for number in ("NaN", "-Infinity")),
                ("a", "[1, NaN]", "not .1, NaN"),
                (r"\ud800", "1", "is not the name of an option"),
            )
        ),
        *(
            (f"{HEADS}\n{ROW.replace('224x224', size)}\n", rf"line 2, column 4 .*'{size}' is not a")
            for size in ("0x0", "-1x5", "224x70000")
        ),
        (f"{HEADS}\n{ROW.replace('224x224', '')}\n", "line 2, column 8: the row names no size: a"),
        (
            "task,method,backbone,Architecture,Params\nclassification,classifier,resnet50,R,25.6M\n",
            "line 2, column 5: the row names no size: a column 'input_size' must have it",
        ),
        (f"{HEADS}\n{ROW}\n".encode("utf-16"), "line 1, column 1: not UTF-8"),
        (f"{HEADS}\n".encode() + b"a,b,\xff\n", "line 2, column 5: not UTF-8"),
        (f'{HEADS}\n"{ROW}\n', "line 2, column 1: the quote is not"),
        ("task,backbone\nclassification,resnet18\n", "line 1: no printed column"),
    ],
)
def test_a_malformed_table_is_one_line_with_its_place_and_breaks_no_other(folder, content, says):
    paper = write(folder, content)
    with pytest.raises(UserError, match=rf"table_C1_My_table\.csv.*{says}") as error:
        paper.table("C1")
    assert "\n" not in str(error.value)
    assert list(paper.problems) == ["C1"]
    assert [table.id for table in paper.tables()] == ["1"]


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("paper.yaml", "name: [", r", line \d, column \d: "),
        ("paper.yaml", "name: Mine\ntitle: T\n", "lacks 'source'"),
        ("paper.yaml", "- Mine\n", "must hold a mapping"),
        ("vocabulary.yaml", "columns: {Params: {metrics: params}}", "did you mean metric"),
        ("vocabulary.yaml", "column: {}", "unknown field 'column'; did you mean columns"),
        ("vocabulary.yaml", "columns: {Params: {options: 3}}", "options: must be a mapping"),
        (
            "vocabulary.yaml",
            "label: Nope\ncolumns: {Param: {metric: params}}",
            "label: unknown colu",
        ),
        (
            "vocabulary.yaml",
            "columns: {P: {metric: params, unit: Q}}",
            "unknown unit of params 'Q'",
        ),
        ("vocabulary.yaml", "columns: {Params: {metric: [params]}}", "metric: must be a text"),
        *(
            ("vocabulary.yaml", f"measured: {{A: {{{entry}}}}}", says)
            for entry, says in (
                ("metric: activation, unit: M", "unknown metric .*'activation'; did you mean act"),
                ("metric: params", "its figures need a unit: K, M"),
                ("metric: operations, unit: G", "needs a convention: matmul"),
                ("metric: operations, unit: G, convention: mmcv", "unknown convention 'mmcv'"),
                ("metric: params, unit: M, convention: paper", "is of operations, not of params"),
                ("metric: fps, device: gpu", "device can only be cpu or cuda, not gpu"),
                ("metric: fps, unit: ms", "unknown unit of fps 'ms' .valid: img/s, seq/s"),
                ("metric: memory, unit: MiB", "unknown unit of memory 'MiB'; did you mean MB"),
                ("metric: memory", "its figures need a unit: MB, GB"),
            )
        ),
        (
            "figures.yaml",
            "'1': {tables: ['9'], title: T}",
            "figure 1: unknown table '9'",
        ),
        (
            "figures.yaml",
            "'1': {tables: ['1'], title: T, column: FLOPs}",
            "figure 1: a plot of a column needs 'cost' and 'name'",
        ),
        *(
            ("figures.yaml", f"{name}: {{tables: ['1'], title: T, cost: c, {entry}}}", says)
            for name, entry, says in (
                (
                    "'1'",
                    "name: n, column: Nope",
                    "figure 1: unknown column of numbers of Table 1 of",
                ),
                ("'1'", "name: n, column: Size", "'Size' .valid: Params, FLOPs, Top-1"),
                ("'1'", "name: ../../c, column: FLOPs", "'../../c' cannot be in a file's name"),
                ("'1'", "size: 224px", "figure 1: size: '224px' is not a size such as 224x224"),
                ('"../x"', "size: 224x224", "figure ../x: '../x' cannot be in a file's name"),
            )
        ),
        *(
            ("ablations.yaml", f"A1: {entry}", f"ablation A1{says}")
            for entry, says in (
                ("3", ": must be a mapping with title"),
                ("{table: '1'}", ": lacks 'metric'"),
                ("{table: '9', metric: top1}", ": unknown table '9'"),
                ("{title: T, backbone: b, recipe: r, variants: 3}", ", variants: must be a list"),
                ("{title: T, backbone: b, recipe: r, variants: [3]}", ", variant 1: must be a ma"),
            )
        ),
        ("errata.yaml", "'1': {cells: 3}", "cells: must be a list"),
        ("errata.yaml", "'1': {by_digits: 3}", "by_digits: must be true or false"),
        ("vocabulary.yaml", "groups: {A: {overrides: {size: 3}}}", "size: not one of task,"),
        ("vocabulary.yaml", "groups: {A: {settings: {ema: {decay: 1}}}}", "apart, as 'ema.decay'"),
        ("counting.yaml", "- {source: a, tool: b, evidence: c}", "source 1: lacks 'convention'"),
        (
            "counting.yaml",
            "- {source: a, tool: b, evidence: c, convention: fvcor}",
            "unknown convention 'fvcor'; did you mean fvcore",
        ),
        ("errata.yaml", "'1': {}\n'1': {}", ", line 2, column 1: '1' appears twice"),
        (
            "errata.yaml",
            "'1': {cells: [{row: ResNet-50, column: FLOPs, reason: r, should_be: 4.10}]}",
            "should_be: write it in quotes",
        ),
        *(
            (
                "errata.yaml",
                "'1': {cells: [{row: ResNet-50, column: FLOPs, reason: r, "
                f"printed_is: {{text: t, {entry}}}}}]}}",
                says,
            )
            for entry, says in (
                ("rounding: dwn", "unknown rounding 'dwn'; did you mean down"),
                ("convention: fvcor", "unknown convention 'fvcor'"),
                ("form: inferense", "unknown form 'inferense'; did you mean inference"),
                ("without: '('", "'\\(' is not a regular expression"),
                ("times: two", "cell 1: could not convert"),
                ("options: [1]", "must be a JSON object"),
                ("options: {a: .nan}", "'a' must be a text, a number, .* not NaN"),
                ("input_size: 0x0", "cell 1: '0x0' is not a size"),
                ("input_size: ''", "cell 1: input_size: must be a size"),
                ("meant: lots", "cell 1: meant: 'lots' is not a number"),
                ("terms: [5]", "cell 1: each of terms: must be a mapping"),
                ("rounded_to: 2", "printed_is, rounded_to: must be a list"),
                ("in_plots: 2", "printed_is, in_plots: must be true or false"),
            )
        ),
        *(
            (
                "errata.yaml",
                f"'1': {{cells: [{{row: ResNet-50, column: Params, reason: r, {entry}}}]}}",
                f"table 1, cell 1: {says}",
            )
            for entry, says in (
                ("should_be: lots", "should_be: 'lots' is not a number, as those of 'Params' are"),
                ("should_be: ''", "should_be: '' is not a number"),
                ("should_be: [1]", "should_be: must be a text"),
                ("should_be: 25.6G", "should_be: '25.6G' must be in M, as the printed '25.6M'"),
                ("printed_is: 5", "printed_is: must be a mapping"),
                ("tried: 5", "tried: must be a list"),
                ("tried: [5]", "tried: must be a mapping"),
            )
        ),
        ("errata.yaml", "'7': {}", "unknown table '7'"),
        ("errata.yaml", "'1': {cels: []}", "did you mean cells"),
        ("errata.yaml", "'1': {cells: [{row: R, column: FLOPs, reason: r}]}", "'R' names 0 rows"),
        ("errata.yaml", "'1': {cells: [{row: ResNet-50, column: FLOPs}]}", "lacks 'reason'"),
        (
            "errata.yaml",
            "'1': {cells: [{row: ResNet-50, column: AP, reason: r}]}",
            "table 1 has no cell 'AP'",
        ),
        (
            "errata.yaml",
            "'1': {cells: [{row: ResNet-50, column: FLOPs, reason: r, "
            "printed_is: {text: t, backbone: resnet18}}]}",
            "a figure of another network needs should_be",
        ),
        (
            "errata.yaml",
            "'1': {cells: [{row: ResNet-50, column: FLOPs, reason: r, printed_is: {bakbone: x}}]}",
            "lacks 'text'|bakbone: not one of",
        ),
    ],
)
def test_a_malformed_file_beside_the_tables_is_named(folder, name, content, says):
    (folder / name).write_text(content)
    with pytest.raises(UserError, match=rf"{name}.*({says})") as error:
        paper = Paper("mine", folder)
        _ = paper.counting_sources, paper.errata("1"), paper_figures(paper), ablations(paper)
    assert "\n" not in str(error.value)


def test_what_ought_to_be_printed_may_be_a_word_where_the_column_has_words(folder):
    (folder / "errata.yaml").write_text(
        "'1': {cells: [{row: ResNet-50, column: Size, reason: r, should_be: small},"
        "{row: ResNet-50, column: Params, reason: r, should_be: '25.56'},"
        "{row: ResNet-50, column: FLOPs, reason: r, should_be: 4.09G}]}"
    )
    known = Paper("mine", folder).errata("1")
    assert [erratum.should_be for erratum in known.values()] == ["small", "25.56", "4.09G"]


def test_a_measured_column_does_not_hide_a_printed_one(folder):
    with (folder / "vocabulary.yaml").open("a") as vocabulary:
        vocabulary.write("measured: {FLOPs: {metric: fps, unit: img/s}}\n")
    with pytest.raises(UserError, match=r"line 1: 'FLOPs' is a column of 'measured' .* as well"):
        Paper("mine", folder).table("1")


@pytest.mark.parametrize(
    ("name", "places"),
    [
        *(("Net", [0, 2]), ("Net #2", [2]), ("Net #3", []), ("Net #0", [])),
        *(("Net #big", [1, 4]), ("Net #big #2", [4]), ("Net #small", []), ("Net #²", [])),
        *(("Variant #1", [3]), ("Variant #2", []), ("", [5]), ("1", [])),
    ],
)
def test_a_name_of_a_row_is_its_whole_label_or_counts_those_so_called(name, places):
    assert places_of(name, ["Net", "Net #big", "Net", "Variant #1", "Net #big", ""]) == places


def test_papers_of_ones_own_are_found_in_a_folder(folder):
    parent = folder.parent
    (parent / "no_paper").mkdir()
    assert paper_names(parent)[0] == "moganet" and "mine" in paper_names(parent)
    assert "mine" not in paper_names()
    assert get_paper("mine", parent).table("1").name == "Table 1 of mine"
    assert get_paper().table("1").name == "Table 1"
    with pytest.raises(UserError, match="unknown paper 'min'; did you mean mine"):
        get_paper("min", parent)
    with pytest.raises(UserError, match="say which paper with --paper, one of mine"):
        get_paper(None, parent)
    with pytest.raises(UserError, match="is a paper; give the folder that it is in"):
        get_paper("mine", folder)
    with pytest.raises(UserError, match=r"has no paper; a paper is a folder with paper\.yaml"):
        get_paper("mine", parent / "no_paper")


def test_a_paper_may_come_with_another_package(folder, monkeypatch):
    (folder / "__init__.py").touch()
    monkeypatch.syspath_prepend(folder.parent)
    found = [EntryPoint("theirs", "mine", "mogabench.papers")]
    monkeypatch.setattr(papers, "_installed", lambda: found)
    assert get_paper("theirs").table("1").name == "Table 1 of mine"
    found.append(EntryPoint("broken", "no_such_package", "mogabench.papers"))
    assert get_paper("theirs").folder == folder
    with pytest.raises(UserError, match="the paper 'broken': no_such_package cannot be imported"):
        get_paper("broken")
    sys.modules.pop("mine", None)


def test_a_second_paper_of_a_name_is_left_out_and_stops_no_other(folder, monkeypatch, caplog):
    entry = EntryPoint("moganet", "mypkg", "mogabench.papers")
    monkeypatch.setattr(papers, "_installed", lambda: [entry])
    assert get_paper("convnext").name == "convnext" and not caplog.messages
    assert get_paper().folder == papers.PACKAGED / "moganet"
    says = "the paper 'moganet' of the package mypkg is left out: there is another of that name"
    assert caplog.messages == [f"mogabench: {says}"]
    (folder.parent / "moganet").mkdir()
    (folder.parent / "moganet" / "paper.yaml").write_text((folder / "paper.yaml").read_text())
    assert get_paper("mine", folder.parent).folder == folder
    with pytest.raises(UserError, match="moganet: there is another paper 'moganet'; rename the fo"):
        get_paper("moganet", folder.parent)
    assert paper_names(folder.parent).count("moganet") == 1


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *(("1.80", 1.8), ("390", 390.0), ("+0.04", 0.04), ("28M", 28.0), ("4.5G", 4.5)),
        *(("82.1%", 82.1), ("82.1 %", 82.1), ("28 M", 28.0), ("-", None), ("224²", None)),
        *(("9/0.5", None), ("16.9.G", None), ("28MB", None), ("M", None), ("1,200", None)),
    ],
)
def test_numbers_are_read_as_printed(text, value):
    assert printed_value(text) == value


def test_decimals_are_those_that_are_printed():
    assert [decimals(text) for text in ("1.80", "390", "+0.04", "45.0G")] == [2, 0, 2, 1]
    with pytest.raises(ValueError, match="'224²' is not a plain number"):
        decimals("224²")
