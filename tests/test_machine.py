"""What records say of this machine's devices."""

from pathlib import Path

import pytest

from mogabench.machine import driver_version
from mogabench.records.provenance import cpu_name

X86 = "processor\t: {}\nvendor_id\t: AuthenticAMD\nmodel\t\t: 17\nmodel name\t: AMD EPYC\n\n"
NEOVERSE_N1 = """processor\t: {}
BogoMIPS\t: 243.75
Features\t: fp asimd evtstrm aes
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x3
CPU part\t: 0xd0c
CPU revision\t: 1

"""


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


@pytest.mark.parametrize(
    ("machine", "core", "name"),
    [
        ("x86_64", X86, "AMD EPYC (2 cores)"),
        ("aarch64", NEOVERSE_N1, "aarch64 0x41/0xd0c (2 cores)"),
        ("aarch64", NEOVERSE_N1.replace("d0c", "d4f"), "aarch64 0x41/0xd4f (2 cores)"),
        ("riscv64", "processor\t: {}\nhart\t\t: 1\n\n", "riscv64 (2 cores)"),
    ],
)
def test_processors_have_names_that_tell_them_apart(machine, core, name, monkeypatch):
    """Records are compared by them; ``/proc/cpuinfo`` of an Arm has numbers for a name."""
    monkeypatch.setattr("platform.machine", lambda: machine)
    monkeypatch.setattr(Path, "read_text", lambda _: core.format(0) + core.format(1))
    assert cpu_name.__wrapped__() == name
