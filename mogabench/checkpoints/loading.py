"""The loader of weights for all tasks: a file fits into a network, or leaves it as it was."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import torch

from mogabench.checkpoints.description import Description
from mogabench.checkpoints.fitting import (
    Fit,
    clean,
    fit_model,
    fit_network,
    is_whole,
    other_parts,
)
from mogabench.checkpoints.mismatch import Mismatch, hint
from mogabench.checkpoints.naming import Naming, part_of
from mogabench.checkpoints.reading import Checkpoint, read_state_dict
from mogabench.errors import UserError, list_and_count

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from pathlib import Path

    from torch import Tensor, nn

    from mogabench.subject import Subject

    Weights = dict[str, Tensor]


@dataclass(frozen=True)
class Report:
    """What was loaded from where.

    Attributes:
        path: The file.
        sha256: Its digest in hexadecimal.
        entry: Where in the file the weights were, such as ``state_dict_ema``.
        has_both: Whether the file has averaged weights beside those that were trained.
        stated: What the file says of itself, if it is of this project.
        loaded: Number of tensors that the model took.
        ignored: Names in the file that are no part of the model: a detector's neck and head, the
            classifier of a network that is used for its features.
        notes: What was left out or repaired, a line for each kind.
        new_head: Whether the model kept its own, freshly initialised classifier.
    """

    path: Path
    sha256: str
    entry: str
    has_both: bool
    stated: Description | None
    loaded: int
    ignored: tuple[str, ...]
    notes: tuple[str, ...]
    new_head: bool

    def lines(self) -> list[str]:
        """What was taken, left out and repaired, a line for each kind, with the file's name."""
        lines = list(self.notes)
        if self.ignored:
            count = len(self.ignored)
            lines.append(f"{count} tensors were left out, such as {self.ignored[0]}")
        return [f"{self.path.name}: {line}" for line in lines]


def load_weights(
    model: nn.Module, path: Path, *, new_head: bool = False, prefer_ema: bool = True
) -> Report:
    """Loads a file into a timm-style model, which is left as it was if anything does not fit.

    Names are matched whatever the file puts before or into them (``module.``, ``backbone.``,
    ``_orig_mod.``, …), also where they are those of the family's own release, and the classifier
    ``head.fc`` of OpenMixup goes to the model's own. A network without a classifier ignores the
    file's, and the stages that it was built without. Position embeddings of another image size are
    resampled.

    Args:
        model: The network, wrapped or not.
        path: Any file that ``read_state_dict`` reads.
        new_head: Leave the model's own classifier as it is.
        prefer_ema: Take the averaged weights where the file has both.

    Raises:
        UserError: The file cannot be read, its weights are not those of this model, or not finite.
    """
    checkpoint = read_state_dict(path, prefer_ema=prefer_ema)
    return _load_model(model, path, checkpoint, new_head=new_head)


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
    class_map: bool = False,
    of_classes: Collection[str] = (),
) -> Report:
    """Loads a file of a task's whole network or, to train, of its backbone alone.

    Args:
        network: Left as it was if anything does not fit.
        path: Any file that `read_state_dict` reads.
        subject: What the network is, which must be what the file states, if it does.
        backbone: The name within the network of the timm network; empty where it is one itself.
        train: Whether the backbone's weights are enough.
        new_head: Whether the head keeps its own, initial weights.
        prefer_ema: Take the averaged weights where the file has both.
        classes: Of the data; a file that states others is refused, unless for a new head.
        class_map: Whether a class map may name them.
        of_classes: The tensors beside the backbone that are new with a new head, whatever their
            shapes in the file.

    Raises:
        UserError: The file cannot be read, is of another network, or of other classes.
    """
    checkpoint = read_state_dict(path, prefer_ema=prefer_ema)
    stated = Description.from_meta(checkpoint.meta.get("meta"))
    if stated is not None:
        stated.check_network(path, subject, train=train)
    weights, left_out, notes = clean(checkpoint.state_dict, network.state_dict())
    whole = is_whole(weights, network, backbone)
    if not whole and not train:
        parts = " or ".join(sorted(other_parts(network, backbone)))
        raise UserError(f"{path} holds no {parts}: give weights of the whole network")
    if stated is not None and whole and not new_head:
        stated.check_classes(path, classes, train=train, class_map=class_map)
    if not backbone:
        advise = partial(_advice, named=bool(classes), train=train, class_map=class_map)
        return _load_model(network, path, checkpoint, new_head=new_head, advise=advise)
    if not whole:
        return _load_model(network.get_submodule(backbone), path, checkpoint)
    fit = fit_network(weights, network, backbone)
    _check_rivals(path, fit)
    given = _check_network(path, fit, network, backbone, new_head=new_head)
    if new_head:
        given = {name: tensor for name, tensor in given.items() if name not in of_classes}
    _check_numbers(path, given, network.state_dict())
    network.load_state_dict(given, strict=False)
    ignored = (*fit.ignored, *left_out)
    return _report(path, checkpoint, len(given), ignored, (*notes, *fit.notes), new_head=new_head)


