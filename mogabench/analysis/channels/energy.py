"""How the energy of features is spread over their channels, and where each channel is salient."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch

from mogabench.analysis.channels.layers import Layer, layers, listening
from mogabench.analysis.features import as_map
from mogabench.errors import UserError
from mogabench.progress import progress

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor, nn


class Energy(NamedTuple):
    """The energy of a layer's channels.

    Attributes:
        layer: The layer.
        energy: Of each channel: the mean square over positions and images, ``(C,)``.
        evenness: See `evenness`.
        error: Its standard error over images, by jackknife.
        side: Of the layer's maps, the shorter one.
    """

    layer: Layer
    energy: Tensor
    evenness: float
    error: float
    side: int


def measure(
    network: nn.Module, images: Sequence[Tensor], *, batch_size: int, quiet: bool = False
) -> list[Energy]:
    """Measures the energies of the channels of each of a network's `layers`.

    Args:
        network: A timm classifier in evaluation mode.
        images: At least two, each ``(C, H, W)``, on the network's device.
        batch_size: Images per pass.
        quiet: Plain lines instead of a progress bar.

    Raises:
        UserError: There are fewer than two images, or the network has no stages with maps.
    """
    if len(images) < 2:
        raise UserError(f"a standard error needs two or more readable images, not {len(images)}")
    chosen = layers(network)
    each: dict[str, list[Tensor]] = {layer.name: [] for layer in chosen}
    batches = range(0, len(images), batch_size)
    with (
        torch.inference_mode(),
        listening(network, chosen) as heard,
        progress("batches", len(batches), quiet=quiet) as step,
    ):
        for start in batches:
            batch = torch.stack(list(images[start : start + batch_size]))
            network(batch.contiguous(memory_format=torch.channels_last))
            for name, found in each.items():
                if name not in heard:
                    raise UserError(
                        f"{name}: {type(network).__name__} does not run the module that its "
                        "feature_info names"
                    )
                square = as_map(heard[name], network, batch).double().square()
                found.append(square.mean(dim=(2, 3)).cpu())
            step(f"of {len(batch)} images")
    sides = {name: min(as_map(maps, network, batch).shape[2:]) for name, maps in heard.items()}
    return [_summarise(layer, torch.cat(each[layer.name]), sides[layer.name]) for layer in chosen]


def evenness(energy: Tensor) -> Tensor:
    """The effective number of channels over their number: ``(sum e)^2 / (C sum e^2)``.

    It is 1 where all channels have the same energy, and 1 / C where one has all of it (the
    participation ratio of physics).

    Args:
        energy: ``(..., C)``, not negative.

    Returns:
        ``(...)``.
    """
    return energy.sum(-1).square() / (energy.shape[-1] * energy.square().sum(-1))


def saliency(network: nn.Module, image: Tensor, layer: Layer) -> Tensor:
    """Where the channels of a layer are active, by what they matter to the predicted class.

    The size of each channel's term of Grad-CAM (Selvaraju et al., 2017): its activations times the
    mean over positions of the gradient of the class's logit. The paper says of its saliency maps no
    more than that they are of "the activated spatial features of each channel". The product with
    the gradient of each position is noise in the middle of a network.

    Args:
        network: A timm classifier in evaluation mode.
        image: ``(C, H, W)``.
        layer: One of its `layers`.

    Returns:
        ``(D, H', W')``.
    """
    batch = image[None].contiguous(memory_format=torch.channels_last).requires_grad_()
    with listening(network, [layer]) as heard:
        logit = network(batch).max()
    (gradient,) = torch.autograd.grad(logit, heard[layer.name])
    importance = as_map(gradient, network, image).mean(dim=(2, 3), keepdim=True)
    return (as_map(heard[layer.name], network, image).detach() * importance)[0].abs()


def _summarise(layer: Layer, each: Tensor, side: int) -> Energy:
    """The energies over images ``(N, C)`` as one."""
    total, count = each.sum(dim=0), len(each)
    others = total - each
    if not (total.isfinite().all() and (others.sum(dim=1) > 0).all()):
        raise UserError(f"{layer.name}: fewer than two images give its channels finite energy")
    error = ((count - 1) ** 2 / count * evenness(others).var()).sqrt()
    return Energy(layer, total / count, float(evenness(total)), float(error), side)
