"""The one reader of images, for networks and pictures of all tasks.

Pillow decodes everything. For ordinary images, 8-bit JPEG and PNG files, its pixels are those of
OpenCV, which mmdet's, mmseg's and mmpose's own loops read by: both build on libjpeg-turbo and
libpng, and ``tests/data/test_images.py`` compares them. Of the others it says what they are, and
why it cannot read a file. What becomes of an image:

- The orientation in its EXIF data is applied, as OpenCV does; timm and torchvision do not.
- 16-bit greys become 8-bit ones by division by 257, rounded; floating-point greys, and integers
  beyond 16 bits, by their range: the least becomes 0, the greatest 255, a constant 0. Of 16-bit
  colours the upper byte is kept.
- Transparency is left out, and the colours below it stay, as in timm, torchvision and OpenCV; an
  image asked for in Pillow's mode RGBA keeps it, and is opaque where the file says nothing.
- Palettes, CMYK, YCbCr and 1-bit images become RGB by Pillow's formulas, without colour profiles.
- Of animations, of files with several pages and of MPO files it is the first image.
"""

from __future__ import annotations

import io
import struct
import warnings
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageFile, UnidentifiedImageError

from mogabench.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    Size = tuple[int, int]

FORMATS = ("JPEG", "MPO", "PNG", "WEBP", "GIF", "TIFF", "BMP", "DIB", "PPM", "JPEG2000", "AVIF")
"""Pillow's names of what is read; none of the others, some of which run programs (EPS)."""

SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".webp", ".gif", ".tif", ".tiff"),
    *(".bmp", ".dib", ".ppm", ".pgm", ".pbm", ".pnm", ".jp2", ".j2k", ".avif"),
)
"""What the names of image files end in, in lower case."""

LONGEST_SIDE = 32_766
"""In pixels; OpenCV's transformations take no longer one."""

MOST_ELONGATED = 1000
"""How many times its shorter side the longer one may be: the shorter one would resize to none."""

_MOST_OF_16_BITS = 65_535  # 255 times 257
_ORIENTATION = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What makes an image upright, by EXIF's number of its orientation."""

_DAMAGE = (
    *(OSError, SyntaxError, ValueError, struct.error, EOFError, IndexError, KeyError, TypeError),
    Image.DecompressionBombError,
)
"""What Pillow raises for files with random bytes changed or missing, over its formats."""

_STRANGERS = {
    b"version https://git-lfs": "it is a pointer of Git LFS; 'git lfs pull' fetches the image",
    b"<!doctype html": "it is a web page",
    b"<html": "it is a web page",
    b"%!ps": "it is a PostScript file",
    b"%pdf": "it is a PDF file",
    b"<svg": "it is an SVG drawing",
    b"<?xml": "it is an XML file",
    b"pk\x03\x04": "it is a ZIP archive",
    b"\x1f\x8b": "it is a gzip archive",
    b"\x93numpy": "it is a NumPy array",
}
"""What files that are no images begin with, in lower case."""


class ImageError(UserError):
    """An image cannot be read; ``Job.on_bad_image`` says what becomes of it.

    Args:
        name: Of the file.
        reason: Why not.
        filled: Whether it is truncated, and was read nonetheless by `truncated_images_filled`.
    """

    def __init__(self, name: str, reason: str, filled: bool = False) -> None:
        super().__init__(name, reason, filled)  # what makes it anew in another process
        self.name, self.reason, self.filled = name, reason, filled

    def __str__(self) -> str:
        return f"cannot read the image {self.name}: {self.reason}"


def read_image(file: Path, stated: Size | None = None) -> NDArray[np.uint8]:
    """The image ``(height, width, 3)`` in RGB, upright as its EXIF data say.

    Args:
        file: The image.
        stated: ``(height, width)`` that its annotations are for, where they say so. Those of some
            tools are for the image as it is stored: if only that has the stated size, it stays so.

    Raises:
        ImageError: It cannot be read.
    """
    try:
        content = file.read_bytes()
    except OSError as error:
        raise ImageError(str(file), error.strerror or str(error)) from None
    return np.array(decode_image(content, str(file), stated=stated))


