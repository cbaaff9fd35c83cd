"""The layer whose maps Grad-CAM weighs, chosen by what a network computes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn

from mogabench.analysis.grid import Grid, find_grid
from mogabench.errors import UserError, unknown

if TYPE_CHECKING:
    from collections.abc import Callable


class Layer(NamedTuple):
    """A module of a network, and the layout of its output.

    Attributes:
        name: Its name in the network.
        module: What is hooked.
        grid: Of the output of its last call.
        shape: Of that output.
    """

    name: str
    module: nn.Module
    grid: Grid
    shape: torch.Size

    @property
    def channels(self) -> int:
        """Of its maps."""
        return self.shape[1] if self.grid.layout == "NCHW" else self.shape[-1]

    def maps(self, output: Tensor) -> Tensor:
        """An output as maps ``(1, C, H, W)``; that of another call of the module as it is.

        A copy, since a later module may work in place.
        """
        maps = self.grid.maps(output) if output.shape == self.shape else output
        return maps.clone()


class _Call(NamedTuple):
    """One call of a module: its output, where that is a map, and whether the class depends on it.

    ``spread`` says whether it does so at more than one position.
    """

    layer: Layer
    spread: bool


def choose_layer(network: nn.Module, image: Tensor, name: str | None = None) -> Layer:
    """The layer for Grad-CAM: the output of the last stage, before the head.

    It is what timm's ``feature_info`` names, or else the last output of several positions. A norm
    that ends a stage is passed over: its shift of each channel adds the same to all positions, and
    so shows as background or hides what is faint. Where the head reads the class token alone, no
    other position of the last block's output has a gradient, and the last norm that has one is
    taken: the one before that block's attention, as grad-cam's authors advise.

    Args:
        network: Maps images ``(N, C, H, W)`` to logits ``(N, num_classes)``, in evaluation mode.
        image: One image ``(C, H, W)``, on the network's device.
        name: A module to take instead.

    Raises:
        UserError: There is no such layer, or its output has no positions to tell apart.
    """
    modules = dict(network.named_modules())
    if name is not None and name not in modules:
        raise unknown("layer", name, filter(None, modules))
    calls = _trace(network, image)
    if name is not None:
        return _named(calls, name, hasattr(network, "reroll"))
    calls = _up_to_last_stage(calls, getattr(network, "feature_info", None))
    chosen = next((call for call in reversed(calls) if not _is_norm(call.layer.module)), None)
    if chosen is not None and not chosen.spread:
        norms = (call for call in reversed(calls) if _is_norm(call.layer.module))
        chosen = next((call for call in norms if call.spread), None)
    if chosen is None:
        raise UserError("found no layer whose positions the class depends on; give --layer NAME")
    return chosen.layer


def _up_to_last_stage(calls: list[_Call], info: Any) -> list[_Call]:
    """Calls as wide as the last stage, to its end; all where that is not known or has no positions.

    Args:
        calls: All.
        info: The network's ``feature_info``, if it has one.
    """
    last: dict[str, Any] = info[-1] if isinstance(info, list) and info else {}
    stage, channels = last.get("module"), last.get("num_chs")
    of_width = [call for call in calls if call.layer.channels == channels]
    names = [call.layer.name for call in of_width]
    ends = [place for place, name in enumerate(names, 1) if f"{name}.".startswith(f"{stage}.")]
    return of_width[: ends[-1]] if ends else calls


def _named(calls: list[_Call], name: str, is_hiera: bool) -> Layer:
    call = next((call for call in reversed(calls) if call.layer.name == name), None)
    if call is None:
        raise UserError(f"--layer {name}: its output is not a map of several positions")
    if is_hiera and call.layer.grid != calls[-1].layer.grid:
        raise UserError(
            f"--layer {name}: Hiera's tokens are in the image's order in its last stage only; give "
            "a layer of that one"
        )
    if not call.spread:
        raise UserError(
            f"--layer {name}: the class does not depend on several of its positions; give an "
            "earlier layer"
        )
    return call.layer


def _is_norm(module: nn.Module) -> bool:
    kind = type(module).__name__
    return "Norm" in kind and "Act" not in kind  # timm's BatchNormAct2d ends with an activation


def _trace(network: nn.Module, image: Tensor) -> list[_Call]:
    """The calls of modules that give a map, in the order in which they end."""
    layout = str(getattr(network, "output_fmt", "NCHW"))
    layers: list[Layer] = []
    outputs: list[Tensor] = []

    def keep(name: str) -> Callable[..., None]:
        def hook(module: nn.Module, _: Any, output: Any) -> None:
            if isinstance(output, Tensor) and output.requires_grad:
                size = (image.shape[1], image.shape[2])
                grid = find_grid(output.shape, size, layout)
                if grid is not None:
                    layers.append(Layer(name, module, grid, output.shape))
                    outputs.append(output)

        return hook

    hooks = [
        module.register_forward_hook(keep(name)) for name, module in network.named_modules() if name
    ]
    try:
        with torch.enable_grad():
            score = network(image[None])[0].max()
    finally:
        for handle in hooks:
            handle.remove()
    gradients = torch.autograd.grad(score, outputs, allow_unused=True) if outputs else ()
    return [
        _Call(layer, gradient is not None and _is_spread(layer.grid.maps(gradient)))
        for layer, gradient in zip(layers, gradients, strict=True)
    ]


def _is_spread(gradient: Tensor) -> bool:
    return int((gradient != 0).any(dim=1).sum()) > 1
