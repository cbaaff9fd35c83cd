"""SimVP in training and evaluation."""

from __future__ import annotations

from torch import Tensor, nn

from mogabench.engine.model import Trained


class Predictor(Trained):
    """A network with its loss.

    Batches are frames as bytes ``(B, 2T, C, H, W)``: the first half is seen, the second is to be
    predicted.

    Args:
        network: Maps past frames ``(B, T, C, H, W)`` to future ones.
    """

    has_one_size = True

    def __init__(self, network: nn.Module) -> None:
        super().__init__(network, {"type": "BaseDataPreprocessor", "non_blocking": True})

    def loss(self, frames: Tensor) -> dict[str, Tensor]:
        """The mean squared error."""
        seen, future = _halves(frames)
        return {"loss": nn.functional.mse_loss(self.run(seen).float(), future)}

    def predict(self, frames: Tensor) -> Tensor:
        """The predicted frames ``(B, T, C, H, W)``."""
        seen, _ = _halves(frames)
        predicted: Tensor = self.run(seen).float()
        return predicted


def _halves(frames: Tensor) -> tuple[Tensor, Tensor]:
    seen, future = (frames.float() / 255).chunk(2, dim=1)
    return seen, future
