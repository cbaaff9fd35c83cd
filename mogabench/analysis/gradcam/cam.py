"""Grad-CAM by the package of that name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mogabench.errors import import_extra

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor, nn

    from mogabench.analysis.gradcam.layer import Layer


class Activation(NamedTuple):
    """What a network sees of a class in an image.

    Attributes:
        heat: The map at the layer's resolution ``(rows, columns)``: the channels weighted by the
            mean gradient of the class's logit, negative sums at 0.
        label: The class.
        probability: That the network gives it, 0 to 1.
        predicted: The class that it gives the highest one.
    """

    heat: NDArray[np.float32]
    label: int
    probability: float
    predicted: int

    @property
    def is_empty(self) -> bool:
        """Whether no position speaks for the class."""
        return not self.heat.any()

    @property
    def half_area(self) -> float:
        """The least part of the image that holds half of the heat, 0 to 0.5."""
        falling = np.sort(self.heat, axis=None)[::-1].cumsum(dtype=np.float64)
        parts = np.concatenate([[0], falling / falling[-1]])
        return float(np.interp(0.5, parts, np.linspace(0, 1, len(parts))))


def look(
    network: nn.Module, image: Tensor, layer: Layer, probabilities: Tensor, label: int | None
) -> Activation:
    """A network's activation for one image.

    Args:
        network: As for `activation_map`.
        image: Likewise.
        layer: Likewise.
        probabilities: What the network gives each class, ``(num_classes,)``.
        label: The class; None takes the most probable one.

    Raises:
        UserError: The package is not installed.
    """
    predicted = int(probabilities.argmax())
    label = predicted if label is None else label
    heat = activation_map(network, image, layer, label)
    return Activation(heat, label, float(probabilities[label]), predicted)


def activation_map(
    network: nn.Module, image: Tensor, layer: Layer, label: int
) -> NDArray[np.float32]:
    """Grad-CAM (Selvaraju et al., ICCV 2017) of one image, at the layer's resolution.

    The package's own map is resized to the image, and its least value becomes 0; this one is what
    it computes before that.

    Args:
        network: Maps images ``(N, C, H, W)`` to logits ``(N, num_classes)``, in evaluation mode.
        image: Normalised ``(C, H, W)``, on the network's device.
        layer: Whose output is weighted.
        label: The class.

    Raises:
        UserError: The package is not installed.
    """
    package = import_package()
    cam = package.GradCAM(network, [layer.module], reshape_transform=layer.maps)
    kept = cam.activations_and_grads
    try:
        target = package.utils.model_targets.ClassifierOutputTarget(label)
        cam(image[None], [target])
        # A module that runs several times keeps each call; the layer is the last one.
        activations, gradients = kept.activations[-1].numpy(), kept.gradients[-1].numpy()
        heat = cam.get_cam_image(None, layer.module, [target], activations, gradients)[0]
    finally:
        kept.release()
        network.zero_grad(set_to_none=True)
    positive: NDArray[np.float32] = np.maximum(heat, 0)
    return positive


def import_package() -> Any:
    """The package ``grad-cam``.

    Raises:
        UserError: It is not installed, or does not import.
    """
    return import_extra("grad-cam", "analysis", module="pytorch_grad_cam")
