"""Saving a checkpoint whole or not at all."""

from __future__ import annotations

import json
import os
from typing import IO, TYPE_CHECKING, Any

import torch
from safetensors.torch import save as serialize
from torch.serialization import get_unsafe_globals_in_checkpoint

from mogabench.checkpoints.reading import METADATA
from mogabench.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from torch import Tensor


def save_checkpoint(path: Path, payload: Mapping[str, Any]) -> None:
    """Replaces the file in one step, so that a kill leaves the old checkpoint or the new one.

    Args:
        path: Where to; its folder is made where needed.
        payload: Tensors and plain Python values, so that ``weights_only=True`` can read them.

    Raises:
        UserError: The file cannot be written; one that was there before is unchanged.
        TypeError: The payload holds an object that could not be read back safely.
    """
    _replace(path, lambda file: torch.save(dict(payload), file), check=_refuse_objects)


def save_safetensors(path: Path, weights: Mapping[str, Tensor], meta: Mapping[str, Any]) -> None:
    """Likewise as safetensors, which other programs read without a pickle.

    Args:
        path: Where to.
        weights: The state dict.
        meta: The description, as `Description.to_meta` gives it, kept as JSON in the metadata.

    Raises:
        UserError: The file cannot be written; one that was there before is unchanged.
    """
    # The format knows neither other memory layouts nor tensors that share memory.
    tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in weights.items()}
    metadata = {METADATA: json.dumps(dict(meta)), "format": "pt"}
    _replace(path, lambda file: file.write(serialize(tensors, metadata)))


def _replace(
    path: Path,
    write: Callable[[IO[bytes]], object],
    check: Callable[[Path], None] = lambda _: None,
) -> None:
    temporary = path.with_name(f"{path.name}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("wb") as file:
                write(file)
                file.flush()
                os.fsync(file.fileno())
            check(temporary)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except (OSError, RuntimeError) as error:
        # PyTorch's writer hides a full disk, and Ctrl-C, behind an error of its own.
        cause = error if isinstance(error, OSError) else error.__context__
        if isinstance(cause, KeyboardInterrupt):
            raise cause from None
        if not isinstance(cause, OSError):
            raise
        raise UserError(
            f"cannot write the checkpoint {path}: {cause.strerror}; an earlier one is unchanged"
        ) from error


def _refuse_objects(path: Path) -> None:
    if objects := get_unsafe_globals_in_checkpoint(path):
        raise TypeError(f"a checkpoint holds tensors and plain values only, not {objects}")
