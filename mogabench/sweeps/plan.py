"""A plan: a YAML list of measurements, each entry a command whose options may have several values.

    - run: classification          # mogabench run classification
      backbone: [moganet_xtiny, resnet18]
      data: sample
      train: true
      seeds: 3                     # --set seed=0, 1, 2
      set: {schedule.epochs: 5}
    - profile: [moganet_small, convnext_tiny]
      dtype: [float32, bfloat16]
    - tables: [2, 3]               # every figure of them that is not measured
      data: {classification: /data/imagenet}
      train: true

A list is a grid: one measurement for each of its values. A mapping is an option that repeats, as
``NAME=VALUE`` each. ``true`` is an option without a value; ``false`` is its ``--no-NAME``, or
nothing where it has none.
"""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain, product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mogabench.data.identity import SAMPLE
from mogabench.defaults import DEFAULT_TASK
from mogabench.errors import UserError, unknown
from mogabench.escaping import command_line
from mogabench.files import read_regular, slug
from mogabench.yaml_text import YamlError, parse_yaml

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

COMMANDS = ("run", "profile", "tables")
"""What an entry of a plan begins with."""

_PLACES = {"--work-dir": 1, "--results": 1, "--workers": 1, "--nproc": 1, "--device": 1}
_MANNERS = {"--quiet", "-q", "--resume", "--skip-existing"}
"""Options that say where and how a measurement is made, not what is measured."""

_PLACED = {"--data": SAMPLE, "--weights": "official", "--class-map": None, "--boxes": None}
"""Options whose values are paths, each with the value that is a name, where it has one."""

_FILES = {"--recipe", "--import"}
"""Options whose values are names, or files: those have a suffix or a slash."""

_TWO_WAY = {("run", "--ema"), ("run", "--channels-last")}
"""Options that have a ``--no-NAME``, by command."""

_MOST_SEEDS = 10_000
"""So many trainings no sweep ends; a larger number is a mistake."""

_DIGITS = 8


@dataclass(frozen=True)
class Measurement:
    """A command to run.

    Attributes:
        words: Its arguments after ``mogabench``, without places to write to.
    """

    words: tuple[str, ...]

    @property
    def task(self) -> str:
        """The task that it measures."""
        return self.words[1] if self.words[0] == "run" else self.value("--task") or DEFAULT_TASK

    @property
    def trains(self) -> bool:
        """Whether it is a training, which can go on where it was interrupted."""
        return "--train" in self.words

    @property
    def name(self) -> str:
        """A name for its files: what it measures, and a digest of the whole command."""
        digest = hashlib.sha256(json.dumps(self.words).encode()).hexdigest()[:_DIGITS]
        network = self.value("--backbone") or self.value("--variant") or ""
        if self.words[0] == "profile":
            network = self.words[1]
        return f"{slug(f'{self.words[0]} {self.task} {network}')}-{digest}"

    def value(self, option: str) -> str | None:
        """The value of an option that is given once; None where it is not."""
        return next(iter(self.values(option)), None)

    def values(self, option: str) -> list[str]:
        """The values of an option that may be given several times."""
        pairs = zip(self.words, self.words[1:], strict=False)
        return [value for word, value in pairs if word == option]

    def __str__(self) -> str:
        return command_line(*self.words)


def read_plan(path: Path) -> list[dict[str, Any]]:
    """The entries of a plan's file.

    Raises:
        UserError: It cannot be read, or an entry is not one of `COMMANDS`.
    """
    try:
        entries = parse_yaml(read_regular(path).decode())
    except (OSError, UnicodeDecodeError, YamlError) as error:
        raise UserError(f"cannot read the plan {path}: {' '.join(str(error).split())}") from None
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise UserError(f"the plan {path} must be a YAML list of entries such as '- run: TASK'")
    for number, entry in enumerate(entries, 1):
        kinds = [name for name in COMMANDS if name in entry]
        if len(kinds) != 1:
            first = str(next(iter(entry), ""))
            raise UserError(f"entry {number} of {path}: {unknown('command', first, COMMANDS)}")
    return entries


