"""Predictions for images and sequences of the user's own, without a data set."""

from __future__ import annotations

import inspect
import io
import json
import sys
from abc import ABC, abstractmethod
from collections import Counter
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from PIL import Image

from mogabench.data.folders import is_image, walk
from mogabench.data.images import ImageError, convert_image, decode_image
from mogabench.engine.failures import naming_compiler
from mogabench.errors import UserError
from mogabench.files import expanded

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from mogabench.engine.job import Job
    from mogabench.engine.model import Trained

PIPE = "-"
"""What stands for standard input."""


@dataclass(frozen=True)
class Item:
    """Something to predict from.

    Attributes:
        name: What files and messages call it, such as ``cats/tabby.jpg``.
        content: A file, its bytes, or what was in memory.
        number: COCO's id of the image: the number that its file is named by, or else one that no
            other has.
    """

    name: str
    content: Any
    number: int

    @property
    def file(self) -> Path | None:
        """The file or folder that it is read from; None for what was in memory."""
        found = getattr(self.content, "file", self.content)
        return found if isinstance(found, Path) else None

    @property
    def states_number(self) -> bool:
        """Whether the number is the one that its file is named by."""
        return self.number == _stated_number(self.name)

    def image(self, mode: str = "RGB") -> Image.Image:
        """The image, read as an evaluation reads it.

        Args:
            mode: Pillow's.

        Raises:
            ImageError: It cannot be read.
        """
        content, name = self.content, self.name
        if isinstance(content, Path):
            try:
                content, name = content.read_bytes(), str(content)
            except OSError as error:
                raise ImageError(name, error.strerror or str(error)) from None
        if isinstance(content, bytes):
            return decode_image(content, name, mode=mode)
        return convert_image(content, name, mode=mode)

    def pixels(self) -> NDArray[np.uint8]:
        """The image ``(H, W, 3)`` in RGB.

        Raises:
            ImageError: It cannot be read.
        """
        return np.array(self.image())


@dataclass(frozen=True)
class Prediction(ABC):
    """What a network predicts from one item; each task has a class of its own.

    Attributes:
        item: What it was predicted from.
    """

    item: Item

    @abstractmethod
    def to_json(self) -> list[dict[str, Any]]:
        """The prediction as plain values: COCO's results where it has a format for them."""

    @abstractmethod
    def draw(self) -> Image.Image:
        """A picture of the prediction."""

    @abstractmethod
    def describe(self) -> str:
        """The prediction in a few words."""

    def files(self) -> Mapping[str, bytes]:
        """The content of each file that shows it, by what the file's name ends in."""
        return {".png": as_png(self.draw())}


