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
from mogabench.files import expanded, write_whole

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from types import ModuleType

    from torch import nn


def cache_folder() -> Path:
    """Where downloads and caches go: ``MOGABENCH_CACHE``, else below the user's cache folder."""
    user_cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return expanded(os.environ.get("MOGABENCH_CACHE") or user_cache / "mogabench")


_imported: dict[str, ModuleType] = {}


def import_packages(packages: Iterable[str | Path] | str | Path | None) -> None:
    """Imports packages that register backbones with timm, or define a task.

    Args:
        packages: Each a name, of what is installed or lies in the current folder, or the path of a
            ``.py`` file or a package's folder; or one of these alone.

    Raises:
        UserError: One of them cannot be imported, or registers a name of timm's or the project's.
    """
    names = list(map(str, [packages] if isinstance(packages, str | Path) else packages or ()))
    taken = _packaged_backbones() if names else frozenset()
    for package in names:
        folder, name = _place(package)
        if str(folder) not in sys.path:
            sys.path.append(str(folder))  # last, so that it hides nothing that is installed
        try:
            module = import_module(name)
        except Exception as error:  # a user's module may fail in any way
            missing = isinstance(error, ModuleNotFoundError) and error.name == name.split(".")[0]
            reason = (
                f"no module {name} is installed or in {folder}; give the path of its file or folder"
                if missing
                else f"{type(error).__name__}: {error}"
            )
            raise UserError(f"--import {package}: {reason}") from error
        _check_place(package, module)
        _check_names(package, taken)
        _imported[package] = module
        backbones.cache_clear()


def _place(package: str) -> tuple[Path, str]:
    """The folder that a package is looked for in, and its name.

    Raises:
        UserError: It is a path where there is nothing, or nothing that Python can import.
    """
    if not _is_path(package):
        return Path.cwd(), package
    path = _resolve(package)
    if not path.exists():
        raise UserError(f"--import {package}: there is no such file or folder")
    name = path.name if path.is_dir() else path.stem
    if "." in name:  # which Python reads as a module within a package
        raise UserError(f"--import {package}: a module's name has no dot; rename {path.name}")
    return path.parent, name


def _resolve(package: str) -> Path:
    return expanded(package).resolve()


def _is_path(package: str) -> bool:
    return package.endswith(".py") or os.sep in package


def _check_place(package: str, module: ModuleType) -> None:
    """Refuses a module of the same name from elsewhere, where a path says which is meant.

    Raises:
        UserError: Another one was imported.
    """
    # A folder without an __init__.py has no file.
    file = getattr(module, "__file__", None) or next(iter(getattr(module, "__path__", ())), "")
    found, path = Path(file).resolve(), _resolve(package)
    if _is_path(package) and found not in (path, path / "__init__.py"):
        raise UserError(
            f"--import {package}: another module of that name is at {found}; rename yours"
        )


def _check_names(package: str, taken: frozenset[str]) -> None:
    """Refuses networks that took the names of others, and would be measured in their place.

    Raises:
        UserError: There is one.
    """
    owners = _owners() if "timm" in sys.modules else {}  # else nothing was registered
    for name in sorted(taken & owners.keys()):
        if not _is_packaged(owners[name]):
            raise UserError(
                f"--import {package}: {owners[name]} registers {name}, which is the name of a "
                "network of timm's or mogabench's; rename yours"
            )


def imported_modules() -> list[ModuleType]:
    """What `import_packages` has imported."""
    return list(_imported.values())


def imported_packages() -> list[str]:
    """What `import_packages` has imported, as other processes import it in whatever folder."""
    return [_address(module) for module in _imported.values()]


def _address(module: ModuleType) -> str:
    """The path of a module that is not within a package; else its name."""
    file = Path(getattr(module, "__file__", None) or "")
    if "." in module.__name__ or not file.name:
        return module.__name__
    return str(file.parent if file.stem == "__init__" else file)


@cache
def backbones() -> frozenset[str]:
    """Every name that ``timm.create_model`` knows, the project's own and imported ones included.

    What a program registers itself, without `import_packages`, may be missing; `check_backbone`
    knows it.
    """
    return frozenset(_ask_timm()) if _imported else _packaged_backbones()


def _packaged_backbones() -> frozenset[str]:
    """Every name that timm and the project themselves register."""
    remembered = cache_folder() / f"backbones-{_fingerprint()}.json"
    with suppress(OSError, ValueError):  # such as one of another user, or none
        return frozenset(json.loads(remembered.read_text()))
    packaged = sorted(name for name, module in _ask_timm().items() if _is_packaged(module))
    with suppress(UserError):
        write_whole(remembered, json.dumps(packaged))
    return frozenset(packaged)


def check_backbone(name: str, valid: Collection[str], kind: str) -> str:
    """Returns the name if it is among the valid ones, leaving aside a tag such as ``.in1k``.

    Args:
        name: The name. A backbone may also be one that this process has registered with timm.
        valid: The valid ones.
        kind: What a task calls its backbones.

    Raises:
        UserError: It is not; the nearest names are suggested.
    """
    if name.split(".", 1)[0] not in valid and not (kind == "backbone" and _is_registered(name)):
        raise unknown(kind, name, valid)
    return name


