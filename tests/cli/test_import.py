"""``--import`` finds a user's networks by name and by path, from any folder."""

import json

import pytest

from mogabench.paper.skeleton import write_skeleton
from tests.forking import run_command

NET = """
import timm
from torch import nn

@timm.models.register_model
def linear_net(pretrained=False, **options):
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 7))
"""


@pytest.fixture
def count(tmp_path):
    """Counts the network from the folder ``here``; the file is in ``nets`` beside it."""
    (tmp_path / "here").mkdir()
    (tmp_path / "nets" / "packed_nets").mkdir(parents=True)
    for file in ("nets/linear_nets.py", "nets/packed_nets/__init__.py", "nets/timm.py"):
        (tmp_path / file).write_text(NET)
    (tmp_path / "nets" / "hidden").mkdir()  # beside hidden.py, in whose place it is imported
    (tmp_path / "nets" / "net.v2").mkdir()
    for file in ("hidden/__init__.py", "hidden.py", "net.v2/__init__.py"):
        (tmp_path / "nets" / file).write_text(NET)

    def run(package, folder="here"):
        count = ["count", "linear_net", "--import", package, "--format", "json"]
        return run_command(*count, cwd=tmp_path / folder, MOGABENCH_CACHE=str(tmp_path / "cache"))

    return run


@pytest.mark.slow
@pytest.mark.parametrize(
    ("package", "folder"),
    [
        ("linear_nets", "nets"),
        ("../nets/linear_nets.py", "here"),
        ("../nets/packed_nets", "here"),
        ("packed_nets/", "nets"),
    ],
)
def test_names_and_paths(count, package, folder):
    done = count(package, folder)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["tree"]["parameters"] == 3 * 7 + 7


@pytest.mark.slow
def test_a_network_that_was_edited_is_counted_again(tmp_path):
    """By ``table`` after an edit of its file, and by ``run`` after one of a file beside it."""

    def counted(file, *arguments):
        command = [*arguments, "--import", str(file), "--results", str(tmp_path / "results")]
        done = run_command(*command, "--quiet", cwd=tmp_path, MOGABENCH_CACHE=str(tmp_path / "c"))
        assert done.returncode == 0, done.stderr
        return done.stdout

    table = ("table", "2", "--add", "linear_net", "--format", "csv")
    run = ("run", "classification", "--backbone", "linear_net", "--size", "32")
    for number, arguments in enumerate((table, run)):
        file = tmp_path / f"nets_{number}.py"
        for outputs in (700_000, 900_000):
            sizes = f"WIDTH = {outputs}"
            if arguments is run:
                (tmp_path / "sizes_of_nets.py").write_text(sizes)
                sizes = "from sizes_of_nets import WIDTH"
            file.write_text(f"{sizes}\n{NET.replace('7)', 'WIDTH)')}")
            millions = f"{4 * outputs / 1e6:.2f}".rstrip("0")
            assert millions in counted(file, *arguments), (arguments, outputs)


@pytest.mark.slow
@pytest.mark.parametrize("command", ["report", "explain 1:ResNet-50:Params"])
def test_a_network_in_a_paper_of_ones_own_is_counted(tmp_path, command):
    table = write_skeleton("mine", tmp_path) / "table_1_An_example.csv"
    table.write_text(table.read_text().replace("resnet50", "linear_net"))
    (tmp_path / "nets.py").write_text(NET.replace("7)", "900_000)"))
    options = ["--papers", ".", "--paper", "mine", "--import", "nets.py", "--results", "out"]
    cache = str(tmp_path / "cache")
    done = run_command(*command.split(), *options, cwd=tmp_path, MOGABENCH_CACHE=cache)
    assert done.returncode == 0, done.stderr
    if command == "report":
        assert "3.60M" in (tmp_path / "out" / "papers" / "mine" / "table_1.md").read_text()
    else:
        assert "3.6 M" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("package", "says"),
    [
        ("linear_nets", "no module linear_nets is installed or in "),
        ("../nets/linear_net.py", "there is no such file or folder"),
        ("../nets/timm.py", "another module of that name is at "),
        ("../nets/hidden.py", "another module of that name is at "),
        ("../nets/net.v2", "a module's name has no dot; rename net.v2"),
    ],
)
def test_what_cannot_be_imported_is_one_line(count, package, says):
    done = count(package)
    assert done.returncode == 2 and done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"mogabench: --import {package}: ") and says in line


@pytest.mark.slow
@pytest.mark.parametrize("taken", ["moganet_tiny", "resnet18"])
def test_a_network_does_not_take_the_place_of_another(count, tmp_path, taken):
    """One of the project and one of timm, which itself warns on the lines before."""
    (tmp_path / "here" / "fork.py").write_text(NET.replace("linear_net", taken))
    done = count("fork")
    assert done.returncode == 2 and done.stdout == ""
    *_, line = done.stderr.splitlines()
    assert line.startswith(f"mogabench: --import fork: fork registers {taken}, which is the name ")
