"""The devices of this machine, as records name them."""

from __future__ import annotations

import re
import shutil
import subprocess
import warnings

import torch

from mogabench.records.provenance import cpu_name

_UNKNOWN = "unknown"


def device_name(device: str) -> str:
    """The name a reader would know the device by, such as ``NVIDIA H200``."""
    return cpu_name() if device == "cpu" else torch.cuda.get_device_name()


def find_gpu_fault(index: int = 0) -> str:
    """Why PyTorch cannot compute on a GPU; empty where it can.

    A build for ``sm_80`` runs on 8.0 and later 8.x; of ``compute_80`` the driver makes code for
    whatever is later. PyTorch itself takes a GPU that it has no code for as available.

    Args:
        index: PyTorch's number of the GPU.
    """
    if not torch.cuda.is_available():
        return f"no GPU that PyTorch {torch.__version__} can use"
    built = re.findall(r"(sm|compute)_(\d+)(\d)", " ".join(torch.cuda.get_arch_list()))
    if not built:  # AMD's names are others
        return ""
    with warnings.catch_warnings(action="ignore"):  # PyTorch's say the same on many lines
        own = torch.cuda.get_device_capability(index)
    for kind, major, minor in built:
        is_same = kind == "compute" or int(major) == own[0]
        if is_same and (int(major), int(minor)) <= own:
            return ""
    name, number = torch.cuda.get_device_name(index), "".join(map(str, own))
    return f"PyTorch {torch.__version__} has no code for the {name} (sm_{number})"


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
