"""A mesh network with its body model, in training and evaluation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mogabench.engine.model import Trained
from mogabench.tasks.mesh.code import CODES, from_axis_angle, to_sixes
from mogabench.tasks.mesh.losses import losses

if TYPE_CHECKING:
    from torch import Tensor

    from mogabench.tasks.mesh.body import Body, Hand, Head
    from mogabench.tasks.mesh.code import Parameters
    from mogabench.tasks.mesh.network import MeshNetwork
    from mogabench.tasks.mesh.recipe import MeshLoss


class MeshEstimator(Trained):
    """A network with a body model and the losses.

    Args:
        network: Maps images to vectors.
        body: Makes a mesh of what a vector says.
        method: Says what a vector means.
        weights: What each loss weighs; None to evaluate only.
    """

    def __init__(
        self, network: MeshNetwork, body: Hand | Head, method: str, weights: MeshLoss | None
    ) -> None:
        super().__init__(network)
        self.body = body
        self.code = CODES[method]
        self.weights = weights

    def loss(self, inputs: Tensor, **target: Tensor) -> dict[str, Tensor]:
        """The losses of pictures ``(N, 3, H, W)``.

        Args:
            inputs: The pictures.
            **target: The other items of `mogabench.tasks.mesh.pictures.TrainingPictures`.
        """
        assert self.weights is not None
        body, found = self._bodies(inputs)
        return losses(found, body.keypoints, target, self.weights)

    def predict(self, inputs: Tensor, **_: Tensor) -> list[tuple[Body, Parameters]]:
        """The bodies in pictures ``(N, 3, H, W)``, and the vectors they were made of.

        Raises:
            UserError: The network's numbers are not finite.
        """
        return [self._bodies(inputs)]

    def _bodies(self, inputs: Tensor) -> tuple[Body, Parameters]:
        vectors: Tensor = self.run(inputs)
        found = self.code.read(vectors.float())
        return self.body(found), found


def start_from_mean_pose(network: MeshNetwork, hand: Hand) -> None:
    """Lets the regression begin with the mean pose of a hand rather than a flat one."""
    sixes = to_sixes(from_axis_angle(hand.mean_pose)).flatten()
    network.regressor.start[6 : 6 + len(sixes)] = sixes
