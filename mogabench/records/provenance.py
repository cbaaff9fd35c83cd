"""The origin of a number: command, code, packages, machine."""

from __future__ import annotations

import platform
import shlex
import subprocess
import sys
from collections import defaultdict
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from mogabench.records.schema import Provenance

_PACKAGES = (
    *("mogabench", "torch", "torchvision", "timm", "numpy", "scipy", "scikit-image"),
    *("mmengine", "mmcv", "mmcv-lite", "mmdet", "mmsegmentation", "pycocotools"),
    *("triton", "onnx", "onnxscript", "onnx-ir"),
    *("onnxruntime", "onnxruntime-gpu", "tensorrt", "openvino"),
    *("pillow", "opencv-python", "opencv-python-headless"),
)
"""What computes networks, data or metrics, or writes what does, where it is installed."""


def provenance(*, device: str, **known: Any) -> Provenance:
    """Fills in what can be read from the running process.

    Args:
        device: The device's name as a reader would know it, such as ``NVIDIA H200``; ``meta``
            where nothing was computed.
        **known: Any other field of `Provenance` that the caller knows.
    """
    commit, dirty = _source_revision()
    fields = {"command": command_line(), "commit": commit, "dirty": dirty, "packages": packages()}
    return Provenance(device=device, **(fields | known))


def remember_code() -> None:
    """Reads the code's revision and the packages' versions, which later records then name.

    What is on the disk at the end of a long run may be newer than what ran.
    """
    packages()
    _source_revision()


def command_line() -> str:
    """The command that is running, as one would type it."""
    program = Path(sys.argv[0])
    if program.name == "__main__.py":  # of ``python -m mogabench``
        program = program.parent
    return shlex.join([program.name, *sys.argv[1:]])


@cache
def packages() -> dict[str, str]:
    """Versions of Python and of the packages that decide the numbers."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


@cache
def cpu_name() -> str:
    """The processor's model name and cores; on Arm, where Linux has no name for it, its numbers.

    Without either, such as on macOS, it is what Python knows of the processor.
    """
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    fields = defaultdict(list)
    for line in lines:
        name, _, value = line.partition(":")
        fields[name.strip()].append(value.strip())
    if names := fields["model name"]:
        return f"{names[0]} ({len(names)} cores)"
    model = "/".join(fields["CPU implementer"][:1] + fields["CPU part"][:1])
    cores = sum(line.startswith("processor") for line in lines)
    return " ".join(filter(None, [platform.machine(), model, f"({cores} cores)"]))


@cache
def _source_revision() -> tuple[str | None, bool | None]:
    """Commit and dirty flag of the running source; results are output, so they do not count."""
    source = Path(__file__).resolve().parents[2]
    if not (source / ".git").exists():
        return None, None
    commit = _git(source, "rev-parse", "HEAD")
    changes = _git(source, "status", "--porcelain", "--", ".", ":!results")
    return commit, None if changes is None else bool(changes)


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()
