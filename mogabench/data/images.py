"""The one reader of images, for networks and pictures of all tasks.

Pillow decodes everything. For ordinary images, 8-bit JPEG and PNG files, its pixels are those of
OpenCV, which mmdet's, mmseg's and mmpose's own loops read by: both build on libjpeg-turbo and
libpng, and ``tests/data/test_images.py`` compares them. Of the others it says what they are, and
why it cannot read a file. What becomes of an image:

- The orientation in its EXIF data is applied, as OpenCV does; timm and torchvision do not.
- 16-bit greys become 8-bit ones by division by 257, rounded; floating-point greys, and integers
  beyond 16 bits, by their range: the least becomes 0, the greatest 255, a constant 0. In the frames
  of a sequence floating-point greys stay as they are, and such integers are refused. Of 16-bit
  colours the upper byte is kept.
- Transparency is left out, and the colours below it stay, as in timm, torchvision and OpenCV; an
  image asked for in Pillow's mode RGBA keeps it, and is opaque where the file says nothing.
- Palettes, CMYK, YCbCr and 1-bit images become RGB by Pillow's formulas, without colour profiles.
- Of animations, of files with several pages and of MPO files it is the first image.
"""

from __future__ import annotations

import io
import warnings
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from PIL import Image, ImageFile, UnidentifiedImageError

from mogabench.data.unreadable import DAMAGE, describe_damage, describe_other_file
from mogabench.errors import UserError
from mogabench.files import open_regular, read_regular

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

_SIDEWAYS = (5, 6, 7, 8)
"""Those that exchange width and height."""

_ID_MODES = ("1", "L", "P", "I", "I;16", "I;16L", "I;16B")

_LOSSLESS_WEBP = b"VP8L"
"""In the header; such files have no greys, but colours of three equal channels."""

_PACKED = {"L;2": 3, "L;4": 15}
"""The greatest greys of 2 and 4 bits, of which Pillow makes 255."""


class ImageError(UserError):
    """An image cannot be read; ``Job.on_bad_image`` says what becomes of it.

    Args:
        name: Of the file.
        reason: Why not.
        filled: Whether it is truncated, and was read nonetheless by `truncated_images_filled`.
        what: What it should be: an image, or a mask.
    """

    def __init__(self, name: str, reason: str, filled: bool = False, what: str = "image") -> None:
        super().__init__(name, reason, filled, what)  # what makes it anew in another process
        self.name, self.reason, self.filled, self.what = name, reason, filled, what

    def __str__(self) -> str:
        return f"cannot read the {self.what} {self.name}: {self.reason}"


def read_image(file: Path, stated: Size | None = None) -> NDArray[np.uint8]:
    """The image ``(height, width, 3)`` in RGB, upright as its EXIF data say.

    Args:
        file: The image.
        stated: ``(height, width)`` that its annotations are for, where they say so. Those of some
            tools are for the image as it is stored: if only that has the stated size, it stays so.

    Raises:
        ImageError: It cannot be read.
    """
    return np.array(decode_image(_content(file), str(file), stated=stated))


def read_annotated_image(file: Path, stated: Size | None) -> NDArray[np.uint8]:
    """The image as `read_image` gives it, if it is the one that was annotated.

    Args:
        file: The image.
        stated: See `read_image`.

    Raises:
        ImageError: It cannot be read.
        UserError: It is not of the size that the annotations say.
    """
    image = read_image(file, stated)
    height, width = image.shape[:2]
    if stated is not None and stated != (height, width):
        raise UserError(
            f"the image {file} is of {width}x{height} pixels, but its annotations say "
            f"{stated[1]}x{stated[0]}"
        )
    return image


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
    with _image_errors(content, name):
        return _as_seen(_load(content), mode, stated)


