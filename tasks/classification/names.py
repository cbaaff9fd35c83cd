"""The names of a classifier's classes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from timm.data import ImageNetInfo, infer_imagenet_subset

if TYPE_CHECKING:
    from collections.abc import Sequence


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
        return [f"class {number}" for number in range(count)]
    info = ImageNetInfo(subset)
    return [info.index_to_description(number) for number in range(count)]
