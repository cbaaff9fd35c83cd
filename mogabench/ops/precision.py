"""In which type torchvision's operators can compute."""

from __future__ import annotations

import torch
from torch import Tensor


def widen(*tensors: Tensor) -> list[Tensor]:
    """The tensors in one type that torchvision has kernels for: float32, or float64 if any is."""
    dtype = torch.float32
    for tensor in tensors:
        dtype = torch.promote_types(dtype, tensor.dtype)
    return [tensor.to(dtype) for tensor in tensors]
