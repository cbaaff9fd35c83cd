"""What records say of this machine's devices."""

import pytest

from mogabench.machine import driver_version


@pytest.mark.parametrize(
    ("script", "version"),
    [
        ("echo 550.54; echo 550.54", "550.54"),
        ("echo NVIDIA-SMI has failed; exit 9", "unknown"),
        ("true", "unknown"),
        (None, "unknown"),
    ],
)
def test_a_gpu_has_a_driver_also_where_nothing_says_which(script, version, monkeypatch, tmp_path):
    """A record without one is taken for the CPU's."""
    monkeypatch.setenv("PATH", str(tmp_path))
    if script is not None:
        (tmp_path / "nvidia-smi").write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / "nvidia-smi").chmod(0o755)
    assert driver_version("cuda") == version
    assert driver_version("cpu") is None
