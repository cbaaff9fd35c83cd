"""Compilation around what is wrong in releases of PyTorch."""

import pytest
import torch
from torch import nn
from torch._inductor import config
from torch.torch_version import TorchVersion

from mogabench.engine.compiling import compile_for_training


@pytest.mark.parametrize(("release", "has_them"), [("2.11.0+cu130", False), ("2.14.1", True)])
def test_old_releases_compile_without_the_reductions_that_give_wrong_shapes(
    release: str, has_them: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "__version__", TorchVersion(release))
    module = nn.Linear(2, 3)
    with config.patch({"triton.mix_order_reduction": True}):
        compile_for_training(module, backend="eager")
        assert config.triton.mix_order_reduction is has_them
    assert module(torch.zeros(1, 2)).shape == (1, 3)
