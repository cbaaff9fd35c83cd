"""The classes of images of the user's own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from PIL import Image, ImageDraw, ImageFont, ImageOps

from mogabench.engine.drawing import FONT, TILE
from mogabench.engine.prediction import Prediction, Predictor
from mogabench.engine.task import input_channels
from mogabench.tasks.classification.channels import image_mode
from mogabench.tasks.classification.metric import most_probable
from mogabench.tasks.classification.names import class_names

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

    from mogabench.engine.model import Trained
    from mogabench.engine.prediction import Item
    from mogabench.tasks.classification.data import ClassificationJob
    from mogabench.tasks.classification.images import Transform

_LINE, _MARGIN = 22, 8
"""Height of a class in a picture, and what surrounds it, in pixels."""

_BAR, _TEXT = "#c6dbef", "#08306b"


@dataclass(frozen=True)
class ClassPrediction(Prediction):
    """The most probable classes of an image, five or as many as there are, the best one first.

    Attributes:
        labels: The classes' numbers, from 0.
        classes: Their names.
        probabilities: From 0 to 1.
    """

    labels: tuple[int, ...]
    classes: tuple[str, ...]
    probabilities: tuple[float, ...]

    def to_json(self) -> list[dict[str, Any]]:
        """One entry with the image's name and its classes."""
        found = zip(self.labels, self.classes, self.probabilities, strict=True)
        return [
            {
                "image": self.item.name,
                "classes": [
                    {"label": label, "name": name, "probability": round(share, 6)}
                    for label, name, share in found
                ],
            }
        ]

    def describe(self) -> str:
        """The names with their probabilities."""
        found = zip(self.classes, self.probabilities, strict=True)
        return ", ".join(f"{name} {share:.1%}" for name, share in found)

    def draw(self) -> Image.Image:
        """The image with its classes below it, each with a bar as long as it is probable."""
        image = ImageOps.contain(self.item.image(), (2 * TILE, 2 * TILE))
        if max(image.size) < TILE:
            image = ImageOps.contain(image, (TILE, TILE), Image.Resampling.NEAREST)
        width = max(image.width, TILE)
        below = image.height + _MARGIN
        picture = Image.new("RGB", (width, below + _LINE * len(self.labels) + _MARGIN), "white")
        picture.paste(image, ((width - image.width) // 2, 0))
        canvas, font = ImageDraw.Draw(picture), ImageFont.truetype(FONT, _LINE * 2 // 3)
        room = width - 2 * _MARGIN
        for name, share in zip(self.classes, self.probabilities, strict=True):
            canvas.rectangle(
                (_MARGIN, below + 1, _MARGIN + share * room, below + _LINE - 2), fill=_BAR
            )
            percent = f"{share:.1%}"
            start = width - _MARGIN - canvas.textlength(percent, font)
            canvas.text((start, below + 2), percent, fill=_TEXT, font=font)
            fitted = _fitted(name, canvas, font, start - 3 * _MARGIN)
            canvas.text((2 * _MARGIN, below + 2), fitted, fill=_TEXT, font=font)
            below += _LINE
        return picture


class ClassPredictor(Predictor):
    """A classifier.

    Args:
        job: See `Predictor`.
        model: Likewise.
        transform: That of an evaluation.
        classes: Their names, in label order; empty where nothing says them.
        notes: See `Predictor`.
    """

    def __init__(
        self,
        job: ClassificationJob,
        model: Trained,
        transform: Transform,
        classes: Sequence[str],
        notes: Sequence[str],
    ) -> None:
        super().__init__(job, model, notes)
        self.transform, self.classes = transform, classes
        self.mode = image_mode(input_channels(job.subject))

    def predict_item(self, item: Item) -> ClassPrediction:
        """See `Predictor`."""
        inputs = self.transform(item.image(self.mode))[None]
        logits: torch.Tensor = self.run({"inputs": inputs}).cpu()
        (best,), (probabilities,) = most_probable(logits)
        labels = best.tolist()
        names = class_names(self.classes, logits.shape[1])
        # ImageNet's names are several synonyms each.
        shown = [names[n] if self.classes else names[n].partition(", ")[0] for n in labels]
        return ClassPrediction(item, tuple(labels), tuple(shown), tuple(probabilities.tolist()))


def _fitted(text: str, canvas: ImageDraw.ImageDraw, font: Any, room: float) -> str:
    """The text, cut short where it is wider than the room that it has."""
    if canvas.textlength(text, font) <= room:
        return text
    while text and canvas.textlength(f"{text}…", font) > room:
        text = text[:-1]
    return f"{text}…"
