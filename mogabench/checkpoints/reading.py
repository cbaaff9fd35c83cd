"""Reading a checkpoint of timm, DeiT, OpenMixup, OpenMMLab, mmengine or safetensors safely."""

from __future__ import annotations

import hashlib
import json
import re
import warnings
import zipfile
import zlib
from argparse import Namespace
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor

from mogabench.checkpoints.placeholders import Placeholder, module_weights, stand_ins
from mogabench.errors import UserError, list_and_count
from mogabench.files import open_regular

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

METADATA = "mogabench"
"""The entry of a safetensors file's metadata that holds its description as JSON."""

# Where programs keep their weights; the first present wins.
_AVERAGED = (
    "state_dict_ema",
    "model_ema",
    "ema_state_dict",
    "model_ema_state_dict",
    "ema_model",
    "params_ema",
    "ema",
    "teacher",
)
_PLAIN = (
    "state_dict",
    "model",
    "model_state_dict",
    "module",
    "net",
    "network",
    "params",
    "weights",
    "weight",
    "student",
    "checkpoint",
)

_DEPTH = 4
"""How deep entries may lie in each other, such as ``ema``, ``module``."""

_DTYPES = (
    *(torch.float32, torch.float16, torch.bfloat16, torch.float64),
    *(torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool),
)
"""What PyTorch's layers keep as weights and buffers: numbers of other types are no network's."""

_CHUNK = 1 << 20

_NO_WEIGHTS = re.compile(r"optim|sched|scaler|loss|criterion|rng", re.IGNORECASE)
"""Entries of a training's state whose tensors are none of a network."""

_DESCRIPTION = ("arch", "epoch", "metric", "args", "meta")


@dataclass(frozen=True)
class Checkpoint:
    """What a file of weights holds.

    Attributes:
        state_dict: The weights by the names the file gives them, on the CPU.
        sha256: The file's digest in hexadecimal.
        entry: Where in the file the weights were, such as ``state_dict_ema`` or ``ema.module``;
            empty when the file is nothing but weights.
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

    The weights may lie in entries of entries, or in a whole network that was pickled. What else a
    pickle holds becomes a placeholder.

    Args:
        path: A file that ``torch.save`` or safetensors wrote.
        prefer_ema: Take the averaged weights where the file has both.

    Raises:
        UserError: There is no such file, it is damaged or no checkpoint, it has no weights, or it
            asks for something that could run code.
    """
    try:
        with open_regular(path) as file:
            start = file.read(64)
            file.seek(0)
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UserError(f"cannot read the weights {path}: {error.strerror}") from error
    payload = _unpack(path, start)
    try:
        found = _find_weights(payload)
    except RecursionError as error:
        raise UserError(f"{path} is damaged: an entry of it contains itself") from error
    if not found and isinstance(payload, Placeholder):
        raise _refusal(path, type(payload).__name__)
    if not found:
        raise UserError(f"{path} holds no weights, only {_contents(payload)}")
    averaged, trained = _choose(path, found)
    entry = averaged if prefer_ema else trained
    _check_tensors(path, found[entry])
    has_both = averaged != trained
    return Checkpoint(found[entry], digest, entry, has_both, _description(payload))


def _unpack(path: Path, start: bytes) -> Any:
    if not start:
        raise UserError(f"{path} is empty; download or copy it again")
    if start.startswith(b"version https://git-lfs"):
        raise UserError(f"{path} is a Git LFS pointer, not the file itself; run 'git lfs pull'")
    if start.lstrip().startswith(b"<"):
        raise UserError(f"{path} is a web page, not a checkpoint; its download went wrong")
    is_safetensors = start[8:9] == b"{"
    try:
        return _safetensors_load(path) if is_safetensors else _torch_load(path)
    except (SafetensorError, json.JSONDecodeError) as error:
        raise UserError(f"{path} is damaged or incomplete: {error}") from error


def _safetensors_load(path: Path) -> Any:
    """The tensors; beside them, in a file of this project, the entry ``meta`` of its twin."""
    with safe_open(path, "pt") as file:
        metadata = file.metadata() or {}
    tensors = load_file(path)
    if METADATA not in metadata:
        return tensors
    return {"state_dict": tensors, "meta": json.loads(metadata[METADATA])}


def _torch_load(path: Path) -> Any:
    try:
        with torch.serialization.safe_globals(stand_ins(path)), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the error below says all that matters
            # Only the zip format can be mapped; files from before PyTorch 1.6 are read whole.
            mapped = zipfile.is_zipfile(path)
            if mapped:
                _check_sums(path)
            return torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except UserError:
        raise
    except Exception as error:  # what a damaged pickle raises can be anything
        refused = re.search(r"GLOBAL (\S+)", str(error))
        if refused:
            raise _refusal(path, refused[1]) from error
        raise UserError(
            f"{path} is not a checkpoint that PyTorch can read safely: "
            "damaged, incomplete, or another kind of file"
        ) from error