def decode_frame(content: bytes, name: str, *, mode: str) -> NDArray[Any]:
    """A frame of a sequence, which is scaled as the others are, never by its own range.

    Args:
        content: Of the file.
        name: Of the file, for errors.
        mode: ``L`` or ``RGB``.

    Returns:
        ``(C, H, W)``: bytes as of `decode_image`, or floating-point greys as they are stored.

    Raises:
        ImageError: It cannot be decoded.
        UserError: It has integers beyond 16 bits, of which nothing says what is white.
    """
    with _image_errors(content, name):
        image = _turn(_load(content), None)
        if image.mode == "F":
            return np.stack([np.asarray(image)] * Image.getmodebands(mode))
        if image.mode.startswith("I") and not _is_within_16_bits(np.asarray(image)):
            raise UserError(
                f"the frame {name} has integers beyond 16 bits; it should have 8 or 16 bits, or "
                "floats from 0 to 1"
            )
        return np.atleast_3d(np.array(_scale(image).convert(mode))).transpose(2, 0, 1)


def convert_image(
    image: Image.Image | NDArray[Any], name: str, *, mode: str = "RGB"
) -> Image.Image:
    """An image in memory as `decode_image` gives that of its file.

    Args:
        image: Pillow's, or an array: ``(H, W)``, or ``(H, W, 3)`` and ``(H, W, 4)`` of bytes in RGB
            and RGBA.
        name: Of the image, for errors.
        mode: As in `decode_image`.

    Raises:
        ImageError: It is none, or is too large.
    """
    if isinstance(image, np.ndarray):
        image = _from_array(image, name)
    with _image_errors(b"", name):
        _check_size(*image.size)
        return _as_seen(image, mode, None)


def _from_array(pixels: NDArray[Any], name: str) -> Image.Image:
    is_grey = pixels.ndim == 2 and pixels.dtype in (np.uint8, np.uint16, np.int32, np.float32)
    is_coloured = pixels.ndim == 3 and pixels.shape[2] in (3, 4) and pixels.dtype == np.uint8
    if not pixels.size or not (is_grey or is_coloured):
        raise ImageError(
            name,
            f"an array {pixels.shape} of {pixels.dtype} is not an image; an image is (H, W), or of "
            "uint8 (H, W, 3) in RGB or (H, W, 4) in RGBA",
        )
    return Image.fromarray(np.ascontiguousarray(pixels))


def _load(content: bytes) -> Image.Image:
    """The image as it is stored."""
    image = Image.open(io.BytesIO(content), formats=_formats())
    _check_size(*image.size)
    image.load()
    return image


def _as_seen(image: Image.Image, mode: str, stated: Size | None) -> Image.Image:
    """A loaded image upright, of 8 bits a channel, in a mode of Pillow's."""
    return _scale(_turn(image, stated)).convert(mode)


