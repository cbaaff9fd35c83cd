"""Images of one, three or four channels: how they are read, normalised and augmented."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torchvision.transforms import ColorJitter

from mogabench.data.normalization import Normalization
from mogabench.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Callable

    from PIL import Image

    Change = Callable[..., Image.Image]

_MODES = {1: "L", 3: "RGB", 4: "RGBA"}
_ALPHA = "RGBA"

_GEOMETRIC = ("Rotate", "Shear", "Translate")
"""What the names of timm's operations begin with that move pixels, those of the alpha with them."""


def image_mode(channels: int) -> str:
    """Pillow's mode of images for a network of so many input channels: grey, RGB, or with alpha.

    Raises:
        UserError: There are no such images.
    """
    if channels not in _MODES:
        raise UserError(
            f"--option in_chans={channels}: images have 1 channel (grey), 3 (RGB) or 4 (with alpha)"
        )
    return _MODES[channels]


def normalization(config: dict[str, Any], channels: int) -> Normalization:
    """The network's, as timm resolves it for three channels, for another number of them.

    Grey images take the average of the three; an alpha channel, 0 to 1, becomes -1 to 1.
    """
    mean, std = tuple(config["mean"]), tuple(config["std"])
    if channels == 1 and len(mean) == 3:
        return Normalization((sum(mean) / 3,), (sum(std) / 3,))
    if channels == 4 and len(mean) == 3:
        return Normalization((*mean, 0.5), (*std, 0.5))
    return Normalization(mean, std)


def keep_alpha(steps: list[Any], operations: list[Any]) -> None:
    """Makes a training transform change the colours alone of images with alpha, where it does so.

    Pillow has several of these changes for colours only.

    Args:
        steps: Those of the transform; changed in place.
        operations: timm's operations of its policy; changed in place.
    """
    for place, step in enumerate(steps):
        if isinstance(step, ColorJitter):
            steps[place] = _of_colours(step)
    for operation in operations:
        if not operation.name.startswith(_GEOMETRIC):
            operation.aug_fn = _of_colours(operation.aug_fn)


def _of_colours(change: Change) -> Change:
    """The change of an image, but for its alpha channel."""

    def changed(image: Image.Image, *arguments: Any, **options: Any) -> Image.Image:
        if image.mode != _ALPHA:
            return change(image, *arguments, **options)
        result = change(image.convert("RGB"), *arguments, **options)
        result.putalpha(image.getchannel("A"))
        return result

    return changed
