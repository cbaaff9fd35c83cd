"""A mesh network with its body model, as mmengine trains and evaluates it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from mmengine.model import BaseModel

from mogabench.errors import UserError
from mogabench.mesh.code import CODES, from_axis_angle, to_sixes
from mogabench.mesh.losses import losses

if TYPE_CHECKING:
    from torch import Tensor

    from mogabench.engine.job import Job
    from mogabench.mesh.body import Body, Hand, Head
    from mogabench.mesh.code import Parameters
    from mogabench.mesh.network import MeshNetwork
    from mogabench.recipes.mesh_schema import MeshLoss


class MeshEstimator(BaseModel):
    """A network with a body model, the losses and autocast.

    Args:
        network: Maps images to vectors.
        body: Makes a mesh of what a vector says.
        job: Decides method, precision and layout.
        loss: What each loss weighs; None to evaluate only.
    """

    def __init__(
        self, network: MeshNetwork, body: Hand | Head, job: Job, loss: MeshLoss | None
    ) -> None:
        super().__init__()
        self.layout = torch.channels_last if job.channels_last else torch.contiguous_format
        self.network = network.to(memory_format=self.layout)
        self.body = body
        self.code = CODES[job.subject.method]
        self.amp: torch.dtype | None = getattr(torch, job.amp) if job.amp else None
        self.loss = loss

    def forward(
        self, inputs: Tensor, mode: str = "tensor", **lesson: Tensor
    ) -> dict[str, Tensor] | list[tuple[Body, Parameters]] | Tensor:
        """The losses in mode ``loss``, bodies in mode ``predict``, else vectors.

        Args:
            inputs: Pictures ``(N, 3, H, W)``.
            mode: mmengine's ``loss``, ``predict`` or ``tensor``.
            **lesson: The other items of `mogabench.mesh.pictures.TrainingPictures`.

        Raises:
            UserError: The network's numbers are not finite, so there is no body like that.
        """
        with torch.autocast(inputs.device.type, self.amp, enabled=self.amp is not None):
            vectors: Tensor = self.network(inputs.to(memory_format=self.layout))
        if mode == "tensor":
            return vectors
        if not vectors.isfinite().all():
            raise UserError(
                "the network gives numbers that are not finite, of which no mesh can be made: its "
                "weights have diverged; a lower optimizer.lr, or no --amp, may keep them from it"
            )
        found = self.code.read(vectors.float())
        body = self.body(found)
        if mode == "predict":
            return [(body, found)]
        assert self.loss is not None
        return losses(found, body.keypoints, lesson, self.loss)


def start_from_mean_pose(network: MeshNetwork, hand: Hand) -> None:
    """Lets the regression begin with the mean pose of a hand rather than a flat one."""
    sixes = to_sixes(from_axis_angle(hand.mean_pose)).flatten()
    network.regressor.start[6 : 6 + len(sixes)] = sixes
