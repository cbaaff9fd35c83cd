"""What a person sees on a terminal of 80 columns, and what a pipe gets."""

import fcntl
import os
import pty
import re
import struct
import sys
import tempfile
import termios

import pytest
from typer.testing import CliRunner

from mogabench.cli import app
from mogabench.paper import get_paper

LISTS = [
    *("list tasks", "list models", "list models --task detection", "list weights"),
    *("list recipes", "list tables", "list ablations", "list ablations A5", "doctor"),
    *("explain A9 MogaNet-S", "count s --depth 2"),
]
GROUPS = ("run", "list", "analyze", "paper", "records")


@pytest.fixture
def screen(monkeypatch):
    """Runs a command in a terminal and gives the lines that appear on it."""
    # A path is never broken, so this one has to be short.
    home = tempfile.TemporaryDirectory(prefix="m-", dir="/tmp")
    monkeypatch.setenv("XDG_DATA_HOME", home.name)

    def run(*arguments, columns=80, lines=2000, **environment):
        child, terminal = pty.fork()
        if not child:
            os.environ.update({"TERM": "xterm", "NO_COLOR": "1"})
            os.environ.update(environment)
            os.environ.pop("COLUMNS", None)
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
            os.execv(sys.executable, [sys.executable, "-P", "-m", "mogabench", *arguments])
        seen = b""
        while True:
            try:
                seen += os.read(terminal, 65536) or b""
            except OSError:  # the child has closed it
                break
        _, status = os.waitpid(child, 0)
        os.close(terminal)
        assert status == 0, seen.decode()
        return seen.decode().replace("\r\n", "\n").splitlines()

    yield run
    home.cleanup()


def words(text):
    return set(text.split())


@pytest.mark.slow
@pytest.mark.parametrize("name", get_paper().table_ids)
def test_a_table_fits_with_every_name_and_number_whole(screen, name):
    lines = screen("table", name, "--quiet")
    assert max(map(len, lines)) <= 80
    text = "\n".join(lines)
    table = get_paper().table(name)
    assert all(row.label in text for row in table.rows)
    left_out = re.search(r"^Left out here: (.*?); --wide", text, re.M | re.S)
    hidden = " ".join(left_out[1].split()) if left_out else ""
    assert "Param" not in re.sub(r"Δ of [^,]+", "", hidden)
    for row in table.rows:
        shown = {head for head in row.cells if head not in hidden}
        assert shown
        for head in shown:
            assert row.cells[head] in text
    measured = re.findall(r"\d+\.\d+", CliRunner().invoke(app, ["table", name, "-q"]).stdout)
    broken = [word for word in re.findall(r"\d+\.\d+", text) if word not in measured]
    assert broken == []
    assert "-0.0%" not in text and "…" not in "".join(lines[:5])


@pytest.mark.slow
@pytest.mark.parametrize("command", LISTS)
def test_a_list_fits(screen, command):
    lines = screen(*command.split())
    assert max(map(len, lines)) <= 80
    piped = CliRunner().invoke(app, command.split()).stdout
    assert words("\n".join(lines)) - words(piped.replace("─", "")) <= {"─" * n for n in range(81)}


@pytest.mark.slow
def test_summaries_of_commands_are_whole(screen):
    for command in ("--help", *(f"{group} --help" for group in GROUPS)):
        lines = screen(*command.split())
        assert max(map(len, lines)) <= 80 and not any(line.endswith("...") for line in lines[1:])
    assert screen("-h") == screen("--help")
    assert screen("--version")[0].startswith("mogabench 0.")


def test_a_pipe_gets_whole_rows_and_no_colour():
    text = CliRunner().invoke(app, ["table", "A9", "-q"]).stdout
    (row,) = [line for line in text.splitlines() if line.startswith("MogaNet-S ")]
    # Table A9: parameters, operations, and box and mask AP with their variants.
    assert re.findall(r"\S+", row)[1:3] == ["C", "45"] and row.count("—") == 6
    assert {"46.7", "42.2"} <= {word.partition("[")[0] for word in row.split()}
    assert "\x1b" not in text


@pytest.mark.slow
def test_wide_and_columns(screen):
    wide = screen("table", "3", "--quiet", "--wide")
    assert max(map(len, wide)) > 100 and not any("Left out" in line for line in wide)
    chosen = screen("table", "3", "--quiet", "--columns", "top-1,date")
    assert chosen[2].split() == ["Architecture", "Date", "Top-1", "Acc", "(%)", "measured"]
    error = str(CliRunner().invoke(app, ["table", "3", "--columns", "AP"]).exception)
    assert error.startswith("unknown column 'ap'") and "Top-1 Acc (%)" in error


@pytest.mark.slow
def test_colour_and_pager_on_a_terminal_only(screen, tmp_path):
    pager = tmp_path / "pager"
    pager.write_text("#!/bin/sh\necho paged; cat\n")
    pager.chmod(0o755)
    paged = screen("table", "3", lines=24, PAGER=str(pager), NO_COLOR="")
    assert paged[0] == "paged" and any("\x1b[32m" in line for line in paged)
    assert screen("table", "3", "--quiet", lines=24, PAGER=str(pager))[0] != "paged"
    assert screen("list", "tables", lines=50, PAGER=str(pager))[0] != "paged"