def _is_registered(name: str) -> bool:
    timm = sys.modules.get("timm")
    return timm is not None and timm.is_model(name)


def create_network(
    name: str, options: Mapping[str, Any], size: tuple[int, ...] | None = None
) -> nn.Module:
    """Builds a timm network, the project's own and imported ones included.

    It has what it was built with as ``built_with``, which timm forgets, and a ``pretrained_cfg``:
    timm's default for images where its function states none.

    Args:
        name: timm's name of it.
        options: Its keyword arguments. Every network takes a ``drop_path_rate`` of 0.
        size: ``(H, W)`` of its images, for a network that must be built for one size.

    Raises:
        UserError: There is no such network, it has no such option, or ``img_size`` is not the size.
    """
    import timm
    from timm.data import resolve_model_data_config
    from timm.models._features import FeatureGetterNet

    import_module("mogabench.models")
    if not timm.is_model(name):
        raise unknown("backbone", name, timm.list_models())
    given = _with_size(name, options, size)
    try:
        network = _create(name, given)
    except (TypeError, RuntimeError, AttributeError) as error:
        call = str(error).partition("() ")[2] if isinstance(error, TypeError) else ""
        reason = call or str(error)
        raise UserError(f"{name} cannot be built with {dict(options)}: {reason}") from error
    inside = [network.model] if isinstance(network, FeatureGetterNet) else []
    for module in (network, *inside):
        vars(module)["built_with"] = given
    if not hasattr(network, "pretrained_cfg"):  # which timm's builder gives
        vars(network)["pretrained_cfg"] = resolve_model_data_config(network)
    return network


def _with_size(
    name: str, options: Mapping[str, Any], size: tuple[int, ...] | None
) -> dict[str, Any]:
    """The options, with the size of the images where the network is by default built for another.

    Raises:
        UserError: They name one themselves, and so would a record.
    """
    from timm.layers import to_2tuple

    if size is None or (default := fixed_size(name)) is None:
        return dict(options)
    asked = options.get("img_size", size)
    if to_2tuple(asked) != size:
        shown = "x".join(map(str, size))
        raise UserError(
            f"--option img_size={asked} contradicts the size {shown}: give --size alone"
        )
    return dict(options) if size == default else {**options, "img_size": size}


def _create(name: str, options: dict[str, Any]) -> nn.Module:
    """timm's network, without drop path for a rate of 0 even where it takes no rate."""
    from timm.layers import DropPath
    from torchvision.ops import StochasticDepth

    try:
        network = _build(name, options)
    except TypeError:
        if options.pop("drop_path_rate", None) != 0:
            raise
        network = _build(name, options)
        for module in network.modules():
            if isinstance(module, DropPath):
                module.drop_prob = 0.0
            elif isinstance(module, StochasticDepth):
                module.p = 0.0
    return network


def _build(name: str, options: dict[str, Any]) -> nn.Module:
    """timm's network, on the meta device also where it reads numbers of tensors as it is built."""
    import timm
    import torch

    try:
        network: nn.Module = timm.create_model(name, **options)
    except (TypeError, RuntimeError) as error:
        if "meta" not in str(error):
            raise
        with torch.device("cpu"):
            network = timm.create_model(name, **options)
        network.to("meta")
    return network


def fixed_size(name: str) -> tuple[int, ...] | None:
    """The ``(H, W)`` that a network is built for by default; None if it takes any.

    Raises:
        UserError: Its name ends in a tag of weights that timm does not have.
    """
    import timm

    import_module("mogabench.models")
    try:
        config = timm.get_pretrained_cfg(name)
    except RuntimeError as error:
        raise UserError(f"{name}: {error}") from error
    return config.input_size[1:] if config and config.fixed_input_size else None


def _ask_timm() -> dict[str, str]:
    """The module of every network that is registered, by name."""
    import_module("mogabench.models")
    return _owners()


def _owners() -> dict[str, str]:
    """The module of every network that is registered so far, by name."""
    import timm

    return {name: timm.model_entrypoint(name).__module__ for name in timm.list_models()}


def builder_of(name: str) -> str | None:
    """The module whose function builds a network; None for what timm does not list."""
    import timm

    return timm.model_entrypoint(name).__module__ if timm.is_model(name) else None


def check_has_file(name: str) -> None:
    """Refuses a network without a file: nothing would say when a record of it is out of date.

    Raises:
        UserError: It is such a network.
    """
    if builder_of(name) == "__main__":
        raise UserError(
            f"{name} is defined in a notebook or in the script that runs: put it into a file of "
            "its own, and import that by mogabench.catalogue.import_packages([FILE])"
        )


def _is_packaged(module: str) -> bool:
    return module.startswith(("timm.", "mogabench."))


def _fingerprint() -> str:
    models = sorted((Path(__file__).parent / "models").glob("*.py"))
    stamp = [f"{path.name} {path.stat().st_mtime_ns}" for path in models]
    text = "\n".join([version("timm"), version("torchvision"), *stamp])
    return hashlib.sha256(text.encode()).hexdigest()[:16]
