"""Which backbones can be built, known without importing torch.

Asking timm for its names takes seconds, so the answer is kept in the user's cache folder under a
name that changes with timm's version and with any file of `mogabench.models`.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from contextlib import suppress
from functools import cache
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mogabench.errors import UserError, unknown
from mogabench.files import write_whole

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from types import ModuleType

    from torch import nn


def cache_folder() -> Path:
    """Where downloads and caches go: ``MOGABENCH_CACHE``, else below the user's cache folder."""
    user_cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(os.environ.get("MOGABENCH_CACHE") or user_cache / "mogabench")


_imported: dict[str, ModuleType] = {}


def import_packages(packages: list[str] | None) -> None:
    """Imports packages that register backbones with timm, or define a task.

    Raises:
        UserError: One of them cannot be imported.
    """
    for package in packages or ():
        if str(Path.cwd()) not in sys.path:
            sys.path.append(str(Path.cwd()))
        try:
            module = import_module(package)
        except Exception as error:  # a user's module may fail in any way
            raise UserError(
                f"--import {package}: {type(error).__name__}: {error}; install the package, or "
                "call from the folder that holds it"
            ) from error
        _imported[package] = module
        backbones.cache_clear()


def imported_modules() -> list[ModuleType]:
    """What `import_packages` has imported."""
    return list(_imported.values())


@cache
def backbones() -> frozenset[str]:
    """Every name that ``timm.create_model`` knows, the project's own and imported ones included."""
    remembered = cache_folder() / f"backbones-{_fingerprint()}.json"
    if not _imported and remembered.exists():
        return frozenset(json.loads(remembered.read_text()))
    names = _ask_timm()
    if not _imported:
        with suppress(UserError):
            write_whole(remembered, json.dumps(names))
    return frozenset(names)


def check_backbone(name: str, valid: Collection[str]) -> str:
    """Returns the name if it is among the valid ones, leaving aside a tag such as ``.in1k``.

    Raises:
        UserError: It is not; the nearest names are suggested.
    """
    if name.split(".", 1)[0] not in valid:
        raise unknown("backbone", name, valid)
    return name


def create_network(
    name: str, options: Mapping[str, Any], size: tuple[int, ...] | None = None
) -> nn.Module:
    """Builds a timm network, the project's own and imported ones included.

    Args:
        name: timm's name of it.
        options: Its keyword arguments.
        size: ``(H, W)`` of its images, for a network that must be built for one size.

    Raises:
        UserError: There is no such network, or it has no such option.
    """
    import timm

    import_module("mogabench.models")
    if not timm.is_model(name):
        raise unknown("backbone", name, timm.list_models())
    given = dict(options)
    if size is not None and fixed_size(name) not in (None, size):
        given["img_size"] = size
    try:
        network: nn.Module = timm.create_model(name, **given)
    except (TypeError, RuntimeError, AttributeError) as error:
        reason = str(error).partition("() ")[2] or str(error)
        raise UserError(f"{name} cannot be built with {dict(options)}: {reason}") from error
    return network


def fixed_size(name: str) -> tuple[int, ...] | None:
    """The ``(H, W)`` that a network is built for by default; None if it takes any."""
    import timm

    import_module("mogabench.models")
    config = timm.get_pretrained_cfg(name)
    return config.input_size[1:] if config and config.fixed_input_size else None


def _ask_timm() -> list[str]:
    import timm

    import_module("mogabench.models")
    return sorted(timm.list_models())


def _fingerprint() -> str:
    models = sorted((Path(__file__).parent / "models").glob("*.py"))
    stamp = [f"{path.name} {path.stat().st_mtime_ns}" for path in models]
    text = "\n".join([version("timm"), version("torchvision"), *stamp])
    return hashlib.sha256(text.encode()).hexdigest()[:16]
