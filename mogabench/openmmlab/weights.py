"""Weights of whole detectors and segmentors, and of the backbones they begin with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mogabench.checkpoints import Misfit, Naming, load_weights, read_state_dict
from mogabench.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from torch import Tensor, nn

    from mogabench.engine.job import Job

_BACKBONE = "backbone."
_OURS = "backbone.network."
"""What a network of this project puts before the names of timm's."""


def load_for(job: Job, network: nn.Module) -> None:
    """Loads a job's weights, if it has any, into its detector or segmentor.

    To evaluate, they must be those of the whole network. A training may also begin with a whole
    network, whose classes may differ with ``new_head``, or else with the backbone alone, such as
    a classifier.

    Raises:
        UserError: The file cannot be read, or its weights do not fit.
    """
    if job.weights is None:
        return
    keys = read_state_dict(job.weights).state_dict
    if job.train and not _parts(keys) & (_parts(network.state_dict()) - {"backbone"}):
        load_weights(network.get_submodule("backbone.network"), job.weights)
    else:
        load_network(network, job.weights, new_head=job.new_head)


def load_network(network: nn.Module, path: Path, *, new_head: bool = False) -> None:
    """Loads this project's or OpenMMLab's file of a whole detector or segmentor.

    Args:
        network: With a `TimmBackbone` as ``backbone``; left as it was if anything does not fit.
        path: Any file that `read_state_dict` reads.
        new_head: Leave alone what is of another shape, as for another number of classes.

    Raises:
        UserError: The file cannot be read, or is of another network.
    """
    weights = read_state_dict(path).state_dict
    needed = network.state_dict()
    given = _named_as(weights, network)
    misfit = Misfit.between(given, needed)
    if new_head and not misfit.missing and not misfit.unexpected:
        given = {name: given[name] for name in given if name not in misfit.misshapen}
    elif misfit.names:
        advice = ""
        if not misfit.missing and not misfit.unexpected:
            advice = "; is it for other classes? --new-head trains new ones"
        elif _parts(weights) != _parts(needed):
            advice = (
                f"; its parts are {', '.join(sorted(_parts(weights)))}, those of this network are "
                f"{', '.join(sorted(_parts(needed)))}: it seems to be of another method"
            )
        raise UserError(f"{path} does not fit: {misfit.account(given, needed)}{advice}")
    network.load_state_dict(given, strict=False)


def _named_as(weights: dict[str, Tensor], network: nn.Module) -> dict[str, Tensor]:
    """The weights under the network's names, whatever the file's backbone is wrapped in."""
    if any(name.startswith(_OURS) for name in weights):
        return weights
    of_backbone = [name for name in weights if name.startswith(_BACKBONE)]
    names = Naming(network.get_submodule("backbone.network")).translate(of_backbone, skip_head=True)
    ours = {key: _OURS + name for key, name in names.items()}
    return {ours.get(key, key): tensor for key, tensor in weights.items()}


def _parts(names: Collection[str]) -> set[str]:
    return {name.partition(".")[0] for name in names}
