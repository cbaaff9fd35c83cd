"""Where papers are found: beside this package, in a folder of one's own, and in other packages."""

from __future__ import annotations

from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from mogabench.errors import UserError, unknown
from mogabench.paper.paper import ABOUT, DEFAULT, Paper

PACKAGED = Path(__file__).parents[1] / "papers"
"""A folder for each paper that comes with the project."""

_GROUP = "mogabench.papers"


def get_paper(name: str | None = None, own: Path | None = None) -> Paper:
    """The paper of that name.

    Args:
        name: Its name; MogaNet's paper by default.
        own: A folder with papers of one's own, a folder each.

    Raises:
        UserError: There is no such paper, its folder is malformed, or papers of one's own are
            given without a name.
    """
    found = _places(own)
    if name is None:
        if own is not None:
            listed = ", ".join(_folders(own))
            raise UserError(f"--papers {own}: say which paper with --paper, one of {listed}")
        name = DEFAULT
    if name not in found:
        raise unknown("paper", name, found)
    place = found[name]
    if isinstance(place, EntryPoint):
        return Paper(name, _folder_of(place))
    # One's own may have changed since the last time.
    return _packaged(name) if place.parent == PACKAGED else Paper(name, place)


def paper_names(own: Path | None = None) -> list[str]:
    """The names of all papers, the default one first.

    Raises:
        UserError: Two have the same name, or the folder of one's own has none.
    """
    return list(_places(own))


def _places(own: Path | None) -> dict[str, Path | EntryPoint]:
    found: dict[str, Path | EntryPoint] = {DEFAULT: PACKAGED / DEFAULT}
    found |= _folders(PACKAGED)
    mine = {} if own is None else _folders(own)
    if own is not None and not mine:
        inside = (own / ABOUT).is_file()
        right = "give the folder that it is in" if inside else f"a paper is a folder with {ABOUT}"
        raise UserError(f"--papers {own}: {'is a paper' if inside else 'has no paper'}; {right}")
    others: list[tuple[str, Path | EntryPoint]] = [*_installed().items(), *mine.items()]
    for name, place in others:
        if name in found:
            raise UserError(f"two papers are called '{name}': {place} is one")
        found[name] = place
    return found


@cache
def _installed() -> dict[str, EntryPoint]:
    """The papers of other packages."""
    return {entry.name: entry for entry in entry_points(group=_GROUP)}


def _folders(folder: Path) -> dict[str, Path]:
    return {path.parent.name: path.parent for path in sorted(folder.glob(f"*/{ABOUT}"))}


@cache
def _packaged(name: str) -> Paper:
    return Paper(name, PACKAGED / name)


def _folder_of(entry: EntryPoint) -> Path:
    """The folder of the package that an entry point names."""
    try:
        return Path(next(iter(entry.load().__path__)))
    except Exception as error:  # another package may fail in any way
        raise UserError(
            f"the paper '{entry.name}': {entry.value} is no package that can be imported: "
            f"{type(error).__name__}: {error}"
        ) from error
