"""A trained classifier and the images that it recognises."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from mogabench.data.images import ImageError
from mogabench.engine.environment import enter
from mogabench.engine.job import make_job
from mogabench.errors import UserError
from mogabench.export import in_runtime
from mogabench.files import sha256
from mogabench.models import fuse
from mogabench.tasks import get_task

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from torch import Tensor, nn

    from mogabench.records import Data
    from mogabench.subject import Subject


class Recognised(NamedTuple):
    """An image that the network recognises: its place in the data, pixels and class."""

    place: int
    image: Tensor
    label: int


@dataclass(frozen=True)
class Classifier:
    """A network with its weights, and the labelled images of a data set.

    Attributes:
        subject: The network, at the size of the images.
        network: In its fused form, on the device or in the runtime.
        images: Items with ``inputs`` ``(C, H, W)``, normalised, and ``labels``.
        data: What a record calls the images.
        weights: SHA-256 of the file.
        device: Where the network is.
        runtime: What runs it.
    """

    subject: Subject
    network: nn.Module
    images: Any
    data: Data
    weights: str
    device: str
    runtime: str

    def recognised(self, count: int, seed: int) -> tuple[list[Recognised], int]:
        """Images that the network puts into their class, drawn from all.

        Returns:
            At most as many as asked for, and how many were tried for that.

        Raises:
            UserError: There are fewer than two.
        """
        order = torch.randperm(
            len(self.images), generator=torch.Generator().manual_seed(seed)
        ).tolist()
        found: list[Recognised] = []
        tried = 0
        for index in order:
            if len(found) == count:
                break
            tried += 1
            try:
                item = self.images[index]
            except ImageError:
                continue
            image, label = item["inputs"].to(self.device), int(item["labels"])
            if self._predict(image) == label:
                found.append(Recognised(index, image, label))
        if len(found) < 2:
            raise UserError(
                f"{self.subject.backbone} recognises {len(found)} of {tried} images, and two are "
                "needed: are its weights, classes and preprocessing those of the data?"
            )
        return found, tried

    @torch.inference_mode()
    def _predict(self, image: torch.Tensor) -> int:
        return int(self.network(image[None].contiguous(memory_format=torch.channels_last)).argmax())


def open_classifier(
    subject: Subject,
    *,
    weights: str,
    data: str,
    class_map: Path | None,
    device: str,
    runtime: str,
    sized: bool,
) -> Classifier:
    """Builds a classifier with its weights, and opens the images to analyse it on.

    Args:
        subject: The network.
        weights: ``official`` or a file.
        data: As `mogabench run classification` takes it.
        class_map: Likewise.
        device: ``auto``, ``cpu`` or ``cuda``.
        runtime: ``torch`` or one of `mogabench.export.RUNTIMES`.
        sized: Whether the user chose the subject's size.

    Raises:
        UserError: Weights, network and data do not fit together.
    """
    task = get_task("classification")
    job = make_job(
        task,
        subject,
        data=data,
        options=task.Options(class_map=class_map),
        size_is_given=sized,
        recipe=None,
        overrides=(),
        weights=weights,
        train=False,
        work_dir=None,
        device=device,
        runtime=runtime,
        workers=0,
    )
    assert job.weights is not None
    enter(job.device)
    setup = task.prepare(job)
    if not hasattr(setup.test.items, "__getitem__"):
        raise UserError(f"--data {data} is a stream; an analysis needs images in folders")
    network = setup.model.network
    if runtime == "torch":
        network = fuse(network).to(job.device).to(memory_format=torch.channels_last)
    else:
        (image,) = task.example_inputs(job.subject)
        network = in_runtime(network, image, runtime)
    digest = sha256(job.weights)
    return Classifier(
        job.subject, network, setup.test.items, setup.test.identity, digest, job.device, runtime
    )


def pair_up(names: Sequence[str], weights: Sequence[str]) -> list[tuple[str, str]]:
    """Networks with their weights: one file for each, or ``official`` for all.

    Raises:
        UserError: Their numbers differ.
    """
    if list(weights) == ["official"]:
        weights = ["official"] * len(names)
    if len(weights) != len(names):
        raise UserError(
            f"--weights is given {len(weights)} time(s) for {len(names)} networks; give one file "
            "for each, in their order"
        )
    return list(zip(names, weights, strict=True))
