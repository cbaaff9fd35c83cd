"""The direction of imports: a package may import those below it, and nothing above."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import pytest

from mogabench.cli.predict import predict
from mogabench.tasks import tasks

ROOT = Path(__file__).parents[1]
FOLDERS = {"mogabench": "mogabench", "tasks": "mogabench.tasks", "recipes": "mogabench.recipes"}

LAYERS = (
    *(
        "errors",
        "escaping",
        "files",
        "modes",
        "processes",
        "yaml_text",
        "pretraining",
        "defaults",
        "variants",
        "sizes",
        "subject",
        "columns",
        "console",
    ),
    *("progress", "releases"),
    *("ops", "layers", "models", "catalogue"),
    *("records", "machine", "paper", "recipes", "data", "checkpoints", "runtimes"),
    *("engine", "openmmlab"),
    *("a task", "tasks"),
    *("measure", "tables", "sweeps"),
    "analysis",
    "api",
    *("cli", "__main__"),
)
"""From the bottom to the top; "a task" is one of the packages in tasks/, "tasks" their registry."""

MUTUAL = {
    ("mogabench.paper.table", "mogabench.paper.paper"),  # a table knows its paper,
    ("mogabench.paper.table", "mogabench.paper.errata"),  # which finds what is wrong in it
    ("mogabench.layers.moga", "mogabench.layers.fused_moga"),  # a block makes its fused form
    ("mogabench.cli.sweep", "mogabench.cli"),  # a plan is a list of commands
}
"""What one module imports of another that is built on it."""


def modules() -> dict[str, Path]:
    found = {}
    for folder, package in FOLDERS.items():
        for file in (ROOT / folder).rglob("*.py"):
            parts = file.relative_to(ROOT / folder).with_suffix("").parts
            found[".".join([package, *(part for part in parts if part != "__init__")])] = file
    return found


MODULES = modules()


def package_of(module: str) -> tuple[str, str]:
    """The layer of a module, and the task where it belongs to one."""
    _, first, *rest = *module.split("."), ""
    return ("a task", rest[0]) if first == "tasks" and rest[0] else (first, "")


def imports(file: Path) -> Iterator[str]:
    """Every module of the project that a file imports: inside of functions, for types, anywhere."""
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in names:
            module = name if name in MODULES else name.rpartition(".")[0]
            if module in MODULES and module != "mogabench":
                yield module


@pytest.mark.parametrize("name", sorted(MODULES.keys() - {"mogabench"}))
def test_imports_go_down(name: str) -> None:
    here, own_task = package_of(name)
    for module in imports(MODULES[name]):
        there, other_task = package_of(module)
        if (here, own_task) != (there, other_task):
            assert LAYERS.index(there) < LAYERS.index(here), f"{name} imports {module}"


def test_no_import_goes_in_a_circle() -> None:
    used = {name: set(imports(file)) for name, file in MODULES.items()}
    assert all(below in used[above] for above, below in MUTUAL)
    for above, below in MUTUAL:
        used[above].remove(below)
    TopologicalSorter(used).prepare()  # raises CycleError, which shows the circle


def test_the_engine_and_the_recipes_name_no_task() -> None:
    names = {folder.name for folder in (ROOT / "tasks").iterdir() if folder.is_dir()}
    texts = [
        (file, node.value)
        for folder in ("mogabench/engine", "recipes")
        for file in (ROOT / folder).glob("*.py")
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    assert len(texts) > 100
    assert [(file, text) for file, text in texts if text in names] == []


def test_listing_tasks_recipes_and_tables_imports_no_torch() -> None:
    script = (
        "import sys, mogabench.cli, mogabench.tables.join; from mogabench import tasks, paper;"
        "tasks.recipe_names(); paper.get_paper().tables();"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def value_types(annotation: Any) -> set[type]:
    """The types of the values that an annotation allows, None aside."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return {type(value) for value in arguments}
    parts = arguments[:1] if origin is Annotated else arguments
    types = set().union(*map(value_types, parts)) if parts else {annotation}
    return types - {NoneType}


def test_what_predict_passes_on_are_options_of_tasks() -> None:
    """It has names and types of its own, since the weights, which it reads first, say the task."""
    tree = ast.parse((ROOT / "mogabench/cli/predict.py").read_text("utf-8"))
    (own,) = [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "own"
    ]
    given = get_type_hints(predict)
    known = [task.Options.model_fields for task in tasks().values()]
    for key in [key.value for key in own.keys]:
        found = [fields[key] for fields in known if key in fields]
        assert found, f"no task has the option {key} of predict"
        for field in found:
            assert value_types(field.annotation) == value_types(given[key])
