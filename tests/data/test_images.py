"""The reader of images, against pixels worked out by hand and OpenCV's."""

import io
import pickle
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image, ImageFile

from mogabench.data.images import (
    ImageError,
    decode_image,
    header_size,
    read_ids,
    read_image,
    truncated_images_filled,
)

RED, GREEN, BLUE, GREY = (255, 0, 0), (0, 255, 0), (0, 0, 255), (128, 128, 128)
CORNERS = np.array([[RED, GREEN], [BLUE, GREY], [BLUE, GREY]], np.uint8)
"""Red and green above, blue and grey below: 3 rows, 2 columns."""

UPRIGHT = {
    1: [[RED, GREEN], [BLUE, GREY], [BLUE, GREY]],
    2: [[GREEN, RED], [GREY, BLUE], [GREY, BLUE]],
    3: [[GREY, BLUE], [GREY, BLUE], [GREEN, RED]],
    4: [[BLUE, GREY], [BLUE, GREY], [RED, GREEN]],
    5: [[RED, BLUE, BLUE], [GREEN, GREY, GREY]],
    6: [[BLUE, BLUE, RED], [GREY, GREY, GREEN]],
    7: [[GREY, GREY, GREEN], [BLUE, BLUE, RED]],
    8: [[GREEN, GREY, GREY], [RED, BLUE, BLUE]],
}
"""By EXIF's orientation: 6 says that the stored first row is the right side of what one sees."""


def encoded(image, kind="PNG", **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def decoded(content, mode="RGB"):
    return np.asarray(decode_image(content, "x", mode=mode))


def refused(content, message):
    with pytest.raises(ImageError, match=f"^cannot read the image x: [^\n]*{message}[^\n]*$"):
        decode_image(content, "x")


def photograph(height, width):
    random = np.random.default_rng((height, width))
    coarse = random.integers(0, 256, (height // 8 + 1, width // 8 + 1, 3), dtype=np.uint8)
    smooth = np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))
    noise = random.integers(-20, 20, smooth.shape)
    return Image.fromarray((smooth + noise).clip(0, 255).astype(np.uint8))


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("size", [(48, 64), (37, 51)])
def test_ordinary_files_have_the_pixels_of_opencv(tmp_path, mode, size):
    image = photograph(*size).convert(mode)
    files = [encoded(image)]
    for quality in (30, 75, 95):
        for subsampling in (0, 1, 2):
            for progressive in (False, True):
                options = {"subsampling": subsampling, "progressive": progressive}
                files.append(encoded(image, "JPEG", quality=quality, **options))
    for content in files:
        (tmp_path / "x").write_bytes(content)
        theirs = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR_RGB)
        assert np.array_equal(read_image(tmp_path / "x"), theirs)


def turned(orientation, kind="PNG", **options):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encoded(Image.fromarray(CORNERS), kind, exif=exif, **options)


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", UPRIGHT)
def test_images_are_upright(orientation, kind):
    options = {"lossless": True} if kind == "WEBP" else {}
    assert decoded(turned(orientation, kind, **options)).tolist() == [
        [list(pixel) for pixel in row] for row in UPRIGHT[orientation]
    ]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_photographs_are_upright_as_opencv_has_them(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = encoded(photograph(24, 40), "JPEG", exif=exif)
    theirs = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR_RGB)
    assert np.array_equal(decoded(content), theirs)


@pytest.mark.parametrize(
    ("orientation", "stated", "shape"),
    [
        (6, None, (2, 3)),
        (6, (2, 3), (2, 3)),
        (6, (3, 2), (3, 2)),  # of the image as stored
        (6, (9, 9), (2, 3)),  # of neither: the reader of the annotations tells
        (1, (2, 3), (3, 2)),
    ],
)
def test_the_reading_that_fits_the_annotations(tmp_path, orientation, stated, shape):
    (tmp_path / "x").write_bytes(turned(orientation))
    image = read_image(tmp_path / "x", stated)
    assert image.shape[:2] == shape
    stored = orientation == 1 or stated == (3, 2)
    assert image.tolist() == np.asarray(UPRIGHT[1 if stored else 6]).tolist()


def test_an_orientation_that_the_size_cannot_tell_is_applied(tmp_path):
    (tmp_path / "x").write_bytes(turned(3))
    assert read_image(tmp_path / "x", (3, 2)).tolist() == np.asarray(UPRIGHT[3]).tolist()


def test_damaged_exif_data_spoil_no_image():
    content = encoded(Image.new("RGB", (2, 2), RED), exif=b"Exif\0\0MM\0*\xff\xff\xff\xff nothing")
    assert decoded(content)[0, 0].tolist() == [255, 0, 0]


def test_16_bit_greys_are_divided_by_257():
    values = np.array([[0, 128, 129, 257, 32_767, 65_535]], np.uint16)
    for kind in ("PNG", "TIFF"):
        grey = decoded(encoded(Image.fromarray(values), kind))
        assert grey[0, :, 0].tolist() == [0, 0, 1, 1, 127, 255], kind
        assert (grey == grey[..., :1]).all()


