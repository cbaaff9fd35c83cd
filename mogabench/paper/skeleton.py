"""A skeleton of a paper's folder, for its author to fill."""

from __future__ import annotations

import re
from pathlib import Path

from mogabench.errors import UserError
from mogabench.files import write_whole
from mogabench.paper.papers import paper_names

_TEMPLATE = Path(__file__).with_name("template")


def write_skeleton(name: str, parent: Path) -> Path:
    """Writes the folder of a paper with an example table, and returns it.

    Args:
        name: The paper's name in a command line, which the folder gets.
        parent: Where the folder goes.

    Raises:
        UserError: The name is none, another paper has it, or there is such a folder.
    """
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", name):
        raise UserError(
            f"'{name}' cannot be the name of a paper: use small letters, digits, - and _"
        )
    if name in paper_names():
        raise UserError(f"there is already a paper called '{name}'")
    folder = parent / name
    if folder.exists():
        raise UserError(f"{folder} exists; give another name")
    for file in sorted(_TEMPLATE.iterdir()):
        write_whole(folder / file.name, file.read_text("utf-8").replace("NAME", name))
    return folder
