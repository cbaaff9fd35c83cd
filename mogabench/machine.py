"""The devices of this machine, as records name them."""

from __future__ import annotations

import shutil
import subprocess

import torch

from mogabench.records.provenance import cpu_name

_UNKNOWN = "unknown"


def device_name(device: str) -> str:
    """The name a reader would know the device by, such as ``NVIDIA H200``."""
    return cpu_name() if device == "cpu" else torch.cuda.get_device_name()


def driver_version(device: str) -> str | None:
    """The version of the GPU's driver, by ``nvidia-smi``.

    Returns:
        ``unknown`` where that is not there or fails; None on the CPU, which records are told by.
    """
    if device == "cpu":
        return None
    if not shutil.which("nvidia-smi"):
        return _UNKNOWN
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    is_answer = answer.returncode == 0  # else the output says what failed
    return next(iter(answer.stdout.splitlines()), _UNKNOWN) if is_answer else _UNKNOWN
