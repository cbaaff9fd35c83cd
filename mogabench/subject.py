"""What is measured: one network on one task at one input size."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from mogabench.errors import UserError
from mogabench.sizes import is_size

if TYPE_CHECKING:
    from collections.abc import Mapping

OptionValue = str | int | float | bool | tuple[int | float, ...]


_SAME_WEIGHTS = re.compile(
    r"drop|init|img|window|^(always_partition|reaches|output_stride"
    r"|num_classes|global_pool|head|frozen_stages|norm_eval)$"
)
"""Options that may differ between a network and the one whose weights it takes: those of training,
of the sizes of images and windows, and of what lies behind the backbone."""

Name = Annotated[str, Field(max_length=2**16)]


class Subject(BaseModel):
    """A question a record answers: frozen, hashable, and written as canonical text.

    Attributes:
        task: A task's name, such as ``classification``.
        method: One of the task's methods, such as ``mask_rcnn``.
        backbone: A timm model name.
        input_size: Spatial size ``(H, W)``, or ``(T, C, H, W)`` for video, in pixels.
        options: Keyword arguments of the backbone, sorted by name.
        part: A regular expression of module names, such as ``neck|.*attn``: only what these and
            their children hold and compute is counted. None for the whole network.
        form: ``inference`` for what `mogabench.models.fuse` makes of the network; None for the
            network as it is trained.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    task: Name
    method: Name
    backbone: Name
    input_size: tuple[int, ...]
    options: tuple[tuple[str, OptionValue], ...] = ()
    part: str | None = None
    form: Literal["inference"] | None = None

    @field_validator("options", mode="before")
    @classmethod
    def _sorted_options(cls, options: Any) -> Any:
        pairs = list(options.items()) if isinstance(options, dict) else options
        if not isinstance(pairs, list | tuple) or not all(map(_is_pair, pairs)):
            raise ValueError("options should be pairs of a name and a value")
        named = [(str(name), _freeze(value)) for name, value in pairs]
        return tuple(sorted(named, key=lambda pair: pair[0]))

    @field_validator("input_size")
    @classmethod
    def _sides_of_an_image(cls, size: tuple[int, ...]) -> tuple[int, ...]:
        if not is_size(size):
            raise ValueError(f"{size} is not a size in pixels")
        return size

    @property
    def key(self) -> str:
        """The canonical text, equal for equal subjects: ``task/method/backbone@HxW?name=value``."""
        size = "x".join(map(str, self.input_size))
        options = "&".join(f"{name}={json.dumps(value)}" for name, value in self.options)
        text = f"{self.task}/{self.method}/{self.backbone}@{size}" + f"?{options}" * bool(options)
        text = text if self.part is None else f"{text} part {self.part}"
        return text if self.form is None else f"{text} for {self.form}"


def assignment(name: str, value: Any) -> str:
    """``NAME=VALUE`` as the command line reads it, the value in JSON unless it is text."""
    text = (
        value if isinstance(value, str) else json.dumps(value, separators=(",", ":"), default=str)
    )
    return f"{name}={text}"


def parse_option(text: str) -> tuple[str, OptionValue]:
    """Reads ``NAME=VALUE``, the value in JSON where it is JSON.

    Raises:
        UserError: It is not such a text, or a list of something else than numbers.
    """
    name, equals, value = text.partition("=")
    if not equals:
        raise UserError(f"--option {text} is not NAME=VALUE, such as gate_act=gelu")
    try:
        parsed = json.loads(value)
    except json.JSONDecodeError:
        return name, value
    if isinstance(parsed, list):
        if not all(isinstance(item, (int, float)) for item in parsed):
            raise UserError(f"--option {text}: a list must be of numbers")
        return name, tuple(parsed)
    return name, parsed if isinstance(parsed, (str, int, float, bool)) else value


def changes_for_weights(trained: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    """How a network's options must change for weights to compute what they were trained to.

    Args:
        trained: The options of the network that the weights are of.
        wanted: Those of the network that is to take them.

    Returns:
        What to give and to leave out on the command line; empty where nothing need change.
    """
    theirs, ours = (
        {
            f"--option {assignment(name, value)}"
            for name, value in options.items()
            if not _SAME_WEIGHTS.search(name)
        }
        for options in (trained, wanted)
    )
    steps = [f"give {option}" for option in sorted(theirs - ours)]
    steps += [f"leave out {option}" for option in sorted(ours - theirs)]
    return " and ".join(steps)


def _is_pair(item: Any) -> bool:
    return isinstance(item, list | tuple) and len(item) == 2


def _freeze(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
