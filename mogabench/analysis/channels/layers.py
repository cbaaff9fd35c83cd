"""The features of a network whose channels are compared."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from torch import Tensor

from mogabench.errors import UserError
from mogabench.layers.moga import ChannelAggregation

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch import nn

_STAGES = 4


class Layer(NamedTuple):
    """Features of a stage: what a module gives, or what it is given.

    Attributes:
        stage: Counted from 1.
        point: Where in the stage, such as ``before CA``.
        module: The module.
        is_input: Whether the features are its input.
    """

    stage: int
    point: str
    module: nn.Module
    is_input: bool

    @property
    def name(self) -> str:
        """Such as ``stage 3 after CA``."""
        return f"stage {self.stage} {self.point}"


def layers(network: nn.Module) -> list[Layer]:
    """The features to compare, stage by stage.

    Of a network with channel aggregation these are the hidden channels of the last block of each
    stage, before and after they are reallocated; without reallocation there is one set of them. Of
    any other they are the outputs of four stages by timm's ``feature_info``: the last ones, or
    evenly spread ones where each block is listed.

    Raises:
        UserError: The network does not say what its stages are.
    """
    mlps: dict[str, ChannelAggregation] = {}
    for name, module in network.named_modules():
        if isinstance(module, ChannelAggregation):
            mlps[name.partition(".")[0]] = module
    if mlps:
        return [
            layer for stage, mlp in enumerate(mlps.values(), 1) for layer in _hidden(mlp, stage)
        ]
    info: Any = getattr(network, "feature_info", None)
    if not info:
        raise UserError(
            f"{type(network).__name__} has no feature_info, timm's list of a network's stages"
        )
    names = [stage["module"] for stage in info]
    chosen = names[:: -max(len(names) // _STAGES, 1)][:_STAGES][::-1]
    try:
        modules = [network.get_submodule(name) for name in chosen]
    except AttributeError as error:
        raise UserError(
            f"feature_info, timm's list of a network's stages, names what is not there: {error}"
        ) from error
    return [Layer(stage, "output", module, False) for stage, module in enumerate(modules, 1)]


def _hidden(mlp: ChannelAggregation, stage: int) -> Iterator[Layer]:
    if mlp.aggregation == "none":
        yield Layer(stage, "without CA", mlp.fc2, True)
        return
    first = mlp.decompose if mlp.aggregation == "ca" else mlp.se
    yield Layer(stage, f"before {mlp.aggregation.upper()}", first, True)
    yield Layer(stage, f"after {mlp.aggregation.upper()}", mlp.fc2, True)


@contextmanager
def listening(network: nn.Module, to: Sequence[Layer]) -> Iterator[dict[str, Tensor]]:
    """Keeps the features of layers during forward passes.

    The network goes on with copies, so that what it computes in place does not change them.

    Yields:
        The features of the last pass by the layers' names, in the network's own layout.

    Raises:
        UserError: During a pass, where a layer gives several tensors.
    """
    heard: dict[str, Tensor] = {}

    def keep_input(layer: Layer) -> Any:
        def hook(_: nn.Module, given: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
            heard[layer.name] = given[0]
            return (given[0].clone(), *given[1:])

        return hook

    def keep_output(layer: Layer) -> Any:
        def hook(_: nn.Module, given: tuple[Tensor, ...], output: Any) -> Tensor:
            if not isinstance(output, Tensor):
                raise UserError(f"{layer.name}: {type(network).__name__} gives no single map")
            heard[layer.name] = output
            return output.clone()

        return hook

    handles = [
        layer.module.register_forward_pre_hook(keep_input(layer))
        if layer.is_input
        else layer.module.register_forward_hook(keep_output(layer))
        for layer in to
    ]
    try:
        yield heard
    finally:
        for handle in handles:
            handle.remove()
