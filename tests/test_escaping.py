"""Names that do harm where they are shown: on terminals, in Markdown, in spreadsheets."""

import csv
import io
import logging
import re
import subprocess
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from mogabench.console import print_error, print_line, print_pairs, print_table, show_messages
from mogabench.escaping import command_line, csv_field, markdown_code, markdown_text, printable

HOSTILE = "a\x1b]0;owned\x07\x1b[2J\x9b31m\u202eb"
CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\ud800-\udfff]")


def test_ordinary_names_stay_as_they_are():
    for name in ("moganet_tiny", "Größe 3×3", "模型", "Δ of Param. (M)", "a\tb\nc", "👩‍💻"):
        assert printable(name) == name
    assert printable(HOSTILE) == r"a\x1b]0;owned\x07\x1b[2J\x9b31m\u202eb"
    assert printable("half\ud800") == r"half\ud800"


def test_nothing_that_is_printed_controls_the_terminal(capsys):
    print_line(HOSTILE)
    print_pairs([("name", HOSTILE)])
    print_table(["head"], [[HOSTILE]])
    print_error(HOSTILE)
    show_messages()
    logging.getLogger("mogabench.test").warning("%s", HOSTILE)
    shown = capsys.readouterr()
    assert "owned" in shown.out and shown.err.count("owned") == 2
    assert not CONTROLS.search(shown.out + shown.err)


@pytest.mark.parametrize(
    "name", ["<script>alert(1)</script>", "<img src=x onerror=a()>", "a &lt; b", "two\nlines"]
)
def test_markdown_shows_a_name_as_it_is(name):
    """Read back by another implementation, which lets HTML through as some do."""
    html = MarkdownIt("commonmark", {"html": True}).render(f"- {markdown_text(name)}")
    tags = re.findall(r"<(\w+)", html)
    assert tags == ["ul", "li"]


@pytest.mark.parametrize("code", ["run --x 'a`b'", "`", "a``b`", "<b>", "plain"])
def test_code_in_markdown_is_one_span(code):
    (inline,) = MarkdownIt("commonmark").parseInline(markdown_code(code))
    (span,) = inline.children
    assert (span.type, span.content) == ("code_inline", code)


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("=HYPERLINK(1)", "'=HYPERLINK(1)"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("-2+3+cmd|' /C calc'!D2", "'-2+3+cmd|' /C calc'!D2"),
        ("+Multi-order", "+Multi-order"),
        ("-0.4", "-0.4"),
        (-0.4, -0.4),
        ("a=b", "a=b"),
    ],
)
def test_a_spreadsheet_computes_nothing(value, written):
    stream = io.StringIO()
    csv.writer(stream).writerow([csv_field(value)])
    assert next(csv.reader(io.StringIO(stream.getvalue()))) == [str(written)]


def test_a_suggested_command_is_read_by_a_shell_as_it_was_meant():
    words = ["records", "check", "my results/$(touch a); b'c", Path("ä b")]
    shown = command_line(*words)
    run = subprocess.run(
        ["sh", "-c", f'mogabench() {{ printf "%s\\n" "$@"; }}; {shown}'],
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.splitlines() == [str(word) for word in words]
    assert command_line("table", 2, "--paper", "moganet") == "mogabench table 2 --paper moganet"
