"""Backbones that timm lacks, one file per family; importing this package registers them all.

A new family is one new file here: every module of the folder is imported, and registers its
models with timm by ``mogabench.layers.registration.register_family``.
"""

from importlib import import_module
from pkgutil import iter_modules

from mogabench.layers.fusion import fuse

__all__ = ["fuse"]

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")
