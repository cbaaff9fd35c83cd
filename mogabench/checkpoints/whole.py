"""The loader for all tasks: a file of a whole network, or of the backbone it begins with."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mogabench.checkpoints.description import Description
from mogabench.checkpoints.loading import Misfit, check_finite, load_weights
from mogabench.checkpoints.naming import Naming
from mogabench.checkpoints.reading import read_state_dict
from mogabench.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    from torch import Tensor, nn

    from mogabench.subject import Subject

_BACKBONE = "backbone."
"""What OpenMMLab's files put before the names of the backbone."""


def load_into(
    network: nn.Module,
    path: Path,
    subject: Subject,
    *,
    backbone: str = "",
    train: bool = False,
    new_head: bool = False,
    prefer_ema: bool = True,
    classes: Sequence[str] = (),
) -> tuple[Description | None, bool]:
    """Loads a file of the whole network or, to train, of its backbone alone.

    Args:
        network: Left as it was if anything does not fit.
        path: Any file that `read_state_dict` reads.
        subject: What the network is, which must be what the file states, if it does.
        backbone: The name within the network of the timm network; empty where it is one itself.
        train: Whether the backbone's weights are enough.
        new_head: Whether a head for other classes keeps its own, initial weights.
        prefer_ema: Take the averaged weights where the file has both.
        classes: Of the data; a file that states others is refused, unless for a new head.

    Returns:
        What the file states of itself, if it is of this project, and whether it has averaged
        weights beside those that were trained.

    Raises:
        UserError: The file cannot be read, is of another network, or of other classes.
    """
    checkpoint = read_state_dict(path, prefer_ema=prefer_ema)
    stated = Description.from_meta(checkpoint.meta.get("meta"))
    if stated is not None:
        stated.check_network(path, subject, train=train)
    heads = _parts(network.state_dict()) - {backbone.partition(".")[0]}
    is_whole = not backbone or any(
        _has_part(key, head) for key in checkpoint.state_dict for head in heads
    )
    if not is_whole and not train:
        raise UserError(
            f"{path} holds no {' or '.join(sorted(heads))}, so it cannot be evaluated; --train "
            "trains the whole network from it"
        )
    if stated is not None and is_whole and not new_head:
        stated.check_classes(path, classes, train=train)
    if not is_whole:
        load_weights(network.get_submodule(backbone), path, prefer_ema=prefer_ema)
    elif not backbone:
        load_weights(network, path, new_head=new_head, prefer_ema=prefer_ema)
    else:
        _load_whole(network, path, checkpoint.state_dict, backbone, new_head=new_head)
    return stated, checkpoint.has_both


def _load_whole(
    network: nn.Module, path: Path, weights: dict[str, Tensor], backbone: str, *, new_head: bool
) -> None:
    check_finite(path, weights)
    needed = network.state_dict()
    given = _translate(_unwrap(weights, network.state_dict()), network, backbone)
    translate = getattr(network, "translate_weights", None)  # the names of a task's own releases
    if translate is not None:
        given = translate(given)
    misfit = Misfit.compare(given, needed)
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
        raise UserError(f"{path} does not fit: {misfit.describe(given, needed)}{advice}")
    network.load_state_dict(given, strict=False)


def _unwrap(weights: dict[str, Tensor], needed: Collection[str]) -> dict[str, Tensor]:
    """The weights without what wrappers such as DDP and `torch.compile` put before their names."""
    parts = _parts(needed)
    while weights and not _parts(weights) & parts and len(_parts(weights)) == 1:
        weights = {name.partition(".")[2]: tensor for name, tensor in weights.items()}
    return weights


def _translate(weights: dict[str, Tensor], network: nn.Module, backbone: str) -> dict[str, Tensor]:
    """The weights under the network's names, whatever the file's backbone is wrapped in."""
    if any(name.startswith(f"{backbone}.") for name in weights):
        return weights
    of_backbone = [name for name in weights if name.startswith(_BACKBONE)]
    names = Naming(network.get_submodule(backbone)).translate(of_backbone, skip_head=True)
    ours = {key: f"{backbone}.{name}" for key, name in names.items()}
    return {ours.get(key, key): tensor for key, tensor in weights.items()}


def _parts(names: Collection[str]) -> set[str]:
    return {name.partition(".")[0] for name in names}


def _has_part(key: str, part: str) -> bool:
    return re.search(rf"(^|\.){re.escape(part)}\.", key) is not None
