"""Images with changed and missing bytes, of each format: read, or refused as `ImageError`."""

import io
import os
import random

import numpy as np
import pytest
from PIL import Image, features

from mogabench.data.idx import read_idx
from mogabench.data.images import FORMATS, ImageError, decode_image, read_ids, read_image


def sound(kind):
    pixels = np.random.default_rng(0).integers(0, 255, (23, 31, 3), np.uint8)
    pixels[4:20, 4:20] = 90
    image, stream = Image.fromarray(pixels), io.BytesIO()
    more = {"exif": b"Exif\0\0II*\0\x08\0\0\0\1\0\x12\1\3\0\1\0\0\0\6\0\0\0"}
    image.save(stream, kind, **(more if kind in ("JPEG", "PNG", "WEBP", "AVIF", "TIFF") else {}))
    return stream.getvalue()


@pytest.mark.slow
@pytest.mark.parametrize("kind", FORMATS)
def test_damaged_images_are_read_or_refused(kind, tmp_path):
    if kind == "AVIF" and not features.check("avif"):
        pytest.skip("this Pillow has no AVIF")
    whole, rng, read = sound(kind), random.Random(0), 0
    assert np.asarray(decode_image(whole, "whole")).ndim == 3
    for number in range(3000):
        content = bytearray(whole)
        if number % 5 == 0:
            content = content[: rng.randrange(len(content))]
        for _ in range(rng.choice([1, 1, 3])):
            if content:  # most of what decides about a file is at its beginning
                place = rng.randrange(min(len(content), 400 if rng.random() < 0.7 else 10**9))
                content[place] = rng.choice([rng.randrange(256), 0, 255])
        try:
            decode_image(bytes(content), "damaged.img")
            read += 1
        except ImageError as error:
            assert "\n" not in str(error)
    assert 0 < read < 3000


@pytest.mark.parametrize("kind", ["DDS", "BLP", "PCX", "SGI", "TGA", "ICO", "EPS"])
def test_other_formats_of_pillow_are_refused(kind):
    stream = io.BytesIO()
    Image.new("P" if kind == "BLP" else "RGB", (8, 8)).save(stream, kind)
    with pytest.raises(ImageError, match=r"in none of the formats|PostScript"):
        decode_image(stream.getvalue(), "other.img")


def test_a_named_pipe_is_refused_at_once(tmp_path):
    pipe = tmp_path / "pipe.png"
    os.mkfifo(pipe)
    for read in (read_image, read_ids):
        with pytest.raises(ImageError, match="it is not a regular file"):
            read(pipe)
    with pytest.raises(OSError, match="it is not a regular file"):
        read_idx(pipe)


@pytest.mark.parametrize(
    "content",
    [
        b"\0\0\x08\x03" + b"\xff" * 12,  # a shape of more bytes than there are
        b"\0\0\x08\xff" + b"\0\0\0\1" * 255,  # more axes than an array has
        b"\0\0\x08\x01\0\0\0\x05abcd",
        b"\0\0\x0d\x01\0\0\0\x01abcd",  # floats
        b"\0\0\x08",
        b"",
    ],
)
def test_a_lying_idx_file_is_refused(content, tmp_path):
    (tmp_path / "a").write_bytes(content)
    with pytest.raises((ValueError, EOFError)):
        read_idx(tmp_path / "a")
