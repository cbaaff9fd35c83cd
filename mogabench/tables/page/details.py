"""What the page tells of a cell when it is asked, each text held once."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class Details:
    """Lists of headings with their texts, numbered as they are added."""

    def __init__(self) -> None:
        self._texts: dict[str, int] = {}
        self._lists: list[list[int]] = []
        self._of_cell: dict[tuple[str, str], int] = {}

    def add(self, row: str, column: str, pairs: Iterable[tuple[str, str]]) -> int:
        """Adds what there is to say of the cell of a row; returns its number."""
        self._lists.append([self._index(text) for pair in pairs for text in pair])
        self._of_cell[row, column] = len(self._lists) - 1
        return len(self._lists) - 1

    def of(self, row: str, column: str) -> int | None:
        """The number of a cell's list; None where the page does not show the cell."""
        return self._of_cell.get((row, column))

    def as_json(self) -> str:
        """The texts, and the lists as places among them, for a ``script`` element."""
        content = {"texts": list(self._texts), "lists": self._lists}
        text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
        return text.replace("<", r"\u003c")  # a text must not end the element

    def _index(self, text: str) -> int:
        return self._texts.setdefault(text, len(self._texts))
