"""The meta device without its overhead.

A tensor on the meta device is a shape, strides and a type. PyTorch works these out in Python,
at a millisecond or two for a norm, which is most of the time that a network on meta takes.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

if TYPE_CHECKING:
    from torch._ops import OpOverload


@cache
def _changes_values_only(operator: OpOverload) -> bool:
    in_place = operator._schema.is_mutable and operator._schema.name.endswith("_")
    return in_place and torch.Tag.inplace_view not in operator.tags


class SkipInitialisation(TorchDispatchMode):
    """A context in which writing into a meta tensor does nothing, for it has no values.

    Building a network under it takes less than half the time.
    """

    def __torch_dispatch__(
        self,
        func: OpOverload,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Runs the operator, unless all it does is write values into a meta tensor."""
        if _changes_values_only(func) and args[0].is_meta:
            return args[0]
        return func(*args, **(kwargs or {}))


class Replay:
    """Runs operators; one that has run on the meta device before gets the result it had then.

    What an operator that makes one new meta tensor returns depends on nothing but the shapes,
    strides and types of its arguments, and networks repeat their blocks.
    """

    def __init__(self) -> None:
        self._results: dict[Any, tuple[torch.Size, tuple[int, ...], torch.dtype]] = {}

    def __call__(self, operator: OpOverload, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The result of ``operator(*args, **kwargs)``."""
        if operator.is_view:
            return operator(*args, **kwargs)
        if operator._schema.is_mutable:
            skip = _changes_values_only(operator) and args[0].is_meta
            return args[0] if skip else operator(*args, **kwargs)
        key = (operator, _signature(args), _signature(tuple(kwargs.items())))
        if key in self._results:
            size, stride, dtype = self._results[key]
            return torch.empty_strided(size, stride, dtype=dtype, device="meta")
        result = operator(*args, **kwargs)
        if type(result) is Tensor and result.is_meta and not _shares_storage(result, args):
            self._results[key] = (result.size(), result.stride(), result.dtype)
        return result


def _signature(value: Any) -> Any:
    if isinstance(value, Tensor):
        return (value.size(), value.stride(), value.dtype, value.is_meta)
    if isinstance(value, tuple | list):
        return tuple(map(_signature, value))
    return (type(value), value)


def _shares_storage(result: Tensor, args: Any) -> bool:
    if isinstance(args, Tensor):
        return result.untyped_storage() is args.untyped_storage()
    return isinstance(args, tuple | list) and any(_shares_storage(result, arg) for arg in args)
