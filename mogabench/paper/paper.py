"""A paper: a folder with its tables and what is known of them.

``paper.yaml`` says which paper it is (`About`), ``vocabulary.yaml`` what the heads of its tables
mean, ``counting.yaml`` who counted its operations, ``errata.yaml`` what is wrong in it. A file
``table_<ID>_<title_with_underscores>.csv`` is one table; ``ablations.yaml`` and ``figures.yaml``
are there where the paper has some. Nothing outside the folder knows the paper.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from typing import TYPE_CHECKING

from mogabench.errors import UserError, unknown
from mogabench.paper.counting import read_counting
from mogabench.paper.errata import TableErrata, read_errata, read_errata_file
from mogabench.paper.reading import build, read_yaml
from mogabench.paper.table import read_table
from mogabench.paper.vocabulary import read_vocabulary

if TYPE_CHECKING:
    from pathlib import Path

    from mogabench.paper.counting import CountingSource
    from mogabench.paper.errata import Cells
    from mogabench.paper.meta import Meta
    from mogabench.paper.table import PaperTable
    from mogabench.paper.vocabulary import Vocabulary

ABOUT = "paper.yaml"
"""The file that makes a folder a paper's."""

TABLE_NAME = "table_<ID>_<title>.csv"
"""How the file of a table is called."""

DEFAULT = "moganet"
"""The paper that commands are about where none is named."""

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class About:
    """Which paper it is.

    Attributes:
        name: What readers call it, such as ``ConvNeXt``.
        title: Its title.
        source: Where the printed numbers were read: the paper's version, or a file at a commit.
        venue: Where and when it appeared.
        url: Where it can be read.
        family: What its own networks are called in a plot's legend; its name where it is empty.
        networks: Patterns of its own networks, such as ``convnext_*``, which stand out.
        models: Patterns of those whose methods and sizes a network that a user adds to a table
            gets; its own where there are none.
        gpu: What its throughputs were measured on; empty where it prints none.
    """

    name: str
    title: str
    source: str
    venue: str = ""
    url: str = ""
    family: str = ""
    networks: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    gpu: str = ""


class Paper:
    """The tables of a paper, read when they are asked for.

    Attributes:
        name: Its name in a command line: that of its folder, or of its entry point.
        folder: Where its files are.
        about: Which paper it is.
    """

    def __init__(self, name: str, folder: Path) -> None:
        """Opens a paper.

        Raises:
            UserError: The folder has no ``paper.yaml``, or one that is malformed.
        """
        self.name = name
        self.folder = folder
        about = folder / ABOUT
        if not about.is_file():
            raise UserError(f"{folder} is not a paper's folder: it has no {ABOUT}")
        self.about: About = build(About, read_yaml(about), str(about))
        self._tables: dict[str, PaperTable] = {}
        self._errata: dict[str, Cells] = {}

    @property
    def is_default(self) -> bool:
        """Whether commands are about it where none is named."""
        return self.name == DEFAULT

    @property
    def table_ids(self) -> tuple[str, ...]:
        """The tables' names in order: 1 to 7, then A1 to A15."""
        return tuple(self._files)

    def table(self, table_id: str) -> PaperTable:
        """The table of that name, written ``A15`` or ``a15``.

        Raises:
            UserError: There is no such table, or its file is malformed.
        """
        by_folded = {name.casefold(): name for name in self._files}
        name = by_folded.get(table_id.casefold())
        if name is None:
            what = "table" if self.is_default else f"table of {self.about.name}"
            raise unknown(what, table_id, self.table_ids)
        if name not in self._tables:
            path, title = self._file(name)
            self._tables[name] = read_table(path, name, title, self)
        return self._tables[name]

    def tables(self) -> list[PaperTable]:
        """Every table that can be read, in order; of the others a message says what is wrong."""
        for problem in dict.fromkeys(self.problems.values()):  # of a file that all need, once
            _LOG.error("mogabench: %s", problem)
        return [self.table(name) for name in self.table_ids if name not in self.problems]

    @cached_property
    def problems(self) -> dict[str, str]:
        """What is wrong with each malformed table, by its name; it breaks no other."""
        found = {}
        for name in self.table_ids:
            try:
                self.table(name)
                self.errata(name)
            except UserError as error:
                found[name] = str(error)
        return found

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """What the heads mean."""
        return read_vocabulary(self.folder / "vocabulary.yaml")

    @cached_property
    def counting_sources(self) -> tuple[CountingSource, ...]:
        """Who counted the printed operations, in the file's order."""
        return read_counting(self.folder / "counting.yaml")

    def counting_source(self, meta: Meta) -> CountingSource | None:
        """Who counted the operations of a row: the first source that did; None for nobody."""
        return next((source for source in self.counting_sources if source.counted(meta)), None)

    def errata(self, table_id: str) -> Cells:
        """What is known to be wrong with a table's cells, by row index and head.

        Raises:
            UserError: An entry is malformed, or names no cell.
        """
        if table_id not in self._errata:
            path = self.folder / "errata.yaml"
            self._errata[table_id] = read_errata(self.notes(table_id), self.table(table_id), path)
        return self._errata[table_id]

    def notes(self, table_id: str) -> TableErrata:
        """What the errata say of a whole table."""
        return self._errata_file.get(table_id, TableErrata())

    @cached_property
    def _errata_file(self) -> dict[str, TableErrata]:
        path = self.folder / "errata.yaml"
        found = read_errata_file(path)
        for name in found:
            if name not in self.table_ids:
                raise UserError(f"{path}: {unknown('table', name, self.table_ids)}")
        return found

    def owns(self, backbone: str) -> bool:
        """Whether a network is one of the paper's own."""
        return _fits(backbone, self.about.networks)

    def is_model(self, backbone: str) -> bool:
        """Whether a network that a user adds to a table is measured as this one is."""
        return _fits(backbone, self.about.models or self.about.networks)

    @property
    def misnamed(self) -> list[Path]:
        """Files whose names are much like a table's, and which are read as none."""
        read = [path for paths in self._files.values() for path in paths]
        found = (path for path in sorted(self.folder.iterdir()) if path not in read)
        return [path for path in found if re.fullmatch(r"(?i)table.*\.csv", path.name)]

    @cached_property
    def _files(self) -> dict[str, list[Path]]:
        """The files of each table; more than one are refused when the table is read."""
        found: dict[str, list[Path]] = {}
        names: dict[str, str] = {}
        for path in sorted(self.folder.glob("table_*.csv")):
            if name := path.stem.split("_")[1]:
                found.setdefault(names.setdefault(name.casefold(), name), []).append(path)
        return dict(sorted(found.items(), key=lambda item: _order(item[0])))

    def _file(self, table_id: str) -> tuple[Path, str]:
        """The file of a table, and the title that its name has."""
        path, *others = self._files[table_id]
        if others:
            names = " and ".join(each.name for each in (path, *others))
            raise UserError(f"{self.folder}: table {table_id} has more files than one: {names}")
        title = "_".join(path.stem.split("_")[2:])
        if not title:
            raise UserError(f"{path}: must be called {TABLE_NAME}")
        return path, title.replace("_", " ")


def _fits(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _order(table_id: str) -> tuple[str, int, str]:
    """Sorts ``2`` before ``10`` before ``A1``."""
    letters, digits, rest = re.fullmatch(r"(\D*)(\d*)(.*)", table_id, re.DOTALL).groups()  # type: ignore[union-attr]  # it matches anything
    return letters, int(digits or 0), rest
