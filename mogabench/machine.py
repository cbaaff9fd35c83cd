"""The devices of this machine, as records name them."""

from __future__ import annotations

import shutil
import subprocess

import torch

from mogabench.records.provenance import cpu_name


def device_name(device: str) -> str:
    """The name a reader would know the device by, such as ``NVIDIA H200``."""
    return cpu_name() if device == "cpu" else torch.cuda.get_device_name()


def driver_version(device: str) -> str | None:
    """The version of the GPU's driver, by ``nvidia-smi``; None on the CPU."""
    if device == "cpu" or not shutil.which("nvidia-smi"):
        return None
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    return next(iter(answer.stdout.splitlines()), None)
