"""In which type operators compute."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def widen(*tensors: Tensor) -> list[Tensor]:
    """The tensors in one type that torchvision has kernels for: float32, or float64 if any is."""
    dtype = torch.float32
    for tensor in tensors:
        dtype = torch.promote_types(dtype, tensor.dtype)
    return [tensor.to(dtype) for tensor in tensors]


def autocast_type(x: Tensor) -> torch.dtype:
    """The type that autocast asks for where a tensor is, or that of the tensor."""
    device = x.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else x.dtype


def in_autocast_type(*values: Tensor | None) -> list[Any]:
    """The values in the type that autocast asks for, or that of the first."""
    assert values[0] is not None
    dtype = autocast_type(values[0])
    return [None if value is None else value.to(dtype) for value in values]
