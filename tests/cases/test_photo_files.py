"""Photos of every kind, depth and state: what their values mean, and what is answered where they are none."""

from __future__ import annotations

import base64
import io
import struct
import zlib
from urllib.parse import quote_from_bytes

import numpy as np
import pytest
from PIL import Image

from timmscope import InvalidInput, decode
from timmscope.registry.declare.ports import Photo
from timmscope.registry.photo_sets.sources import SUFFIXES, uploaded
from timmscope.registry.photos import decoding as photos
from timmscope.registry.runs.inputs import photo_input

from .. import photo_files as made
from ..photo_files import encoded, short

HEIGHT, WIDTH = 16, 24
RAMP = np.linspace(0, 255, WIDTH * HEIGHT).reshape(HEIGHT, WIDTH).round().astype(np.uint8)
COLOURS = np.stack([RAMP, RAMP[::-1], 255 - RAMP], -1)
SIDED = np.linspace(-30_000, 30_000, WIDTH * HEIGHT).reshape(HEIGHT, WIDTH).astype(np.int16)
PNG = encoded(COLOURS, "PNG")


def pixels(source) -> np.ndarray:
    return np.asarray(decode(source)).astype(int)


def grey(levels) -> np.ndarray:
    return np.asarray(levels)[..., None].repeat(3, -1)


def refusal(source) -> str:
    with pytest.raises(InvalidInput) as caught:
        decode(source)
    return str(caught.value)


# Depth

FLOAT, DEEP = RAMP.astype(np.float32) / 255, RAMP.astype(np.uint16) * 257
SOURCES = {
    "float TIFF": (FLOAT, lambda values: encoded(values, "TIFF")),
    "float PFM": (FLOAT, lambda values: encoded(values, "PPM")),
    "float PIL": (FLOAT, Image.fromarray),
    "float16": (FLOAT.astype(np.float16), np.array),
    "float32": (FLOAT, np.array),
    "float64": (FLOAT.astype(float), np.array),
    "float RGB": (COLOURS / 255, np.array),
    "float RGBA": (np.dstack([COLOURS / 255, np.ones_like(FLOAT)]), np.array),
    "float, one channel": (FLOAT[..., None], np.array),
    "16-bit PNG": (DEEP, lambda values: encoded(values, "PNG")),
    "16-bit TIFF": (DEEP, lambda values: encoded(values, "TIFF")),
    "16-bit PGM": (DEEP, lambda values: encoded(values, "PPM")),
    "uint16": (DEEP, np.array),
    "uint16 of the other order": (DEEP.astype(">u2"), np.array),
    "uint16 RGB": (COLOURS.astype(np.uint16) * 257, np.array),
    "32-bit TIFF": (DEEP.astype(np.int32), lambda values: encoded(values, "TIFF")),
    "32-bit PIL": (DEEP.astype(np.int32), Image.fromarray),
}


@pytest.mark.case(18)
@pytest.mark.filterwarnings("ignore:overflow encountered in cast")
@pytest.mark.parametrize(("values", "source"), SOURCES.values(), ids=SOURCES)
def test_one_pixel_changes_no_other(values, source):
    expected = pixels(source(values))
    assert np.abs(expected - (grey(RAMP) if values.ndim == 2 or values.shape[2] == 1 else COLOURS)).max() <= 1
    whole = not np.issubdtype(values.dtype, np.floating)
    for number in (0, 1, 255, 256, 65_535) if whole else (0, 1e-9, 1.002, 1.2, 255, -7, 1e30, np.nan, np.inf):
        spoilt = values.copy()
        spoilt[3, 4] = number
        found = pixels(source(spoilt))
        found[3, 4] = expected[3, 4]
        assert np.array_equal(found, expected), number


