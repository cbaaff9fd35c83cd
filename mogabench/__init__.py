"""mogabench: every table of the MogaNet paper, printed and measured side by side."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mogabench.api import count, export, load, profile, table
    from mogabench.measure.settings import Settings
    from mogabench.models import fuse
    from mogabench.tables.added import Added
    from mogabench.tasks import register_task

__version__ = "0.1.0"

__all__ = [
    "Added",
    "Settings",
    "__version__",
    "count",
    "export",
    "fuse",
    "load",
    "profile",
    "register_task",
    "table",
]

_PUBLIC = {
    "Added": "mogabench.tables.added",
    "Settings": "mogabench.measure.settings",
    "count": "mogabench.api",
    "export": "mogabench.api",
    "fuse": "mogabench.models",
    "load": "mogabench.api",
    "profile": "mogabench.api",
    "register_task": "mogabench.tasks",
    "table": "mogabench.api",
}
"""Where each public name is; importing the package imports neither PyTorch nor the tables."""


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'mogabench' has no attribute '{name}'")
    return getattr(import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_PUBLIC])
