"""Which code made a number, and whether that code is still the one that runs."""

from __future__ import annotations

import hashlib
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from mogabench.records.schema import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mogabench.records.schema import Record
    from mogabench.records.store import Store

_PROJECT = "mogabench"
_DIGITS = 12


def digests(modules: Iterable[str], *, packages: Iterable[str] = ()) -> dict[str, str]:
    """SHA-256, its first digits, of the source of each of the project's modules, by name.

    Args:
        modules: Their names. Others are left out: their packages' versions are in the provenance.
        packages: Those whose modules count as the project's own.
    """
    own = {_PROJECT, *packages}
    found = {name: _digest(name) for name in sorted(set(modules)) if package_of(name) in own}
    return {name: digest for name, digest in found.items() if digest is not None}


def package_of(module: str) -> str:
    """The package, or the single module, that a module is in."""
    return module.partition(".")[0]


def is_counted(key: str, store: Store) -> bool:
    """Whether there is a record of what the code that is here counts of a subject."""
    record = store.latest(key, Kind.COMPLEXITY)
    return record is not None and not is_stale(record)


def is_stale(record: Record) -> bool:
    """Whether a record was made by other code than what is here, or does not say by which.

    A module of another package that cannot be found, such as a user's, says nothing; one of this
    project was renamed or removed. A count names the code that counts; a timing may be of a network
    without any of the project's.
    """
    code: Mapping[str, str] | None = record.provenance.code
    if code is None or (not code and record.kind is Kind.COMPLEXITY):
        return True
    return any(_is_other(name, digest) for name, digest in code.items())


def _is_other(module: str, digest: str) -> bool:
    found = _digest(module)
    return package_of(module) == _PROJECT if found is None else found != digest


@cache
def _digest(module: str) -> str | None:
    source = _source(module)
    if source is None:
        return None
    lines = source.read_bytes().replace(b"\r\n", b"\n")
    return hashlib.sha256(lines).hexdigest()[:_DIGITS]


def _source(module: str) -> Path | None:
    """The file of a module, found without importing it or the packages around it."""
    path, name, origin = None, "", None
    for part in module.split("."):
        name = f"{name}.{part}".lstrip(".")
        specs = (finder.find_spec(name, path) for finder in sys.meta_path)
        spec = next((spec for spec in specs if spec is not None), None)
        if spec is None:
            return None
        path, origin = spec.submodule_search_locations, spec.origin
    return Path(origin) if origin else None
