"""How much activation memory is alive during a forward pass, and the most that ever was."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import ref

from torch import Tensor, UntypedStorage, strided

if TYPE_CHECKING:
    from collections.abc import Iterable


class LiveStorage:
    """Follows the lifetimes of tensors' storages; works on the meta device, where none exists.

    A storage counts from the first tensor seen on it until the last tensor on it dies, so views
    and in-place results cost nothing extra.

    Attributes:
        bytes: What is alive now.
        peak: The most that was alive at once.
    """

    def __init__(self, ignored: Iterable[Tensor]) -> None:
        """Starts at zero; the storages of the ``ignored`` tensors never count."""
        self.bytes = 0
        self.peak = 0
        self._ignored = [tensor.untyped_storage() for tensor in ignored]
        self._known: dict[int, ref[UntypedStorage] | None] = dict.fromkeys(map(id, self._ignored))

    def add(self, value: Any) -> None:
        """Counts the storages of a tensor, or of all in a tuple or list, that are not known yet."""
        if isinstance(value, Tensor):
            if value.layout is not strided:  # it has no storage of its own
                return
            self._add(value.untyped_storage())
        elif isinstance(value, tuple | list):
            for item in value:
                self.add(item)

    def _add(self, storage: UntypedStorage) -> None:
        key = id(storage)
        if key not in self._known:
            size = storage.nbytes()
            self._known[key] = ref(storage, partial(self._forget, key, size))
            self.bytes += size
            self.peak = max(self.peak, self.bytes)

    def _forget(self, key: int, size: int, _reference: ref[UntypedStorage]) -> None:
        del self._known[key]
        self.bytes -= size
