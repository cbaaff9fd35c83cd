"""Why a file cannot be read as an image, in words."""

from __future__ import annotations

import struct
from importlib.util import find_spec

from PIL import Image

DAMAGE = (
    *(OSError, SyntaxError, ValueError, struct.error, EOFError, LookupError, TypeError),
    *(ArithmeticError, AttributeError, AssertionError, RuntimeError, MemoryError),
    Image.DecompressionBombError,
)
"""What Pillow raises for files with random bytes changed or missing, over its formats."""

_OTHER_FILES = {
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


def describe_other_file(content: bytes) -> str:
    """Why a file is no image, by its first bytes; empty where they do not say."""
    if not content:
        return "it is empty"
    start = content[:64].lstrip().lower()
    for beginning, reason in _OTHER_FILES.items():
        if start.startswith(beginning):
            return reason
    if content[4:12] in (b"ftypavif", b"ftypavis"):
        lacks = find_spec("PIL._avif") is None  # before 11.3, and where it was built without
        return "this Pillow reads no AVIF: pip install 'pillow>=11.3'" if lacks else ""
    if content[4:8] == b"ftyp":
        return "it is a HEIC image or a video; JPEG or PNG would be read"
    return ""


def describe_damage(error: Exception) -> str:
    """Why a file of a format that is read is no sound image, by what Pillow raised."""
    if isinstance(error, Image.DecompressionBombError):
        return f"it has more than {2 * (Image.MAX_IMAGE_PIXELS or 0)} pixels"
    if isinstance(error, (OSError, SyntaxError, ValueError)) and str(error):
        return str(error).splitlines()[0]
    return f"it is damaged ({type(error).__name__})"