def _load_model(
    model: nn.Module,
    path: Path,
    checkpoint: Checkpoint,
    *,
    new_head: bool = False,
    advise: Callable[[int], str] = lambda _: "",
) -> Report:
    target = _innermost(model)
    naming, own = Naming(target), target.state_dict()
    weights, left_out, notes = clean(checkpoint.state_dict, own)
    fit = fit_model(weights, target, skip_head=new_head)
    _check_rivals(path, fit)
    needed = {name: own[name] for name in own if not (new_head and naming.in_head(name))}
    mismatch = Mismatch.compare(fit.given, needed)
    if mismatch.names and all(map(naming.in_head, mismatch.names)):
        raise UserError(f"{path} {_other_head(mismatch, fit.given, needed, advise)}")
    if mismatch.names:
        raise UserError(
            f"{path} does not fit {_title(target)}: {mismatch.describe(fit.given, needed)}"
            f"{hint(fit.given, needed, checkpoint.meta)}"
        )
    _check_numbers(path, fit.given, own)
    target.load_state_dict(fit.given, strict=False)
    ignored = (*fit.ignored, *left_out)
    notes = [*notes, *fit.notes]
    return _report(path, checkpoint, len(fit.given), ignored, notes, new_head=new_head)


def _check_network(
    path: Path, fit: Fit, network: nn.Module, backbone: str, *, new_head: bool
) -> Weights:
    """What of a fit a task's network takes: all of it, or all but what a new head replaces."""
    given, needed = fit.given, network.state_dict()
    mismatch = Mismatch.compare(given, needed)
    is_head = not any(name.startswith(f"{backbone}.") for name in mismatch.names)
    is_head = is_head and not mismatch.missing and not mismatch.unexpected
    if new_head and is_head:
        return {name: given[name] for name in given if name not in mismatch.misshapen}
    if not mismatch.names:
        return given
    if is_head:
        advice = "; is it for other classes? --new-head trains new ones"
    elif _parts(given) != _parts(needed):
        advice = (
            f"; its parts are {_listed(_parts(given))}, those of this network are "
            f"{_listed(_parts(needed))}: it seems to be of another method"
        )
    else:
        own = network.get_submodule(backbone).state_dict()
        inside = f"{backbone}."
        advice = hint(
            {k.removeprefix(inside): v for k, v in given.items() if k.startswith(inside)}, own, {}
        )
    raise UserError(f"{path} does not fit: {mismatch.describe(given, needed)}{advice}")


def _check_rivals(path: Path, fit: Fit) -> None:
    if fit.rivals:
        raise UserError(
            f"{path} holds several networks that fit, under {_listed(fit.rivals)}; save the "
            "weights of one alone"
        )


def _check_numbers(path: Path, weights: Weights, own: Weights) -> None:
    """Refuses integers for what are floats, and numbers that are not finite."""
    for name, value in weights.items():
        if own[name].is_floating_point() and not value.is_floating_point():
            raise UserError(
                f"{path}: {name} holds {str(value.dtype).removeprefix('torch.')}, not floats"
            )
    spoiled = [name for name, value in weights.items() if _is_spoiled(value, own[name])]
    if spoiled:
        raise UserError(
            f"{path} holds numbers that are not finite, such as in {spoiled[0]}: the training that "
            "it comes from has diverged"
        )


def _is_spoiled(value: Tensor, own: Tensor) -> bool:
    """Whether numbers are not finite, and not so in the network, as -inf in an attention mask."""
    value = value.to(own.dtype)
    return not value.isfinite().all() and not torch.equal(value.to(own.device), own)


def _report(
    path: Path,
    checkpoint: Checkpoint,
    loaded: int,
    ignored: Sequence[str],
    notes: Sequence[str],
    *,
    new_head: bool,
) -> Report:
    stated = Description.from_meta(checkpoint.meta.get("meta"))
    if checkpoint.has_both:
        notes = [f"several sets of weights: loaded '{checkpoint.entry}'", *notes]
    return Report(
        path,
        checkpoint.sha256,
        checkpoint.entry,
        checkpoint.has_both,
        stated,
        loaded,
        tuple(ignored),
        tuple(notes),
        new_head,
    )


def _innermost(model: nn.Module) -> nn.Module:
    """The network inside wrappers such as DDP, ``torch.compile`` and timm's feature getter."""
    children = list(model.children())
    while len(children) == 1 and not list(model.parameters(recurse=False)):
        (model,) = children
        children = list(model.children())
    return model


def _advice(classes: int, *, named: bool, train: bool, class_map: bool) -> str:
    """The options that help weights of so many classes, 0 where these are not known."""
    ways = {
        # Names of the data decide on the number of classes, which the option would contradict.
        f"--option num_classes={classes}": classes and not named,
        "--new-head to train a new classifier": train,
        f"--class-map FILE with all {classes} classes": classes and class_map,
    }
    helping = [way for way, helps in ways.items() if helps]
    return f": give {' or '.join(helping)}" if helping else ""


def _other_head(
    mismatch: Mismatch, given: Weights, needed: Weights, advise: Callable[[int], str]
) -> str:
    if not mismatch.misshapen:
        return f"has no classifier that fits{advise(0)}"
    name = mismatch.misshapen[0]
    if not given[name].ndim:
        return f"has a single number as {name}{advise(0)}"
    classes = len(given[name])
    return f"has {classes} classes, the network {len(needed[name])}{advise(classes)}"


def _title(model: nn.Module) -> str:
    cfg: Any = getattr(model, "pretrained_cfg", None) or {}
    return str(cfg.get("architecture", type(model).__name__))


def _parts(names: Collection[str]) -> set[str]:
    return {part_of(name) for name in names}


def _listed(names: Collection[str]) -> str:
    return list_and_count(sorted(names), most=8)
