"""CONTRIBUTING's table, followed to the letter: one new file each, and nothing else."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

BACKBONE = """
from torch import nn

from mogabench.layers.registration import register_family


class Tiny(nn.Sequential):
    num_classes = 10

    def __init__(self, width=4, num_classes=10, in_chans=3, **_):
        super().__init__(
            nn.Conv2d(in_chans, width, 4, 4), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
            nn.Linear(width, num_classes),
        )


register_family(__name__, Tiny, {"brandnew_small": {"width": 4}})
"""
RECIPE = """
# mogabench run classification --backbone brandnew_small --data sample --train --recipe brandnew
extends: sample_digits
batch_size: 1000
schedule: {epochs: 1, warmup_epochs: 0}
"""
TABLE = """\
task,method,backbone,input_size,pretraining,recipe,settings,options,baseline,Architecture,Param. (M)
classification,classifier,brandnew_small,32x32,none,,,,,Brand new,0.005
"""
NEW = {
    "a backbone": ("mogabench/models/<family>.py", {"family": "brandnew"}, BACKBONE),
    "a recipe": (
        "recipes/<task>/<name>.yaml",
        {"task": "classification", "name": "brandnew"},
        RECIPE,
    ),
    "a table": (
        "mogabench/papers/moganet/table_<ID>_<title>.csv",
        {"ID": "A99", "title": "Brand_new_networks"},
        TABLE,
    ),
    "a task": (
        "tasks/<name>.py",
        {"name": "toy"},
        (ROOT / "tests" / "tasks" / "toy.py").read_text(),
    ),
}


def link(source: Path, target: Path, real: set[Path]) -> None:
    """Makes the target a copy of links; the folders in ``real`` are folders themselves."""
    target.mkdir(parents=True)
    for item in source.iterdir():
        if item.is_dir() and item in real:
            link(item, target / item.name, real)
        else:
            (target / item.name).symlink_to(item)


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """The package as an installation has it, with one new file for each row of the table."""
    site = tmp_path_factory.mktemp("site")
    papers = ("mogabench/papers", "mogabench/papers/moganet")
    real = {ROOT / path for path in ("mogabench/models", *papers, "recipes/classification")}
    link(ROOT / "mogabench", site / "mogabench", real)
    for folder in ("tasks", "recipes"):
        link(ROOT / folder, site / "mogabench" / folder, real)
    (site / "mogabench" / "results").symlink_to(ROOT / "results")
    for pattern, names, content in NEW.values():
        path = pattern
        for key, value in names.items():
            path = path.replace(f"<{key}>", value)
        file = site / path if path.startswith("mogabench/") else site / "mogabench" / path
        file.write_text(content)
    return site


@pytest.fixture
def mogabench(package, tmp_path):
    def run(*arguments):
        done = subprocess.run(
            [sys.executable, "-m", "mogabench", *map(str, arguments)],
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(package), "XDG_DATA_HOME": str(tmp_path / "data")},
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def test_the_table_says_what_is_tested_here():
    rows = re.findall(r"^\| (an? \w+) \| `([^`]+)`", (ROOT / "CONTRIBUTING.md").read_text(), re.M)
    assert dict(rows) == {name: pattern for name, (pattern, *_) in NEW.items()}


@pytest.mark.slow
def test_a_new_backbone_recipe_and_table(mogabench):
    models = json.loads(mogabench("list", "models", "brandnew*", "--format", "json"))
    assert models == [{"backbone": "brandnew_small", "tables": "A99"}]
    recipes = {
        recipe["recipe"]: recipe
        for recipe in json.loads(mogabench("list", "recipes", "--format", "json"))
    }
    assert recipes["brandnew"]["task"] == "classification"
    (cell,) = json.loads(mogabench("table", "A99", "--format", "json"))
    # 4 filters of 3x4x4 and 1000 outputs of 4 inputs, with biases
    assert (cell["measured"], cell["status"]) == (0.005196, "rounds")
    run = ["run", "classification", "--backbone", "brandnew_small", "--data", "sample", "--train"]
    out = mogabench(*run, "--recipe", "brandnew", "--workers", "0", "-q")
    assert "trained by brandnew" in out


@pytest.mark.slow
def test_a_new_task(mogabench, tmp_path):
    tasks = {
        task["task"]: task for task in json.loads(mogabench("list", "tasks", "--format", "json"))
    }
    assert tasks["toy"]["metrics"] == "mae"
    run = ["run", "toy", "--backbone", "test_resnet", "--data", "sample", "--train", "-q"]
    out = mogabench(*run, "--work-dir", "work")
    assert "MAE " in out and "trained by sample_toy" in out
    lines = [line for file in tmp_path.rglob("*.jsonl") for line in file.read_text().splitlines()]
    (counted,) = (json.loads(line) for line in lines if '"kind":"complexity"' in line)
    assert "mogabench.tasks.toy" in counted["provenance"]["code"]
    evaluated = mogabench(*run[:-2], "--weights", "work/weights.pth", "-q")
    assert evaluated.splitlines()[1].split(" on ")[0] == out.splitlines()[1].split(" on ")[0]
