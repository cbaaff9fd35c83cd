"""Where papers are found: beside this package, in a folder of one's own, and in other packages."""

from __future__ import annotations

import logging
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from mogabench.errors import UserError, unknown
from mogabench.files import expanded
from mogabench.paper.paper import ABOUT, DEFAULT, Paper

PACKAGED = Path(__file__).parents[1] / "papers"
"""A folder for each paper that comes with the project."""

_GROUP = "mogabench.papers"

_LOG = logging.getLogger(__name__)


def get_paper(name: str | None = None, own: Path | None = None) -> Paper:
    """The paper of that name.

    Args:
        name: Its name; MogaNet's paper by default.
        own: A folder with papers of one's own, a folder each.

    Raises:
        UserError: There is no such paper, its folder is malformed, a paper of one's own has the
            name of another, or papers of one's own are given without a name.
    """
    found = _places(own)
    if name is None:
        if own is not None:
            listed = ", ".join(_folders(expanded(own)))
            raise UserError(f"--papers {own}: say which paper with --paper, one of {listed}")
        name = DEFAULT
    if name not in found:
        raise unknown("paper", name, found)
    place, *others = found[name]
    for other in others:
        if not isinstance(other, EntryPoint):
            raise UserError(f"{other}: there is another paper '{name}'; rename the folder")
        _LOG.error(
            "mogabench: the paper '%s' of the package %s is left out: there is another of that "
            "name", name, other.value,
        )  # fmt: skip
    if isinstance(place, EntryPoint):
        return Paper(name, _folder_of(place))
    # One's own may have changed since the last time.
    return _packaged(name) if place.parent == PACKAGED else Paper(name, place)


def paper_names(own: Path | None = None) -> list[str]:
    """The names of all papers, the default one first.

    Raises:
        UserError: The folder of one's own has none.
    """
    return list(_places(own))


def paper_options(paper: Paper) -> list[str]:
    """The options with which a command is about a paper; none for the default one."""
    if paper.is_default:
        return []
    is_known = paper.name in _places(None)
    folder = paper.folder if paper.folder.name == paper.name else paper.folder.resolve()  # as of .
    where = [] if is_known else ["--papers", str(folder.parent)]
    return [*where, "--paper", paper.name]


def _places(own: Path | None) -> dict[str, list[Path | EntryPoint]]:
    """Where the papers of each name are: first the one that has the name, then those left out."""
    own = own and expanded(own)
    mine = {} if own is None else _folders(own)
    if own is not None and not mine:
        inside = (own / ABOUT).is_file()
        right = "give the folder that it is in" if inside else f"a paper is a folder with {ABOUT}"
        raise UserError(f"--papers {own}: {'is a paper' if inside else 'has no paper'}; {right}")
    found: dict[str, list[Path | EntryPoint]] = {DEFAULT: []}
    places: list[Path | EntryPoint] = [*_folders(PACKAGED).values(), *_installed(), *mine.values()]
    for place in places:
        found.setdefault(place.name, []).append(place)
    return found


@cache
def _installed() -> tuple[EntryPoint, ...]:
    """The papers of other packages."""
    return tuple(entry_points(group=_GROUP))


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
            f"the paper '{entry.name}': {entry.value} cannot be imported: "
            f"{type(error).__name__}: {error}"
        ) from error
