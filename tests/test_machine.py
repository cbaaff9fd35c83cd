"""What records say of this machine's devices, and which of them PyTorch computes on."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from mogabench.cli.doctor import _devices
from mogabench.engine.environment import choose_device
from mogabench.errors import UserError
from mogabench.machine import driver_version, find_gpu_fault
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


@pytest.fixture
def gpu_of(monkeypatch):
    """Makes PyTorch see a GPU of a capability, and say what it was built for."""

    def make(own, built):
        known = {
            "is_available": lambda: True,
            "device_count": lambda: 1,
            "get_arch_list": built.split,
            "get_device_capability": lambda _: own,
            "get_device_name": lambda _: "Some GPU",
            "get_device_properties": lambda _: SimpleNamespace(total_memory=2**34),
        }
        for name, function in known.items():
            monkeypatch.setattr(f"torch.cuda.{name}", function)

    return make


@pytest.mark.parametrize(
    ("own", "built", "runs"),
    [
        ((7, 0), "sm_75 sm_80 sm_90 sm_120", False),  # V100 by a build for CUDA 13
        ((7, 5), "sm_75 sm_80", True),
        ((8, 9), "sm_80 sm_86", True),
        ((8, 0), "sm_75 sm_86", False),
        ((12, 0), "sm_80 sm_90a", False),
        ((12, 0), "sm_80 compute_90", True),
        ((7, 0), "sm_80 compute_80", False),
        ((12, 1), "sm_120a", True),
        ((9, 4), "gfx90a gfx942", True),
    ],
)
def test_pytorch_computes_on_a_gpu_that_it_has_code_for(own, built, runs, gpu_of):
    """CUDA's rules: a binary runs on later minor versions of its major one, PTX on all later."""
    gpu_of(own, built)
    assert bool(find_gpu_fault()) != runs


def test_a_gpu_without_code_is_not_taken(gpu_of, caplog):
    gpu_of((6, 1), "sm_75 sm_80")
    assert choose_device("auto") == "cpu"
    assert "has no code for the Some GPU (sm_61); computing on the CPU" in caplog.text
    with pytest.raises(UserError, match=r"--device cuda:0: PyTorch .* has no code for the Some"):
        choose_device("cuda:0")
    assert "has no code" in list(_devices())[-1].fix
    gpu_of((8, 6), "sm_75 sm_80")
    assert (choose_device("auto"), choose_device("cuda")) == ("cuda", "cuda")
    assert not list(_devices())[-1].fix


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
