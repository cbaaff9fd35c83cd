"""The module that Python finds as ``mmcv._ext`` where no compiled one is installed."""

from __future__ import annotations

import sys
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from typing import TYPE_CHECKING, Any, NoReturn

from mogabench.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import ModuleType

_EXTENSION = "mmcv._ext"


def provide_mmcv_ops() -> None:
    """Lets ``import mmcv.ops`` succeed, on torchvision unless a compiled extension is installed.

    An operator that has no equal in torchvision raises a `UserError` when it is called.
    """
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.append(_Finder())


class _Finder(MetaPathFinder):
    """Asked last, so that a compiled extension wins."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        return ModuleSpec(fullname, _Loader()) if fullname == _EXTENSION else None


class _Loader(Loader):
    def exec_module(self, module: ModuleType) -> None:
        from mogabench.ops.operators import OPERATORS  # only here, for it imports torch

        module.__dict__.update(OPERATORS, __getattr__=_missing)


def _missing(name: str) -> Callable[..., NoReturn]:
    if name.startswith("__"):
        raise AttributeError(name)

    def raise_error(*_args: Any, **_kwargs: Any) -> NoReturn:
        raise UserError(
            f"mmcv's operator {name} needs the compiled mmcv; the stand-in on torchvision lacks it"
        )

    return raise_error