def expand(entry: dict[str, Any]) -> list[Measurement]:
    """The measurements of a ``run`` or ``profile`` entry, one for each point of its grid.

    Raises:
        UserError: A value cannot be one of an option, or an option is not one of plans.
    """
    settings = dict(entry)
    command = "run" if "run" in settings else "profile"
    asked = settings.pop(command)
    if command == "run" and not isinstance(asked, str):
        raise UserError(f"run: {asked} is not a task's name, such as classification")
    if any(str(name).replace("_", "-") == "time-budget" for name in settings):
        raise UserError(
            "time_budget: a sweep resumes trainings that were interrupted, and --time-budget is "
            "only for new ones; state the length, such as set: {schedule.epochs: 5}"
        )
    first = [(command, str(name)) for name in as_list(asked)]
    seeds = seed_options(settings.pop("seeds", None))
    grid = [list(_words(command, name, value)) for name, value in settings.items()]
    if seeds and any(word.startswith("seed=") for way in chain(*grid) for word in way):
        raise UserError("seeds and set: {seed: …} both choose the seed: keep one of them")
    points = product(first, *grid, *([seeds] if seeds else []))
    return [Measurement(tuple(word for part in point for word in part)) for point in points]


def core(words: Sequence[str]) -> tuple[str, ...]:
    """The words that say what is measured; two commands with the same ones repeat each other.

    The device is one of them where a network is timed on it.
    """
    kept, skipped = [], 0
    names = {word.partition("=")[0] for word in words}
    is_timed = "--data" not in names or "--throughput" in names
    for word in words:
        if skipped:
            skipped -= 1
            continue
        name, equals, _ = word.partition("=")
        if name in _PLACES and not (name == "--device" and is_timed):
            skipped = 0 if equals else _PLACES[name]
        elif word not in _MANNERS:
            kept.append(word)
    return tuple(kept)


def _words(command: str, name: str, value: Any) -> Iterator[tuple[str, ...]]:
    """The ways to write an option, one for each of its values."""
    flag = f"--{str(name).replace('_', '-')}"
    for one in as_list(value):
        if isinstance(one, dict):
            yield tuple(
                word for key, item in one.items() for word in (flag, f"{key}={_text(item)}")
            )
        elif one is True:
            yield (flag,)
        elif one is False and (command, flag) in _TWO_WAY:
            yield (flag.replace("--", "--no-", 1),)
        elif one is False or one is None:
            yield ()
        else:
            yield (flag, from_anywhere(flag, _text(one)))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))


def from_anywhere(option: str, value: str) -> str:
    """A value that means the same in each folder: a relative path of what is there is completed.

    Else a command of the same words, but for the data of another folder, would be this one's.
    """
    is_file = option in _FILES and bool(Path(value).suffix or "/" in value)
    is_path = is_file or value != _PLACED.get(option, value)
    if is_path and not Path(value).is_absolute():
        with suppress(OSError, ValueError):  # there is no such file, or can be none
            return os.path.realpath(value, strict=True)
    return value


def as_list(value: Any) -> list[Any]:
    """A list; any other value as a list of it."""
    return value if isinstance(value, list) else [value]


def seed_options(value: Any) -> list[tuple[str, str]]:
    """The words that set each seed: of ``3`` those of 0, 1 and 2, of a list its own, of None none.

    Raises:
        UserError: It is something else.
    """
    if value is None:
        return []
    is_count = type(value) is int and 0 < value <= _MOST_SEEDS
    seeds = list(range(value)) if is_count else value
    if not isinstance(seeds, list) or not all(type(seed) is int for seed in seeds):
        raise UserError(
            f"seeds: {value!r} is not a number of seeds, up to {_MOST_SEEDS}, or a list of them"
        )
    return [("--set", f"seed={seed}") for seed in seeds]