def decode_image(
    content: bytes, name: str, *, mode: str = "RGB", stated: Size | None = None
) -> Image.Image:
    """The image that a file holds, as Pillow's.

    Args:
        content: Of the file.
        name: Of the file, for errors.
        mode: Pillow's, of 8 bits a channel: ``L``, ``RGB`` or ``RGBA``.
        stated: See `read_image`.

    Raises:
        ImageError: It cannot be decoded.
    """
    try:
        with warnings.catch_warnings():
            # Pillow warns of what is repaired here, or of no concern for the pixels.
            warnings.simplefilter("ignore")
            image = Image.open(io.BytesIO(content), formats=_formats())
            _check_size(*image.size)
            image.load()
            return _scale(_turn(image, stated)).convert(mode)
    except UnidentifiedImageError:
        raise ImageError(name, _describe_stranger(content)) from None
    except _DAMAGE as error:
        raise ImageError(name, _reason(error)) from None


@contextmanager
def truncated_images_filled() -> Iterator[None]:
    """Lets truncated images be read meanwhile: what they lack is black or grey."""
    before = ImageFile.LOAD_TRUNCATED_IMAGES
    ImageFile.LOAD_TRUNCATED_IMAGES = True
    try:
        yield
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = before


@cache
def _formats() -> list[str]:
    """Those of `FORMATS` that Pillow was built with."""
    Image.init()
    return [name for name in FORMATS if name in Image.OPEN]


def _check_size(width: int, height: int) -> None:
    size = f"it has {width}x{height} pixels"
    longer, shorter = max(width, height), min(width, height)
    if longer > LONGEST_SIDE:
        raise ValueError(f"{size}; no side may have more than {LONGEST_SIDE}")
    if longer > MOST_ELONGATED * shorter:
        raise ValueError(f"{size}; no side may be more than {MOST_ELONGATED} times the other")


def _turn(image: Image.Image, stated: Size | None) -> Image.Image:
    """The image upright, or as stored if only so it has the stated size."""
    try:
        orientation = image.getexif().get(_ORIENTATION, 1)
    except _DAMAGE:  # of the EXIF data, not of the pixels
        orientation = 1
    turn = _TURNS.get(orientation)
    if turn is None:
        return image
    upright = image.transpose(turn)
    stored_size, upright_size = image.size[::-1], upright.size[::-1]
    return image if stated == stored_size != upright_size else upright


def _scale(image: Image.Image) -> Image.Image:
    """The image with 8 bits a channel, and colours in place of a palette's numbers."""
    if image.mode in ("P", "PA", "RGBa"):
        return image.convert("RGBA")
    if image.mode != "F" and not image.mode.startswith("I"):
        return image
    values = np.asarray(image).astype(np.float64)
    if not np.isfinite(values).all():
        raise ValueError("it has values that are not finite numbers")
    low, high = values.min(), values.max()
    if image.mode != "F" and low >= 0 and high <= _MOST_OF_16_BITS:
        low, high = 0, _MOST_OF_16_BITS
    scaled = (values - low) * (255 / (high - low) if high > low else 0)
    return Image.fromarray(np.rint(scaled).astype(np.uint8))


def _describe_stranger(content: bytes) -> str:
    """Why a file is no image, by its first bytes."""
    if not content:
        return "it is empty"
    start = content[:64].lstrip().lower()
    for beginning, reason in _STRANGERS.items():
        if start.startswith(beginning):
            return reason
    if content[4:8] == b"ftyp":
        return "it is a HEIC image or a video; JPEG or PNG would be read"
    return f"it is damaged, or in none of the formats {', '.join(FORMATS)}"


def _reason(error: Exception) -> str:
    if isinstance(error, Image.DecompressionBombError):
        return f"it has more than {2 * (Image.MAX_IMAGE_PIXELS or 0)} pixels"
    if isinstance(error, (OSError, SyntaxError, ValueError)) and str(error):
        return str(error).splitlines()[0]
    return f"it is damaged ({type(error).__name__})"
