"""The options that a task adds to the command line, and the types that a task is generic in."""

from __future__ import annotations

from typing import TypeVar

from pydantic import BaseModel, ConfigDict

from mogabench.recipes import Recipe


class TaskOptions(BaseModel):
    """The command-line options that one task adds to ``mogabench run``; none unless it derives.

    A field ``class_map: Path | None = Field(None, description="…")`` is ``--class-map``. The key
    ``metavar`` of ``json_schema_extra`` says what stands for the value in the help.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    def input_size(self, size: tuple[int, ...], *, given_by: str = "") -> tuple[int, ...]:
        """The input size, where an option says a part of it; the size itself in most tasks.

        Args:
            size: What was given, or the task's own.
            given_by: What gave it, such as ``--size 224``; empty where it is the task's own.

        Raises:
            UserError: The two contradict each other.
        """
        return size


R = TypeVar("R", bound=Recipe)
O = TypeVar("O", bound=TaskOptions)  # noqa: E741