def test_integers_of_16_bits_in_32_are_as_those_of_16():
    values = np.array([[0, 257, 65_535]], np.int32)
    assert decoded(encoded(Image.fromarray(values), "TIFF"))[0, :, 0].tolist() == [0, 1, 255]


def test_wide_greys_are_scaled_by_their_range():
    for values in ([[-100.0, 0.0, 155.0]], [[0.0, 0.1, 0.255]]):
        image = Image.fromarray(np.array(values, np.float32))
        assert decoded(encoded(image, "TIFF"))[0, :, 0].tolist() == [0, 100, 255]
    integers = np.array([[0, 1_000_000, 2_550_000]], np.int32)
    assert decoded(encoded(Image.fromarray(integers), "TIFF"))[0, :, 0].tolist() == [0, 100, 255]
    constant = Image.fromarray(np.full((1, 2), 0.5, np.float32))
    assert decoded(encoded(constant, "TIFF")).max() == 0


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite_are_refused(value):
    image = Image.fromarray(np.array([[0.5, value]], np.float32))
    refused(encoded(image, "TIFF"), "it has values that are not finite numbers")


def test_bits_are_black_and_white():
    bits = Image.fromarray(np.array([[True, False]]))
    assert bits.mode == "1"
    assert decoded(encoded(bits))[0].tolist() == [[255, 255, 255], [0, 0, 0]]


def test_ink_becomes_light():
    ink = [[(0, 0, 0, 0), (0, 255, 255, 0), (255, 0, 255, 0), (0, 0, 0, 255)]]
    image = Image.fromarray(np.array(ink, np.uint8), "CMYK")
    colours = decoded(encoded(image, "TIFF"))[0].tolist()
    assert colours == [[255, 255, 255], [255, 0, 0], [0, 255, 0], [0, 0, 0]]
    red = Image.new("CMYK", (8, 8), (0, 255, 255, 0))
    assert np.abs(decoded(encoded(red, "JPEG", quality=100)) - np.array(RED)).max() <= 2


@pytest.mark.parametrize("transparency", [None, 1, b"\xff\x00"])
def test_palettes_become_their_colours(transparency):
    image = Image.new("P", (2, 1))
    image.putpalette([*RED, *BLUE])
    image.putpixel((1, 0), 1)
    content = encoded(image, **({} if transparency is None else {"transparency": transparency}))
    assert decoded(content)[0].tolist() == [list(RED), list(BLUE)]
    alpha = 255 if transparency is None else 0
    assert decoded(content, "RGBA")[0].tolist() == [[*RED, 255], [*BLUE, alpha]]


def test_transparency_is_left_out_and_the_colours_below_stay():
    image = Image.fromarray(np.array([[(*RED, 255), (*BLUE, 0)]], np.uint8))
    assert decoded(encoded(image))[0].tolist() == [list(RED), list(BLUE)]
    assert decoded(encoded(image), "RGBA")[0].tolist() == [[*RED, 255], [*BLUE, 0]]
    grey = Image.fromarray(np.array([[(7, 0)]], np.uint8), "LA")
    assert decoded(encoded(grey))[0].tolist() == [[7, 7, 7]]
    assert decoded(encoded(Image.new("RGB", (1, 1), RED)), "RGBA")[0].tolist() == [[*RED, 255]]


def test_other_modes_on_request():
    image = Image.new("RGB", (1, 1), RED)
    assert decoded(encoded(image), "L").tolist() == [[76]]  # 0.299 of 255


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "TIFF", "PNG", "MPO"])
def test_the_first_of_several_images(kind):
    first, second = (Image.new("RGB", (16, 16), colour) for colour in (RED, BLUE))
    options = {"lossless": True} if kind == "WEBP" else {}
    content = encoded(first, kind, save_all=True, append_images=[second], **options)
    assert np.abs(decoded(content).astype(int) - np.array(RED)).max() <= 2


@pytest.mark.parametrize("kind", ["BMP", "PPM", "JPEG2000", "GIF"])
def test_other_formats(kind):
    assert decoded(encoded(Image.new("RGB", (9, 9), RED), kind))[4, 4].tolist() == list(RED)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP"])
