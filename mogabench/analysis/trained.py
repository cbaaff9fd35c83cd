"""A trained classifier that images are shown to, without a data set."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING

import torch

from mogabench.data.images import ImageError, decode_image
from mogabench.engine.environment import enter
from mogabench.engine.make_job import make_evaluation_job
from mogabench.engine.task import input_channels
from mogabench.files import sha256
from mogabench.tasks.classification import TASK
from mogabench.tasks.classification.channels import image_mode
from mogabench.tasks.classification.images import evaluation_transform
from mogabench.tasks.classification.names import stated_names

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor, nn

    from mogabench.checkpoints import Description
    from mogabench.data.normalization import Normalization
    from mogabench.subject import Subject
    from mogabench.tasks.classification.images import Transform


@dataclass(frozen=True)
class TrainedNetwork:
    """A network with its weights, and how it sees images in an evaluation.

    Attributes:
        subject: The network, at the size of the images.
        network: In evaluation mode, on the device.
        classes: Their names in label order; empty where the weights say nothing of their data.
        transform: From Pillow's images to inputs ``(C, H, W)``.
        pixels: How that normalises.
        weights: SHA-256 of the file.
        device: Where the network is.
    """

    subject: Subject
    network: nn.Module
    classes: tuple[str, ...]
    transform: Transform
    pixels: Normalization
    weights: str
    device: str

    def see(self, file: Path) -> Tensor:
        """An image file as the network's input ``(C, H, W)``, on its device.

        Raises:
            ImageError: It cannot be read.
        """
        try:
            content = file.read_bytes()
        except OSError as error:
            raise ImageError(str(file), error.strerror or str(error)) from None
        mode = image_mode(input_channels(self.subject))
        return self.transform(decode_image(content, str(file), mode=mode)).to(self.device)

    @torch.inference_mode()
    def probabilities(self, image: Tensor) -> Tensor:
        """What the network gives each class ``(num_classes,)`` for an input ``(C, H, W)``."""
        logits: Tensor = self.network(image[None])[0]
        return logits.float().softmax(dim=0)

    def show(self, image: Tensor) -> NDArray[np.float32]:
        """An input ``(C, H, W)`` as a picture ``(H, W, 3)``, 0 to 1; greys as equal colours."""
        mean, std = (torch.tensor(values)[:, None, None] for values in astuple(self.pixels))
        picture = (image.cpu() * std + mean).clamp(0, 1)[:3]
        shown: NDArray[np.float32] = picture.expand(3, -1, -1).movedim(0, -1).numpy()
        return shown


def open_trained(
    subject: Subject, *, weights: str, stated: Description | None, device: str, sized: bool
) -> TrainedNetwork:
    """Builds a classifier with its weights, without data.

    Crop and interpolation are those of the recipe that the weights state or were released with, or
    else the network's own.

    Args:
        subject: The network.
        weights: ``official`` or a file.
        stated: What the weights say of themselves; None where they say nothing.
        device: ``auto``, ``cpu`` or ``cuda``.
        sized: Whether the user chose the subject's size.

    Raises:
        UserError: Weights and network do not fit together.
    """
    job = make_evaluation_job(
        TASK, subject, stated, size_is_given=sized, weights=weights, device=device
    )
    assert job.weights is not None
    enter(job.device)
    opened = TASK.open(job)
    return TrainedNetwork(
        job.subject,
        opened.network.eval().to(job.device),
        stated_names(stated, opened.num_classes),
        evaluation_transform(job, opened.config),
        opened.pixels,
        sha256(job.weights),
        job.device,
    )