@pytest.mark.case(18)
def test_what_overshoots_is_clipped():
    values = np.linspace(-0.09, 1.09, WIDTH * HEIGHT).reshape(HEIGHT, WIDTH)
    assert np.abs(pixels(values) - grey(255 * values.clip(0, 1))).max() <= 0.51
    assert pixels(np.full((9, 9), 1 + 1e-6)).min() == 255
    assert pixels(np.zeros((9, 9))).max() == 0


PHOTO = np.asarray(Image.open(io.BytesIO(PNG))) / 255
NORMALISED = (PHOTO - (0.485, 0.456, 0.406)) / (0.229, 0.224, 0.225)


@pytest.mark.case(18)
@pytest.mark.parametrize(
    ("source", "message"),
    [
        (RAMP.astype(np.float32), r"values from 0 to 255', expected values from 0 \(black\) to 1 \(white\)"),
        (encoded(RAMP.astype(np.float32), "TIFF"), "values from 0 to 255'"),
        (encoded(np.where(RAMP > 250, RAMP, 0).astype(np.float32), "TIFF"), "values from 0 to 255'"),  # mostly black
        (Image.fromarray(RAMP).convert("F"), "values from 0 to 255'"),
        (NORMALISED, "values from -2.12 to 2.64'"),
        (2 * PHOTO - 1, "values from -1 to 1'"),
        (encoded(RAMP.astype(np.int32), "TIFF"), r"values from 0 to 255', expected .* 65535 \(white\).*8 or 16 bit"),
        (Image.fromarray(RAMP).convert("I"), "values from 0 to 255'"),
        (made.tiff(RAMP.astype(np.uint32) << 24, 32), "values from -2.15e.09 to 2.13e.09'"),
        (RAMP.astype(np.int64), "array of type int64 .*uint8, uint16, bool or floats from 0 to 1"),
        (SIDED, "array of type int16"),
        (RAMP.astype(np.int8), "array of type int8"),
        (PHOTO.astype(complex), "array of type complex128"),
        (RAMP.astype(str), "array of type <U"),
        (np.zeros(9, np.uint8), r"shape \(9,\)"),
        (np.zeros((3, 9, 9)), r"shape \(3, 9, 9\)"),
        (np.zeros((9, 9, 0)), r"shape \(9, 9, 0\)"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_values_without_an_agreed_white_are_refused(source, message):
    with pytest.raises(InvalidInput, match=message):
        decode(source)


@pytest.mark.case(18, 51)
def test_a_file_says_how_deep_it_is():
    twelve = DEEP >> 4
    nibbles = np.stack([twelve[:, ::2] >> 4, (twelve[:, ::2] & 15) << 4 | twelve[:, 1::2] >> 8, twelve[:, 1::2] & 255])
    packed = nibbles.transpose(1, 2, 0).astype(np.uint8).tobytes()
    dark = DEEP // 300
    for data, expected in (
        (made.tiff(DEEP, 12, data=packed), 255 * (twelve / 4095)),
        (made.tiff(DEEP, 16, photometric=0), 255 - RAMP),  # white is zero
        (made.tiff(FLOAT, 32, 0, 3), 255 - RAMP),
        (made.tiff(SIDED, 16, 1, 2), 255 * (SIDED / 32_767).clip(0)),
        (b"P2 24 16 1000\n" + b" ".join(b"%d" % v for v in (RAMP.astype(int) * 1000 // 255).ravel()), RAMP),
        (encoded(dark, "PNG"), 255 * (dark / 65_535)),  # a night photo stays one
        (encoded(dark, "TIFF"), 255 * (dark / 65_535)),
        (encoded(dark, "PPM"), 255 * (dark / 65_535)),
        (dark, 255 * (dark / 65_535)),
    ):
        assert np.abs(pixels(data) - grey(expected)).max() <= 1


@pytest.mark.case(51)
def test_the_transparent_value_of_a_png_of_any_depth_is_white():
    def key(*parts: int) -> bytes:
        return made.chunk(b"tRNS", struct.pack(f">{len(parts)}H", *parts))

    for depth in (1, 2, 4, 8, 16):
        values = np.arange(WIDTH * HEIGHT).reshape(HEIGHT, WIDTH) % 2 ** min(depth, 8) * (257 if depth == 16 else 1)
        for chosen in {int(values.min()), int(values.max()), int(values[0, 1])}:
            expected = np.where(values == chosen, 255, values * (255 / (2**depth - 1)))
            found = pixels(made.png(values, depth, 0, key(chosen)))
            assert np.abs(found - grey(expected)).max() <= 1, (depth, chosen)
    for depth, step in ((8, 1), (16, 257)):
        chosen = COLOURS[2, 3].astype(int) * step
        expected = np.where((chosen // step == COLOURS).all(-1, keepdims=True), 255, COLOURS)
        assert np.array_equal(pixels(made.png(COLOURS.astype(int) * step, depth, 2, key(*chosen))), expected)


@pytest.mark.case(51)
def test_the_less_usual_modes():
    half, bits = np.where(np.arange(WIDTH) < 8, 0, 65_535) + 0 * DEEP, RAMP > 99
    on_white = np.where(half == 0, 255, RAMP)
    for data, expected in (
        (made.png(COLOURS.astype(int) * 257, 16, 2), COLOURS),
        (made.png(np.dstack([COLOURS.astype(int) * 257, half]), 16, 6), np.where(half[..., None] == 0, 255, COLOURS)),
        (made.png(np.dstack([DEEP, half]), 16, 4), grey(on_white)),
        (made.tiff(COLOURS.astype("<u2") * 257, 16, 2), COLOURS),
        (encoded(bits, "PNG"), grey(bits * 255)),
        (encoded(bits, "TIFF", compression="group4"), grey(bits * 255)),
        (encoded(bits, "PPM"), grey(bits * 255)),
        (encoded(Image.fromarray(COLOURS), "TIFF", big_tiff=True), COLOURS),
        (
            encoded(Image.fromarray(COLOURS).quantize(4), "BMP"),
            np.asarray(Image.fromarray(COLOURS).quantize(4).convert("RGB")),
        ),
    ):
        assert np.abs(pixels(data) - expected).max() <= 1


# What is given stays as it is


@pytest.mark.case(24, 52)
@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF", "AVIF", "MPO"])
def test_the_frame_that_an_image_stands_at_is_taken_and_it_stays_there(kind):
    colours = [(255, 0, 0), (0, 255, 0), (0, 0, 255)]
    frames = [Image.new("RGB", (WIDTH, HEIGHT), colour) for colour in colours]
    lossless = {"lossless": True} if kind == "WEBP" else {}
    data = encoded(frames[0], kind, save_all=True, append_images=frames[1:], **lossless)
    assert np.abs(pixels(data)[0, 0] - colours[0]).max() <= 3
    image, untouched = (Image.open(io.BytesIO(data)) for _ in range(2))
    for frame in (2, 0, 1):
        image.seek(frame)
        untouched.seek(frame)
        untouched.load()
        for _ in range(2):
            assert np.abs(pixels(image)[0, 0] - colours[frame]).max() <= 3
            assert np.abs(uploaded([image]).photo(0).picture.getpixel((0, 0)) - np.array(colours[frame])).max() <= 3
        assert (image.tell(), image.mode, image.size) == (frame, untouched.mode, untouched.size)
        assert image.info == untouched.info
        assert np.array_equal(np.asarray(image), np.asarray(untouched))


@pytest.mark.case(24)
def test_nothing_given_is_changed():
    turned = encoded(COLOURS, "PNG", exif=made.exif(t274=short(6)), icc_profile=made.rgb_profile(made.ADOBE, 2.2))
    for data in (turned, encoded(RAMP, "PNG", transparency=7), made.png(RAMP >> 6, 2, 0, made.chunk(b"tRNS", b"\0\1"))):
        image = Image.open(io.BytesIO(data))
        loaded = Image.open(io.BytesIO(data))
        loaded.load()
        decode(image).paste("red", (0, 0, 9, 9))
        assert (image.mode, image.size, image.info) == (loaded.mode, loaded.size, loaded.info)
        assert np.array_equal(np.asarray(image), np.asarray(loaded))
    for array in (COLOURS, RAMP, COLOURS / 255, np.dstack([COLOURS, RAMP]), np.where(RAMP > 9, FLOAT, np.nan)):
        before = array.copy()
        decode(array).paste("red", (0, 0, 9, 9))
        assert np.array_equal(array, before, equal_nan=array.dtype.kind == "f")
        array.flags.writeable = False
        decode(array)


def test_an_image_that_is_closed_is_no_damaged_file(tmp_path):
    path = tmp_path / "photo.png"
    path.write_bytes(PNG)
    with Image.open(path) as image:
        pass
    with pytest.raises(InvalidInput, match="The image is closed, damaged or cut off"):
        decode(image)


# data: URLs

MIXED = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3)).astype(np.uint8)
FILE = encoded(MIXED, "PNG") + b"\0"  # so that its base64 is padded
TEXT = base64.b64encode(FILE).decode()
assert {"+", "/", "="} <= set(TEXT)
WRAPPED = "\r\n".join(TEXT[i : i + 76] for i in range(0, len(TEXT), 76))
URLS = [
    f"data:image/png;base64,{TEXT}",
    f"data:image/png;base64,{WRAPPED}\n",
    f"data:image/png;base64,{' '.join(TEXT)}",
    f"data:image/png;base64,{TEXT.rstrip('=')}",
    f"data:image/png;base64,{TEXT.replace('+', '-').replace('/', '_')}",
    f"data:image/png;base64,{TEXT.replace('+', '%2B').replace('/', '%2f').replace('=', '%3D')}",
    f"DATA:image/png;base64,{TEXT}",
    f"Data:Image/PNG;BASE64,{TEXT}",
    f" \n data:image/png;base64,{TEXT}",
    f"data:image/png;charset=utf-8;base64,{TEXT}",
    f'data:image/png;name="a b.png"; base64 ,{TEXT}',
    f"data:;base64,{TEXT}#fragment",
    f"data:base64;base64,{TEXT}",
    f"data:image/png,{quote_from_bytes(FILE)}",
    f"data:,{quote_from_bytes(FILE, safe='')}",
]


@pytest.mark.case(25)
@pytest.mark.parametrize("url", URLS, ids=lambda url: ascii(url[:40]))
def test_data_urls_as_browsers_read_them(url):
    assert np.array_equal(pixels(url), MIXED)
    (photo,) = uploaded([url])
    assert np.array_equal(pixels(photo.load()), MIXED)
    given = photo_input("image", url)
    assert given.name == "photo"
    assert np.array_equal(np.asarray(given.picture), MIXED)


@pytest.mark.case(25)
@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("data:", "no comma"),
        ("data:image/png;base64", "no comma"),
        ("DATA:image/png;base64,@@@", "not valid base64"),
        ("data:image/png;base64,A", "not valid base64"),
        ("data:image/png;base64,AA=A", "not valid base64"),
        ("data:image/png;base64,AAAA=", "not valid base64"),
        ("data:image/png;base64,AAA===", "not valid base64"),
        ("data:image/png;base64,\ud800", "not valid base64"),
        ("data:image/png;base64,", "none of these"),
        ("data:image/png;base64,AA==", "none of these"),
        (f"data:image/png;base64x,{TEXT}", "none of these"),
        ("data:image/svg+xml;utf8,<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG drawings have no pixels"),
    ],
)
def test_what_no_browser_reads(url, message):
    assert message in refusal(url)


# What is no photo


@pytest.mark.case(54)
def test_a_photo_that_is_cut_off_is_refused_at_any_length():
    for kind in ("JPEG", "PNG", "WEBP", "AVIF", "GIF", "BMP", "TIFF", "PPM"):
        data = encoded(np.kron(MIXED, np.ones((4, 4, 1), np.uint8)), kind)
        for share in (0, 0.01, 0.1, 0.4, 0.7, 0.9):
            assert refusal(data[: int(share * len(data))]), (kind, share)
    spoilt = bytearray(PNG)
    spoilt[PNG.index(b"IDAT") + 20] ^= 1
    assert "damaged or cut off" in refusal(bytes(spoilt))


@pytest.mark.case(54)
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "none of these"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "none of these"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "none of these"),
        (b"%PDF-1.7", "none of these"),
        (b"<!DOCTYPE html><html></html>", "none of these"),
        (b"<html><svg></svg></html>", "SVG drawings"),
        (made.tiff((COLOURS / 255).astype(np.float32), 32, 2, 3), "begins like TIFF, but is damaged or of a rare kind"),
        (b"\x89PNG\r\n\x1a\n", "begins like PNG"),
    ],
    ids=lambda value: ascii(value[:20]),
)
def test_what_is_no_photo_is_told(content, message):
    with pytest.raises(InvalidInput, match=message):
        decode(content)


@pytest.mark.case(54)
def test_a_folder_is_called_one_and_a_name_that_cannot_be_is_no_file(tmp_path):
    for source in (tmp_path, str(tmp_path)):
        assert refusal(source).endswith("That is a folder.")
    for name in ("x" * 300, "a\0b.png", "\ud800.png", str(tmp_path / "photo.png" / "photo.png")):
        assert refusal(name).endswith("There is no such file.")


@pytest.mark.case(54)
def test_a_png_with_much_text_is_read():
    much = zlib.compress(bytes(3 * 2**20))
    texts = [
        made.chunk(b"zTXt", b"Comment\0\0" + much),
        made.chunk(b"iTXt", b"Comment\0\1\0\0\0" + much),
        made.chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(900_000))) * 80,  # more than 64 MiB in all
        made.chunk(b"tEXt", b"transparency\0x") + made.chunk(b"tEXt", b"icc_profile\0x"),
        made.chunk(b"tEXt", b"gamma\0x"),
    ]
    for text in texts:
        assert np.array_equal(pixels(made.png(COLOURS, 8, 2, text)), COLOURS)
        after = PNG[:-12] + text + PNG[-12:]
        assert np.array_equal(pixels(after), COLOURS)
    profile = made.chunk(b"iCCP", b"profile\0\0" + much)
    assert "colour profile, is too large" in refusal(made.png(COLOURS, 8, 2, profile))


@pytest.mark.case(55)
@pytest.mark.slow
def test_the_largest_photos_that_are_allowed():
    wide = Image.new("RGB", (7_980, 5_000), (9, 99, 199))
    assert decode(encoded(wide, "PNG", compress_level=1)).getpixel((7_979, 4_999)) == (9, 99, 199)
    deep = np.full((5_000, 7_980), 30_000, np.uint16)
    assert decode(encoded(deep, "PNG", compress_level=1)).getpixel((7_979, 4_999)) == (117, 117, 117)
    for source in (np.zeros((5_001, 8_000), np.uint8), Image.new("1", (8_000, 5_001))):
        assert "expected at most 40,000,000 pixels" in refusal(source)


def test_one_place_says_which_formats_are_read():
    assert Photo.accepts == photos.EXPECTED
    assert all(usual in photos.EXPECTED for usual in photos.FORMATS.values())
    assert {"AVIF", "PPM"} <= set(photos.FORMATS)
    for kind in photos.FORMATS:
        assert np.abs(pixels(encoded(COLOURS, kind)) - COLOURS).mean() < 20
    known = {suffix for suffix, kind in Image.registered_extensions().items() if kind in (*photos.FORMATS, "MPO")}
    assert known <= SUFFIXES
