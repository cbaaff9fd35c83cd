"""Reading a checkpoint of timm, DeiT, OpenMixup, OpenMMLab, mmengine or safetensors safely."""

from __future__ import annotations

import hashlib
import re
import warnings
import zipfile
from argparse import Namespace
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from mogabench.errors import UserError

if TYPE_CHECKING:
    from pathlib import Path

_NUMPY_SCALAR = np.float64().__reduce__()[0]
_SAFE_GLOBALS: list[Any] = [
    # timm and DeiT store their command line.
    Namespace,
    # mmpose's evaluation hook stores its best score as a numpy number; numpy 2 moved the function.
    (_NUMPY_SCALAR, "numpy.core.multiarray.scalar"),
    (_NUMPY_SCALAR, "numpy._core.multiarray.scalar"),
    np.dtype,
    type(np.dtype(np.float32)),
    type(np.dtype(np.float64)),
]

# Where toolkits keep their weights, the first present wins. mmengine's EMA hook swaps the two on
# saving: the average lies under `state_dict` and the trained weights under `ema_state_dict`.
_AVERAGED = ("state_dict_ema", "model_ema", "state_dict", "model")
_TRAINED = ("ema_state_dict", "state_dict", "model")

_DESCRIPTION = ("arch", "epoch", "metric", "args", "meta")


@dataclass(frozen=True)
class Checkpoint:
    """What a file of weights holds.

    Attributes:
        state_dict: The weights by the names the file gives them, on the CPU.
        sha256: The file's digest in hexadecimal.
        entry: Where in the file the weights were, such as ``state_dict_ema``; empty when the file
            is nothing but weights.
        has_both: Whether the file has averaged weights beside those that were trained.
        meta: What the file says of itself: ``arch``, ``epoch``, ``metric``, ``args``, ``meta``.
    """

    state_dict: dict[str, Tensor]
    sha256: str
    entry: str
    has_both: bool
    meta: dict[str, Any]


def read_state_dict(path: Path, *, prefer_ema: bool = True) -> Checkpoint:
    """Reads the weights in a file without running any code that the file may carry.

    Args:
        path: A file that ``torch.save`` or safetensors wrote.
        prefer_ema: Take the averaged weights where the file has both.

    Raises:
        UserError: There is no such file, it is damaged or no checkpoint, it has no weights, or it
            asks for something that could run code.
    """
    try:
        with path.open("rb") as file:
            start = file.read(64)
            file.seek(0)
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UserError(f"cannot read the weights {path}: {error.strerror}") from error
    payload = _unpack(path, start)
    averaged, trained = _entry(payload, _AVERAGED), _entry(payload, _TRAINED)
    entry = averaged if prefer_ema else trained
    weights = _tensors(payload[entry] if entry else payload)
    if not weights:
        raise UserError(f"{path} holds no weights, only {_contents(payload)}")
    has_both = bool(averaged and trained) and averaged != trained
    return Checkpoint(weights, digest, entry, has_both, _description(payload) if entry else {})


def _unpack(path: Path, start: bytes) -> Any:
    if not start:
        raise UserError(f"{path} is empty; download or copy it again")
    if start.startswith(b"version https://git-lfs"):
        raise UserError(f"{path} is a Git LFS pointer, not the file itself; run 'git lfs pull'")
    if start.lstrip().startswith(b"<"):
        raise UserError(f"{path} is a web page, not a checkpoint; its download went wrong")
    is_safetensors = start[8:9] == b"{"
    try:
        return load_file(path) if is_safetensors else _torch_load(path)
    except SafetensorError as error:
        raise UserError(f"{path} is damaged or incomplete: {error}") from error


def _torch_load(path: Path) -> Any:
    try:
        with torch.serialization.safe_globals(_SAFE_GLOBALS), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the error below says all that matters
            # Only the zip format can be mapped; files from before PyTorch 1.6 are read whole.
            mapped = zipfile.is_zipfile(path)
            return torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except Exception as error:  # what a damaged pickle raises can be anything
        refused = re.search(r"GLOBAL (\S+)", str(error))
        if refused:
            raise UserError(
                f"{path} is refused: to read it, '{refused[1]}' would have to run, and that could "
                "do anything; ask its author for the weights alone, best as .safetensors"
            ) from error
        raise UserError(
            f"{path} is not a checkpoint that PyTorch can read safely: "
            "damaged, incomplete, or another kind of file"
        ) from error


def _entry(payload: Any, names: tuple[str, ...]) -> str:
    """The first of the names under which there are weights; empty where there is none."""
    entries = payload if isinstance(payload, Mapping) else {}
    return next((name for name in names if isinstance(entries.get(name), Mapping)), "")


def _tensors(payload: Any) -> dict[str, Tensor]:
    entries = payload if isinstance(payload, Mapping) else {}
    return {
        name: value
        for name, value in entries.items()
        if isinstance(name, str) and isinstance(value, Tensor)
    }


def _description(payload: Mapping[str, Any]) -> dict[str, Any]:
    found = {name: payload[name] for name in _DESCRIPTION if name in payload}
    if isinstance(found.get("args"), Namespace):
        found["args"] = vars(found["args"])
    return found


def _contents(payload: Any) -> str:
    if isinstance(payload, Mapping):
        return ", ".join(map(repr, payload)) or "an empty dictionary"
    return f"a {type(payload).__name__}"