class Predictor(ABC):
    """A network with its weights, which predicts from what it is given.

    A task derives from it and says how one item becomes an input, and the output a prediction.

    Attributes:
        job: What was opened: network, size, recipe, weights and device.
        notes: What of the weights was left out or repaired.

    Args:
        job: As above.
        model: The network.
        notes: As above.
    """

    takes: ClassVar[str] = "image"
    """What it predicts from, for messages."""

    def __init__(self, job: Job[Any, Any], model: Trained, notes: Sequence[str] = ()) -> None:
        self.job, self.notes = job, tuple(notes)
        self._count, self._taken, self._numbers = count(1), set[int](), dict[Path, int]()
        model.adapt(job)
        self._model = model.eval().to(job.device)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.job.subject.key}>"

    def predict(self, given: Any, **guides: Any) -> Any:
        """Predicts from an image or, in video prediction, from the frames that were seen.

        Args:
            given: A path, an image of Pillow's, or an array: ``(H, W)``, ``(H, W, 3)`` in RGB or
                ``(H, W, 4)``, of bytes; or a list of these. A sequence is a path, or an array of
                frames.
            **guides: What else the task takes for one image: for poses ``boxes`` of persons, each
                ``(x, y, width, height)`` in pixels.

        Returns:
            The task's `Prediction`, or a list of them for a list.

        Raises:
            UserError: It cannot be read, or the network cannot take it.
        """
        if not isinstance(given, list | tuple):
            return self.predict_item(*self._number([self._named(given)]), **guides)
        inspect.signature(self.predict_item).bind(None, **guides)  # as of one
        named = [name for name, guide in guides.items() if guide is not None]
        if named:
            raise UserError(f"{', '.join(named)} are of one {self.takes}: give one at a time")
        items = self._number([self._named(one) for one in given])
        if items:
            self.check(items)
        return [self.predict_item(item) for item in items]

    def _number(self, found: Sequence[tuple[str | None, Any]]) -> list[Item]:
        """Items with COCO's ids: the numbers that their files are named by, and 1, 2, … of others.

        A file keeps its number, and no other item has it, whichever call they are of.

        Args:
            found: Name and content of each; what has no name is called by its number.
        """
        stated = {_stated_number(name) for name, _ in found}
        others = (one for one in self._count if one not in self._taken and one not in stated)
        items = []
        for name, content in found:
            file = content.absolute() if isinstance(content, Path) else None
            number = self._numbers.get(file) if file else None
            if number is None:
                number = _stated_number(name)
                if number is None or number in self._taken:
                    number = next(others)
                self._taken.add(number)
                if file:
                    self._numbers[file] = number
            items.append(Item(name or f"{self.takes}-{number}", content, number))
        return items

    @abstractmethod
    def predict_item(self, item: Item) -> Prediction:
        """The prediction for one item.

        Raises:
            UserError: It cannot be read, or the network cannot take it.
        """

    def run(self, batch: Any) -> Any:
        """Runs one evaluation step on a collated batch.

        Raises:
            UserError: The network's kernels cannot be built.
        """
        with torch.no_grad(), naming_compiler():
            return self._model.val_step(batch)

    def find(self, places: Sequence[str]) -> list[Item]:
        """What a command line names: files, the images below folders, ``-`` for standard input.

        Raises:
            UserError: There is no such file, nothing in a folder, two have one name, or `check`
                refuses them.
        """
        found: list[tuple[str, Any]] = []
        for place in places:
            if place == PIPE:
                found.append(("stdin", sys.stdin.buffer.read()))
            else:
                found += self.find_in(expanded(place))
        items = self._number(found)
        check_names(items)
        self.check(items)
        return items

    def check(self, items: Sequence[Item]) -> None:  # noqa: B027  # most tasks take any
        """Refuses inputs that do not fit the task's options.

        Raises:
            UserError: They do not.
        """

    def find_in(self, place: Path) -> list[tuple[str, Any]]:
        """Name and content of the items in a file or a folder.

        Raises:
            UserError: There are none.
        """
        if not place.exists():
            raise UserError(f"there is no file or folder {place}")
        if not place.is_dir():
            return [(place.name, place)]
        files = [file for file in walk(place, []) if is_image(file)]
        if not files:
            raise UserError(f"{place} has no image")
        return [(file.relative_to(place).as_posix(), file) for file in files]

    def _named(self, given: Any) -> tuple[str | None, Any]:
        if isinstance(given, str | Path):
            return Path(given).name, expanded(given)
        if isinstance(given, Image.Image | np.ndarray | bytes):
            return None, given
        raise UserError(
            f"a {type(given).__name__} is no {self.takes}: give a path, an image of Pillow's or a "
            "NumPy array, or a list of these"
        )


def check_names(items: Sequence[Item]) -> None:
    """Refuses items that nothing tells apart where they go by their names.

    Raises:
        UserError: Two have one name.
    """
    names = Counter(item.name for item in items)
    repeated = [name for name, times in names.items() if times > 1]
    if repeated:
        raise UserError(
            f"several of the items are called {repeated[0]}; give a folder that holds them all"
        )


def _stated_number(name: str | None) -> int | None:
    """The number that a file is named by, such as 139 of ``val2017/000000000139.jpg``."""
    stem = Path(name or "").stem
    return int(stem) if stem.isascii() and stem.isdecimal() else None


def as_png(picture: Image.Image) -> bytes:
    """The content of a picture's PNG file."""
    file = io.BytesIO()
    picture.save(file, "png")
    return file.getvalue()


def as_json_text(predictions: Sequence[dict[str, Any]]) -> str:
    """The content of a file of predictions: a list with one of them a line."""
    lines = (json.dumps(one, ensure_ascii=False) for one in predictions)
    return "[\n" + ",\n".join(lines) + "\n]\n"