def read_ids(file: Path) -> NDArray[np.int64]:
    """The numbers ``(height, width)`` of a mask as they are stored: greys, or places in a palette.

    A truncated mask is never filled, since whatever would fill it means a class.

    Raises:
        ImageError: It cannot be read.
        UserError: It has colours, or its kind of file changes numbers.
    """
    content = _content(file)
    with _truncation(fill=False), _image_errors(content, str(file), "mask"):
        opened = Image.open(io.BytesIO(content), formats=_formats())
        _check_size(*opened.size)
        (stored, read), image = _greatest_grey(opened), cast("Image.Image", opened)
        image.load()
        if opened.format in ("JPEG", "MPO", "JPEG2000", "AVIF"):
            raise UserError(
                f"the mask {file} is a {opened.format} file, which may change the class ids that "
                "were saved; it should be a PNG file"
            )
        if content[12:16] == _LOSSLESS_WEBP and _is_grey(image):
            image = image.getchannel(0)
        if image.mode not in _ID_MODES:
            raise UserError(
                f"the mask {file} is a picture in colours (Pillow's mode {image.mode}), not of "
                "class ids; it should have one channel (mode 1, L, P or I;16)"
            )
        ids: NDArray[np.int64] = np.asarray(image).astype(np.int64)
        # Rounded: Pillow spreads ids over its range, and is off by half a grey at most.
        return (ids * stored + read // 2) // read


def _greatest_grey(image: ImageFile.ImageFile) -> tuple[int, int]:
    """The greatest grey that a file may store, and what Pillow makes of it; two equal for most."""
    codec, _, _, packing = image.tile[0] if image.tile else ("", None, 0, "")
    packing = packing if isinstance(packing, tuple) else (packing,)
    if codec in ("ppm", "ppm_plain") and len(packing) == 2:
        return packing[1], 255 if image.mode == "L" else _MOST_OF_16_BITS
    return _PACKED.get(str(packing[0])[:3], 255), 255


def header_size(file: Path, stated: Size) -> Size:
    """``(height, width)`` that `read_image` gives, by the header of the file alone.

    Args:
        file: The image.
        stated: See `read_image`.

    Raises:
        ImageError: The header cannot be read.
    """
    with _header(file) as image:
        stored = image.height, image.width
        # Pillow decodes a PNG file to find its EXIF data, so they are read only where they matter.
        is_turned = stored != stated and image.getexif().get(_ORIENTATION, 1) in _SIDEWAYS
        return stored[::-1] if is_turned else stored


def mask_size(file: Path) -> Size:
    """``(height, width)`` that `read_ids` gives, by the header of the file alone.

    Raises:
        ImageError: The header cannot be read.
    """
    with _header(file) as image:
        return image.height, image.width


@contextmanager
def _header(file: Path) -> Iterator[Image.Image]:
    """An image whose pixels need not have been read.

    Raises:
        ImageError: The header cannot be read.
    """
    try:
        stream = open_regular(file)
    except OSError as error:
        raise ImageError(str(file), error.strerror or str(error)) from None
    with stream, _image_errors(b"", str(file)):
        image = Image.open(stream, formats=_formats())
        if image.format == "TIFF":
            image.load()  # which turns these files
        yield image


@contextmanager
def truncated_images_filled() -> Iterator[None]:
    """Lets truncated images be read meanwhile: what they lack is black or grey."""
    with _truncation(fill=True):
        yield


def are_truncated_filled() -> bool:
    """Whether this is within `truncated_images_filled`."""
    return ImageFile.LOAD_TRUNCATED_IMAGES


@contextmanager
def _truncation(*, fill: bool) -> Iterator[None]:
    before = ImageFile.LOAD_TRUNCATED_IMAGES
    ImageFile.LOAD_TRUNCATED_IMAGES = fill
    try:
        yield
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = before


def _content(file: Path) -> bytes:
    try:
        return read_regular(file)
    except OSError as error:
        raise ImageError(str(file), error.strerror or str(error)) from None


@contextmanager
def _image_errors(content: bytes, name: str, what: str = "image") -> Iterator[None]:
    """Raises an `ImageError` for what Pillow raises for a file with that content."""
    try:
        with warnings.catch_warnings():
            # Pillow warns of what is repaired here, or of no concern for the pixels.
            warnings.simplefilter("ignore")
            yield
    except UnidentifiedImageError:
        reason = describe_other_file(content) or (
            f"it is damaged, or in none of the formats {', '.join(FORMATS)}"
        )
        raise ImageError(name, reason, what=what) from None
    except DAMAGE as error:
        raise ImageError(name, describe_damage(error), what=what) from None


def _is_grey(image: Image.Image) -> bool:
    colours = np.asarray(image)
    return colours.ndim == 3 and bool((colours[..., :3] == colours[..., :1]).all())


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
    except DAMAGE:  # of the EXIF data, not of the pixels
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
    if image.mode != "F" and _is_within_16_bits(values):
        low, high = 0, _MOST_OF_16_BITS
    scaled = (values - low) * (255 / (high - low) if high > low else 0)
    return Image.fromarray(np.rint(scaled).astype(np.uint8))


def _is_within_16_bits(values: NDArray[Any]) -> bool:
    return bool(values.min() >= 0 and values.max() <= _MOST_OF_16_BITS)
