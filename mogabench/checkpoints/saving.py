"""Saving a checkpoint whole or not at all."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import torch
from torch.serialization import get_unsafe_globals_in_checkpoint

from mogabench.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def save_checkpoint(path: Path, payload: Mapping[str, Any]) -> None:
    """Replaces the file in one step, so that a kill leaves the old checkpoint or the new one.

    Args:
        path: Where to; its folder is made where needed.
        payload: Tensors and plain Python values, so that ``weights_only=True`` can read them.

    Raises:
        UserError: The file cannot be written; one that was there before is unchanged.
        TypeError: The payload holds an object that could not be read back safely.
    """
    temporary = path.with_name(f"{path.name}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("wb") as file:
                torch.save(dict(payload), file)
                file.flush()
                os.fsync(file.fileno())
            _refuse_objects(temporary)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except (OSError, RuntimeError) as error:
        # PyTorch's writer hides a full disk behind an error of its own.
        cause = error if isinstance(error, OSError) else error.__context__
        if not isinstance(cause, OSError):
            raise
        raise UserError(
            f"cannot write the checkpoint {path}: {cause.strerror}; an earlier one is unchanged"
        ) from error


def _refuse_objects(path: Path) -> None:
    if objects := get_unsafe_globals_in_checkpoint(path):
        raise TypeError(f"a checkpoint holds tensors and plain values only, not {objects}")
