"""Every command and block of code in the documentation and in README.md.

A block runs in a folder of its page's own, in order. ``<!-- file: NAME -->`` above a block writes
it to that file. ``<!-- not run: REASON -->`` is for what needs data, a GPU or a new environment:
such commands, and those within a line, are parsed and must be ones that `mogabench` has.
"""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from sybil import Document, Region, Sybil
from sybil.example import Example

from mogabench.cli import app
from mogabench.cli.parsing import parse
from mogabench.errors import UserError
from mogabench.files import slug

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(
    r"(?:^<!-- (?P<mark>not run|file): (?P<text>.+?) -->\n+)?"
    r"^```(?P<language>\w+)\n(?P<code>.*?)^```$",
    re.M | re.S,
)
INLINE = re.compile(r"`(mogabench [^`]+)`")


def blocks(document: Document):
    for match in BLOCK.finditer(document.text):
        yield Region(match.start(), match.end(), match, evaluate)


def evaluate(example: Example) -> None:
    block, folder = example.parsed, example.namespace["folder"]
    if block["mark"] == "not run":
        return
    if block["mark"] == "file":
        (folder / block["text"]).write_text(block["code"])
    elif block["language"] == "python":
        code = compile("\n" * (example.line - 1) + block["code"], example.path, "exec")
        exec(code, example.namespace)
    elif block["language"] == "sh":
        run(block["code"], folder)


def run(script: str, folder: Path) -> None:
    own = {
        "XDG_DATA_HOME": str(folder),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    shell = ["bash", "-euo", "pipefail", "-c", script]
    done = subprocess.run(
        shell, cwd=folder, env=os.environ | own, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"


def commands(page: Path) -> list[str]:
    """The commands that are not run: those within a line, and in blocks that are marked."""
    text = page.read_text()
    marked = [block["code"] for block in BLOCK.finditer(text) if block["mark"] == "not run"]
    lines = "\n".join(marked).replace("\\\n", " ").splitlines()
    inline = INLINE.findall(BLOCK.sub("", text))
    return [line[line.index("mogabench") :] for line in lines if "mogabench " in line] + inline


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_exist(page):
    for command in commands(page):
        arguments = shlex.split(command.replace("…", ""), comments=True)[1:]
        if "--help" in arguments:
            continue
        try:
            parse(typer.main.get_command(app), arguments)
        except UserError as error:
            pytest.fail(f"{command}: {error}")


@pytest.mark.parametrize("page", [*PAGES, *ROOT.glob("[CS]*.md")], ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for path, heading in re.findall(r"\]\((?!https?:)([^)#]*)#?([^)]*)\)", page.read_text()):
        target = page.parent / path if path else page
        assert target.exists(), path
        if heading:
            assert heading in map(slug, re.findall(r"^#+ (.*)", target.read_text(), re.M))


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_blocks_run(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    document = Sybil(parsers=[blocks]).parse(page)
    document.namespace["folder"] = tmp_path
    for example in document.examples():
        example.evaluate()


@pytest.mark.slow
def test_the_documentation_builds_without_a_warning(tmp_path):
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "docs", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "reference" / "cli.html").exists()
