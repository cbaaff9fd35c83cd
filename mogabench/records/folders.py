"""Where results are: those of the package, and the user's own over them."""

from __future__ import annotations

import os
from importlib.resources import files
from pathlib import Path

from mogabench.files import expanded
from mogabench.records.store import Store


def packaged_results() -> Path:
    """The results that come with the package; in a checkout, its folder ``results``."""
    return Path(str(files("mogabench.results")))


def default_results() -> Path:
    """The folder of the user's own results: ``$XDG_DATA_HOME/mogabench``.

    Without that variable (or with a relative path in it, which its specification rules out) it is
    ``~/.local/share/mogabench``.
    """
    data_home = Path(os.environ.get("XDG_DATA_HOME", ""))
    if not data_home.is_absolute():
        data_home = Path.home() / ".local" / "share"
    return data_home / "mogabench"


def open_store(results: Path | None = None) -> Store:
    """Opens a results folder, whose records are read over those of the package.

    Args:
        results: The folder to write to; None for `default_results`. Where it is the package's
            own folder, as ``--results results`` is in a checkout, its records are read once.
    """
    own, packaged = expanded(results or default_results()), packaged_results()
    return Store(own, base=None if own.resolve() == packaged.resolve() else packaged)