def _check_sums(path: Path) -> None:
    """Compares the parts of a zip file with their checksums, which `torch.load` does not read.

    Raises:
        UserError: A part is not what was written.
    """
    with zipfile.ZipFile(path) as archive:
        for part in archive.infolist():
            try:
                with archive.open(part) as content:
                    while content.read(_CHUNK):
                        pass
            except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError):
                raise UserError(
                    f"{path} is damaged: the checksum of its part {part.filename!r} differs; "
                    "download or copy it again"
                ) from None


def _check_tensors(path: Path, weights: Mapping[str, Tensor]) -> None:
    """Refuses tensors that are not plain arrays of numbers, as no network's are.

    Raises:
        UserError: One is sparse, nested, quantised, without content, or of another type of number.
    """
    for name, tensor in weights.items():
        kind = str(tensor.dtype).removeprefix("torch.")
        if tensor.is_nested:
            kind = "nested"
        elif tensor.layout is not torch.strided:
            kind = str(tensor.layout).removeprefix("torch.")
        elif tensor.is_meta:
            kind = "meta"
        elif tensor.dtype in _DTYPES:
            continue
        raise UserError(
            f"{path}: {name[:80]!r} is a {kind} tensor; weights are dense, of floats or integers"
        )


def _refusal(path: Path, name: str) -> UserError:
    return UserError(
        f"{path} is refused: loading it would run '{name}', which may be harmful; "
        "ask its author for the weights alone, best as .safetensors"
    )


def _find_weights(payload: Any) -> dict[str, dict[str, Tensor]]:
    """The weights in each entry that has some, by the entry's name, those inside it included."""
    found = {}
    for name, value in payload.items() if isinstance(payload, Mapping) else ():
        if isinstance(name, str) and (place := _place(value, _DEPTH)) is not None:
            path, weights = place
            found[".".join([name, *path])] = weights
    if not any(_root(entry) in _AVERAGED + _PLAIN for entry in found) and (
        own := _tensors(payload)
    ):
        return {"": own}
    return found


def _place(value: Any, depth: int) -> tuple[list[str], dict[str, Tensor]] | None:
    """Where the weights lie in an entry, and what they are."""
    if depth and isinstance(value, Mapping):
        for name in _AVERAGED + _PLAIN:
            inside = _place(value[name], depth - 1) if name in value else None
            if inside is not None:
                return [name, *inside[0]], inside[1]
    weights = _tensors(value)
    return ([], weights) if weights else None


def _choose(path: Path, found: Mapping[str, dict[str, Tensor]]) -> tuple[str, str]:
    """The entries of the averaged and of the trained weights; one twice where there is no other."""
    by_root = {_root(entry): entry for entry in found}
    averaged = [by_root[name] for name in _AVERAGED if name in by_root]
    plain = [by_root[name] for name in _PLAIN if name in by_root]
    if "state_dict" in by_root and "steps" in found.get("ema_state_dict", ()):
        # mmengine's EMA hook, whose average counts its steps, swaps the two on saving.
        return by_root["state_dict"], "ema_state_dict"
    if averaged or plain:
        return (averaged or plain)[0], (plain or averaged)[0]
    others = [entry for entry in found if not _NO_WEIGHTS.search(_root(entry))]
    if len(others) != 1:
        raise UserError(
            f"{path} holds several sets of tensors, {_names(found)}, none under a name that "
            "is known; save the weights alone"
        )
    return others[0], others[0]


def _root(entry: str) -> str:
    return entry.partition(".")[0]


def _tensors(value: Any) -> dict[str, Tensor]:
    entries = value.items() if isinstance(value, Mapping) else module_weights(value)
    return {
        name: tensor
        for name, tensor in entries
        if isinstance(name, str) and isinstance(tensor, Tensor)
    }


def _description(payload: Any) -> dict[str, Any]:
    if not isinstance(payload, Mapping):
        return {}
    found = {name: payload[name] for name in _DESCRIPTION if name in payload}
    if isinstance(found.get("args"), Namespace):
        found["args"] = vars(found["args"])
    return {
        name: value for name, value in found.items() if not isinstance(value, Placeholder | Tensor)
    }


def _contents(payload: Any) -> str:
    if isinstance(payload, Mapping):
        return _names(payload) or "an empty dictionary"
    return f"a {type(payload).__name__}"


def _names(entries: Iterable[Any]) -> str:
    return list_and_count([repr(entry)[:40] for entry in entries])