def test_truncated_files_are_refused_unless_filled(kind):
    whole = encoded(photograph(256, 256), kind)
    refused(whole[: len(whole) // 2], "")
    if kind in ("JPEG", "PNG"):
        refused(whole[: len(whole) // 2], "truncated")
        with truncated_images_filled():
            image = decoded(whole[: len(whole) // 2])
        assert np.array_equal(image[:8], decoded(whole)[:8])
        assert not np.array_equal(image, decoded(whole))
        assert not ImageFile.LOAD_TRUNCATED_IMAGES


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "it is empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "pointer of Git LFS; 'git lfs pull'"),
        (b"\n<!DOCTYPE html><html>", "it is a web page"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "it is a PostScript file"),
        (b"\x93NUMPY\x01", "it is a NumPy array"),
        (b"\0\0\0\x18ftypheic", "it is a HEIC image"),
        (b"not a picture", "none of the formats JPEG, .*AVIF"),
        (b"\x89PNG no more", "it is damaged, or in none of the formats"),
    ],
)
def test_what_is_no_image_is_named(content, reason):
    refused(content, reason)


@pytest.mark.parametrize(
    ("module", "reason"),
    [(None, r"Pillow reads no AVIF: pip install 'pillow>=11\.3'"), (object(), "it is damaged, or")],
)
def test_avif_needs_a_pillow_that_has_it(module, reason, monkeypatch):
    monkeypatch.setattr("mogabench.data.unreadable.find_spec", lambda _: module)
    for brand in (b"avif", b"avis"):
        refused(b"\0\0\0\x18ftyp" + brand, reason)


def header_of(width, height):
    """A PNG file that claims to be so large."""
    fields = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    check = struct.pack(">I", zlib.crc32(fields))
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + fields + check


@pytest.mark.parametrize(
    ("size", "reason"),
    [
        ((30_000, 30_000), "it has more than 178956970 pixels"),
        ((40_000, 100), "it has 40000x100 pixels; no side may have more than 32766"),
        ((2, 3000), "it has 2x3000 pixels; no side may be more than 1000 times the other"),
    ],
)
def test_absurd_sizes_are_refused_before_they_are_decoded(size, reason):
    following = struct.pack(">I", 4) + b"IDAT" + bytes(8)
    refused(header_of(*size) + following, reason)


def test_a_file_that_is_not_there_and_the_error_between_processes(tmp_path):
    with pytest.raises(ImageError, match=r"nowhere\.png: No such file or directory") as caught:
        read_image(tmp_path / "nowhere.png")
    again = pickle.loads(pickle.dumps(caught.value))
    assert (str(again), again.name) == (str(caught.value), str(tmp_path / "nowhere.png"))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP", "PPM", "MPO"])
def test_damage_of_any_kind_is_one_kind_of_error(kind):
    whole, random = encoded(photograph(16, 16), kind), np.random.default_rng(0)
    for _ in range(100):
        content = np.frombuffer(whole, np.uint8).copy()
        places = random.integers(0, len(content), 8)
        content[places] = random.integers(0, 256, 8)
        try:
            assert decoded(content.tobytes()).shape[2] == 3
        except ImageError as error:
            assert "\n" not in str(error)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", UPRIGHT)
def test_the_header_tells_the_size_that_is_read(tmp_path, orientation, kind):
    (tmp_path / "x").write_bytes(turned(orientation, kind))
    for stated in ((3, 2), (2, 3), (5, 5)):
        size = read_image(tmp_path / "x", stated).shape[:2]
        assert header_size(tmp_path / "x", stated) == size


def grey_map(ids, maxval, kind):
    """A PGM file, with its numbers as bytes (P5) or as text (P2)."""
    header = f"{kind} {len(ids)} 1 {maxval}\n".encode()
    if kind == "P2":
        return header + " ".join(map(str, ids)).encode()
    return header + np.asarray(ids, ">u1" if maxval < 256 else ">u2").tobytes()


@pytest.mark.parametrize("kind", ["P5", "P2"])
def test_ids_of_a_grey_map_are_as_stored_whatever_its_greatest(tmp_path, kind):
    for maxval in (*range(1, 257), 1000, 65_534, 65_535):
        ids = [*range(min(maxval, 998) + 1), maxval]
        (tmp_path / "x").write_bytes(grey_map(ids, maxval, kind))
        assert read_ids(tmp_path / "x").tolist() == [ids], maxval


@pytest.mark.parametrize("bits", [2, 4])
@pytest.mark.parametrize("fill_order", [1, 2])
def test_ids_of_few_bits_in_tiff_are_as_stored(tmp_path, bits, fill_order):
    ids = list(range(2**bits))
    packed = int("".join(f"{number:0{bits}b}" for number in ids), 2)
    pixels = packed.to_bytes(len(ids) * bits // 8, "big")
    if fill_order == 2:  # the first pixel in the lowest bits
        pixels = bytes(int(f"{byte:08b}"[::-1], 2) for byte in pixels)
    # Width, height, bits, uncompressed, black is 0, order, place, channels, rows and bytes.
    values = {256: len(ids), 257: 1, 258: bits, 259: 1, 262: 1, 266: fill_order}
    values |= {273: 8, 277: 1, 278: 1, 279: len(pixels)}
    entries = [struct.pack("<HHII", tag, 4, 1, value) for tag, value in values.items()]
    header = struct.pack("<2sHI", b"II", 42, 8 + len(pixels))
    directory = struct.pack("<H", len(entries)) + b"".join(entries) + bytes(4)
    (tmp_path / "x").write_bytes(header + pixels + directory)
    assert read_ids(tmp_path / "x").tolist() == [ids]
