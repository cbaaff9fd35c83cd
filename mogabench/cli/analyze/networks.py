"""Opens the networks that an analysis names."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mogabench.analysis.classifier import open_classifier, open_untrained
from mogabench.analysis.trained import open_trained
from mogabench.checkpoints import read_stated
from mogabench.engine.weights import as_stated
from mogabench.errors import UserError
from mogabench.tasks import choose_subject
from mogabench.tasks.classification import TASK
from mogabench.variants import VARIANTS

if TYPE_CHECKING:
    from pathlib import Path

    from mogabench.analysis.classifier import Classifier
    from mogabench.analysis.trained import TrainedNetwork
    from mogabench.checkpoints import Description
    from mogabench.subject import Subject


def network_names(models: str) -> list[str]:
    """The networks of ``--models``, separated by commas outside of brackets."""
    return [name.strip() for name in re.split(r",(?![^\[]*\])", models)]


def open_network(
    name: str,
    weights: str,
    data: str,
    *,
    class_map: Path | None,
    size: str | None,
    device: str,
    runtime: str = "torch",
    dtype: str = "float32",
    fused: bool = True,
) -> Classifier:
    """Opens a classifier by its timm name or variant; arguments as on the command line.

    Its weights may state its options and its size.

    Raises:
        UserError: Name, weights and data do not fit together.
    """
    subject, stated = _stated_network(name, weights, size, on_data=True)
    return open_classifier(
        subject,
        weights=weights,
        stated=stated,
        data=data,
        class_map=class_map,
        device=device,
        runtime=runtime,
        dtype=dtype,
        sized=size is not None,
        fused=fused,
    )


def open_unfused(
    name: str,
    weights: str,
    data: str | None,
    *,
    class_map: Path | None,
    size: str | None,
    device: str,
    images: int,
    seed: int,
) -> Classifier:
    """Opens a classifier in its own form: trained, or by the weights ``none`` random, on noise.

    Raises:
        UserError: Name, weights and data do not fit together.
    """
    if weights == "none":
        return open_untrained(_subject(name, size), count=images, seed=seed, device=device)
    if data is None:
        raise UserError(
            f"{name} with weights needs --data DIR; only --weights none takes noise instead"
        )
    return open_network(
        name, weights, data, class_map=class_map, size=size, device=device, fused=False
    )


def open_network_alone(name: str, weights: str, *, size: str | None, device: str) -> TrainedNetwork:
    """Opens a classifier to show it images; its weights may state its options and its size.

    Raises:
        UserError: Name and weights do not fit together.
    """
    subject, stated = _stated_network(name, weights, size, on_data=False)
    return open_trained(
        subject, weights=weights, stated=stated, device=device, sized=size is not None
    )


def _stated_network(
    name: str, weights: str, size: str | None, *, on_data: bool
) -> tuple[Subject, Description | None]:
    """The subject of a name with what its weights state of it, and all that they state."""
    stated = read_stated(weights, TASK.name)
    if stated is not None and on_data:
        stated = stated.for_data()
    return as_stated(_subject(name, size), stated, size_is_given=size is not None), stated


def _subject(name: str, size: str | None) -> Subject:
    """The subject of a name such as ``xt?gate=false&split=[1,1,2]``."""
    backbone, _, own = name.partition("?")
    return choose_subject(
        TASK,
        variant=None,
        backbone=VARIANTS.get(backbone, backbone),
        method=None,
        size=size,
        options=[*filter(None, own.split("&"))],
    )
