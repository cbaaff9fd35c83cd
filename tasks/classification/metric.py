"""Top-1 and top-5 accuracy."""

from __future__ import annotations

import csv
import io
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from mogabench.engine.metric import GatheredMetric
from mogabench.errors import UserError
from mogabench.tasks.classification.folders import UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray
    from torch import Tensor


class Guess(NamedTuple):
    """What a network takes an image for.

    Attributes:
        place: The image's place in the split; -1 in a stream.
        label: Its true class; `UNKNOWN` where nothing says it.
        best: The five most probable classes, or as many as there are.
        probabilities: Of these, from 0 to 1.
    """

    place: int
    label: int
    best: list[int]
    probabilities: list[float]


def most_probable(logits: Tensor) -> tuple[Tensor, Tensor]:
    """The five most probable classes, or as many as there are, and their probabilities.

    Args:
        logits: ``(N, num_classes)``.

    Returns:
        Both ``(N, 5)``, the most probable one first.
    """
    best = logits.topk(min(5, logits.shape[1])).indices  # probabilities may be rounded equal
    return best, logits.softmax(1).gather(1, best)


class TopAccuracy(GatheredMetric):
    """Top-1 and top-5 accuracy in percent, over every image that could be read.

    Where there are fewer than five classes, top-5 takes as many as there are.

    Args:
        classes: The classes' names; empty where the data does not say, and numbers are taken.
        name_of: Gives the name of the image at a place in the split.
        declared: How many images a stream says it has; 0 where the images are listed.
    """

    def __init__(
        self,
        classes: Sequence[str] = (),
        name_of: Callable[[int], str] = str,
        declared: int = 0,
    ) -> None:
        super().__init__()
        self.classes, self.name_of, self.declared = classes, name_of, declared

    def process(self, data_batch: dict[str, Tensor], data_samples: Sequence[Tensor]) -> None:
        """Notes the most probable classes of each image of a batch."""
        labels = data_batch["labels"]
        places = data_batch.get("index", torch.full_like(labels, -1))
        columns = (places, labels, *most_probable(torch.stack(list(data_samples)).cpu()))
        rows = zip(*(column.tolist() for column in columns), strict=True)
        self.results.extend(Guess(*row) for row in rows)

    def compute_metrics(self, results: list[Guess]) -> dict[str, float]:
        """The accuracies in percent.

        Raises:
            UserError: A stream has fewer images than it says, as its reader goes on where it cannot
                read; or images have no label, as in the test splits of some data sets.
        """
        if len(results) < self.declared:
            raise UserError(
                f"only {len(results)} of the {self.declared} images to evaluate could be read: "
                "files of the stream are missing or damaged, or the declared size is wrong"
            )
        unlabelled = sum(guess.label == UNKNOWN for guess in results)
        if unlabelled:
            raise UserError(
                f"{unlabelled} of the {len(results)} images to evaluate have no label ({UNKNOWN}): "
                "take a split whose images all have one"
            )
        right = [guess.label == guess.best[0] for guess in results]
        top5 = sum(guess.label in guess.best for guess in results)
        images = Counter(guess.label for guess in results)
        hits = Counter(guess.label for guess, hit in zip(results, right, strict=True) if hit)
        self.by_class = {
            "Top-1 (%)": {self._name(n): 100 * hits[n] / images[n] for n in sorted(images)},
            "images": {self._name(n): images[n] for n in sorted(images)},
        }
        return {"top1": 100 * sum(right) / len(results), "top5": 100 * top5 / len(results)}

    def count_confusions(self, results: list[Guess]) -> tuple[Sequence[str], NDArray[np.int64]]:
        """Images by true and predicted class."""
        pairs = np.array([(guess.label, guess.best[0]) for guess in results])
        count = max(len(self.classes), int(pairs.max()) + 1)
        matrix = np.zeros((count, count), np.int64)
        np.add.at(matrix, tuple(pairs.T), 1)
        return [self._name(number) for number in range(count)], matrix

    def encode(self, results: list[Guess]) -> str:
        """CSV: the image, its class if known, and five pairs of a class and its probability."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        places = range(1, len(results[0].best) + 1)
        heads = [name for n in places for name in (f"class_{n}", f"probability_{n}")]
        writer.writerow(["image", "label", *heads])
        for guess in sorted(results):
            pairs: list[Any] = []
            for number, probability in zip(guess.best, guess.probabilities, strict=True):
                pairs += [self._name(number), f"{probability:.6f}"]
            label = "" if guess.label == UNKNOWN else self._name(guess.label)
            writer.writerow([self.name_of(guess.place), label, *pairs])
        return text.getvalue()

    def _name(self, number: int) -> str:
        return self.classes[number] if self.classes else str(number)
