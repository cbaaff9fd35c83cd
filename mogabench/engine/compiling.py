"""``torch.compile`` for training, without what is wrong in some releases of PyTorch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import nn

_MENDED = "2.14"
"""The first release known to be without PyTorch's issue 178080; 2.11 has it."""


def compile_for_training(module: nn.Module, **options: object) -> None:
    """Compiles a module in place, as ``module.compile(**options)`` does.

    Releases before `_MENDED` give the gradients of factors per channel ``(1, C, 1, 1)`` the shape
    ``(C,)`` on a GPU, at which autograd stops; they compile here without the reductions that do it.
    """
    if torch.__version__ < _MENDED:
        from torch._inductor import config

        config.triton.mix_order_reduction = False
    module.compile(**options)
