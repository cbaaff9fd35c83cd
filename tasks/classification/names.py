"""The names of a classifier's classes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from timm.data import ImageNetInfo, infer_imagenet_subset

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mogabench.checkpoints import Description


def stated_names(stated: Description | None, count: int) -> tuple[str, ...]:
    """The names that weights state; numbers where they were trained on data that names no class.

    Args:
        stated: What the weights say of themselves; None where they say nothing.
        count: How many classes there are.

    Returns:
        Nothing where the weights do not say what they were trained on: it may be ImageNet.
    """
    if stated is None:
        return ()
    return stated.classes or (numbered(count) if stated.data else ())


def class_names(stated: Sequence[str], count: int) -> list[str]:
    """What the classes are called: as the weights state, as ImageNet has them, or by number.

    Args:
        stated: By the weights; empty where they do not.
        count: How many there are; 1000 is ImageNet-1K.
    """
    if stated:
        return list(stated)
    subset = infer_imagenet_subset({"num_classes": count})
    if subset is None:
        return list(numbered(count))
    info = ImageNetInfo(subset)
    return [info.index_to_description(number) for number in range(count)]


def numbered(count: int) -> tuple[str, ...]:
    """Names for classes that have none."""
    return tuple(f"class {number}" for number in range(count))
