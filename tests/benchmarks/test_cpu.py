"""What `benchmarks/cpu.py` says of memory."""

import runpy
import sys
from pathlib import Path

import pytest
import torch

CPU = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks" / "cpu.py"))
MIB = 2**20


class Pipe:
    """To a parent that has ended."""

    def __init__(self):
        self.sent = []

    def send(self, answer):
        self.sent.append(answer)

    def recv(self):
        raise EOFError


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux restarts the peak")
def test_peak_is_that_of_a_pass_and_not_of_building(monkeypatch, tmp_path):
    def build(*_):
        torch.ones(400 * MIB // 4)
        return lambda: torch.ones(100 * MIB // 4)

    monkeypatch.setattr(torch, "set_num_threads", lambda _: None)
    monkeypatch.setitem(CPU["_compete"].__globals__, "_call", build)
    pipe = Pipe()
    CPU["_compete"](pipe, CPU["Way"]("resnet18", "torch"), tmp_path, 1)
    [peak] = pipe.sent
    assert 50 * MIB < peak < 200 * MIB  # a system short of memory takes pages of the base back
