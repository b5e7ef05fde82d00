"""Decoding what people upload: every kind becomes upright RGB of 8 bit, or is refused with a reason."""

from __future__ import annotations

import base64
import io
import struct
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from timmscope import InvalidInput
from timmscope.registry.photos.decoding import PhotoInput, decode

WIDTH, HEIGHT = 24, 16
RAMP = np.linspace(0, 255, WIDTH * HEIGHT).reshape(HEIGHT, WIDTH).round().astype(np.uint8)
COLOURS = np.stack([RAMP, RAMP[::-1], 255 - RAMP], -1)


def encoded(picture, kind: str, **options) -> bytes:
    if not isinstance(picture, Image.Image):
        picture = Image.fromarray(picture)
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def pixels(source) -> np.ndarray:
    picture = decode(source)
    assert picture.mode == "RGB"
    assert not picture.info
    return np.asarray(picture)


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM"])
def test_lossless_formats_are_exact(kind):
    assert np.array_equal(pixels(encoded(COLOURS, kind)), COLOURS)


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "AVIF"])
def test_lossy_formats_are_close(kind):
    assert np.abs(pixels(encoded(COLOURS, kind, quality=95)).astype(int) - COLOURS).mean() < 4


@pytest.mark.case(6)
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_rotation_is_applied(orientation):
    upright = COLOURS
    stored = {  # how a camera held that way stores the upright picture
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright, 1),
        7: upright[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    assert np.array_equal(pixels(encoded(np.ascontiguousarray(stored), "PNG", exif=exif)), upright)


@pytest.mark.case(51)
def test_transparency_is_laid_on_white():
    alpha = np.where(np.arange(WIDTH) < 8, 0, 255).astype(np.uint8)
    rgba = np.dstack([COLOURS, np.broadcast_to(alpha, (HEIGHT, WIDTH))])
    expected = np.where(alpha[:, None] == 0, 255, COLOURS)
    assert np.array_equal(pixels(encoded(rgba, "PNG")), expected)
    grey = np.dstack([RAMP, rgba[..., 3]])
    assert np.array_equal(
        pixels(encoded(grey, "PNG")), np.where(alpha[:, None] == 0, 255, RAMP[..., None].repeat(3, 2))
    )


@pytest.mark.case(51)
def test_transparent_palette_entries_are_white():
    picture = Image.fromarray((np.arange(WIDTH * HEIGHT).reshape(HEIGHT, WIDTH) % 3).astype(np.uint8), "P")
    picture.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    for kind in ("PNG", "GIF"):
        found = pixels(encoded(picture, kind, transparency=1))
        assert found[0, :3].tolist() == [[255, 0, 0], [255, 255, 255], [0, 0, 255]]


@pytest.mark.case(50)
def test_cmyk():
    red = Image.new("CMYK", (WIDTH, HEIGHT), (0, 255, 255, 0))
    for kind in ("TIFF", "JPEG"):
        found = pixels(encoded(red, kind)).reshape(-1, 3).mean(0)
        assert found[0] > 225
        assert max(found[1:]) < 40


@pytest.mark.case(51)
@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (RAMP.astype(np.uint16) * 257, "PNG"),
        (RAMP.astype(np.uint16) * 257, "TIFF"),
        (RAMP.astype(np.float32) / 255, "TIFF"),  # 0 to 1
        (RAMP.astype(np.int32) * 257, "TIFF"),
        (RAMP, "PNG"),
    ],
)
def test_deep_and_grey_photos_keep_their_range(values, kind):
    assert np.abs(pixels(encoded(values, kind)).astype(int) - RAMP[..., None]).max() <= 1


def test_values_that_are_no_numbers_are_black():
    values = RAMP.astype(np.float32) / 255
    values[0, :3] = np.nan, np.inf, -np.inf
    assert pixels(encoded(values, "TIFF"))[0, :3].max() == 0


@pytest.mark.case(52)
@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_of_an_animation_the_first_frame_is_taken(kind):
    frames = [Image.new("RGB", (WIDTH, HEIGHT), colour) for colour in ("red", "lime", "blue")]
    options = {"lossless": True} if kind == "WEBP" else {}
    data = encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options)
    assert pixels(data)[0, 0].tolist() == [255, 0, 0]


def test_every_kind_of_source(tmp_path):
    data = encoded(COLOURS, "PNG")
    path = tmp_path / "photo.png"
    path.write_bytes(data)
    url = f"data:image/png;base64,{base64.b64encode(data).decode()}"
    for source in (data, path, str(path), url, Image.open(path), COLOURS, Image.fromarray(COLOURS)):
        assert np.array_equal(pixels(source), COLOURS)
    assert np.array_equal(pixels(RAMP), RAMP[..., None].repeat(3, 2))
    assert np.array_equal(pixels(np.dstack([COLOURS, RAMP * 0 + 255])), COLOURS)
    assert pixels(RAMP > 127).max() == 255
    assert pixels(encoded(COLOURS[:1, :1], "PNG")).shape == (1, 1, 3)


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few bytes that declares `width` x `height` pixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")
    )


SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><rect width="9" height="9"/></svg>'
PNG, JPEG = encoded(COLOURS, "PNG"), encoded(COLOURS, "JPEG")


@pytest.mark.case(54, 55)
@pytest.mark.parametrize(
    ("source", "message"),
    [
        pytest.param(bomb(7000, 7000), "got '7000 x 7000 pixels', expected at most 40,000,000 pixels", id="too large"),
        pytest.param(bomb(60_000, 60_000), "It declares far too many pixels", id="bomb"),
        pytest.param(bomb(3100, 100), "expected sides of at most 30 to 1", id="strip"),
        pytest.param(SVG, "SVG drawings have no pixels", id="SVG"),
        pytest.param(f"data:image/svg+xml;base64,{base64.b64encode(SVG).decode()}", "SVG drawings", id="SVG URL"),
        pytest.param(PNG[:-30], "damaged or cut off", id="cut PNG"),
        pytest.param(JPEG[: len(JPEG) // 2], "damaged or cut off", id="cut JPEG"),
        pytest.param(encoded(COLOURS, "AVIF").replace(b"ipco", b"ipcx"), "expected a photo", id="damaged AVIF"),
        pytest.param(encoded(COLOURS, "PCX"), "none of these", id="PCX"),  # Pillow reads it; fewer decoders are safer
        pytest.param(b"", "none of these", id="empty"),
        pytest.param(b"just text", "none of these", id="text"),
        pytest.param(b"%PDF-1.7 ...", "none of these", id="PDF"),
        pytest.param("data:image/png;base64,@@@", "not valid base64", id="no base64"),
        pytest.param("data:image/png,abc", "none of these", id="no base64 declared"),
        pytest.param("https://example.org/cat.png", "There is no such file", id="address"),
        pytest.param("", "got '', expected a photo", id="no name"),
        pytest.param("x" * 5_000_000, r"\(5,000,000 characters\), expected a photo", id="long name"),
        pytest.param("a\0b", "expected a photo", id="name with a null"),
        pytest.param(7, "got 7, expected a photo", id="number"),
        pytest.param({"path": "cat.png"}, "expected a photo", id="dict"),
        pytest.param(
            np.zeros((8, 8, 3), int), r"array of type int64 and shape \(8, 8, 3\)', expected .* uint8", id="int64"
        ),
        pytest.param(np.zeros((8, 8, 5), np.uint8), r"shape \(8, 8, 5\)", id="five channels"),
    ],
)
def test_refused_with_the_reason(source, message):
    with pytest.raises(InvalidInput, match=message) as caught:
        decode(source, "content")
    assert str(caught.value).startswith("content: got ")
    assert len(str(caught.value)) < 300


@pytest.mark.case(54)
@pytest.mark.parametrize("content", [b"text, not a photo", b"", PNG[:-30], None])
def test_no_folder_is_in_a_message(tmp_path, content):
    path = tmp_path / "secret" / "photo.jpg"
    path.parent.mkdir()
    if content is not None:
        path.write_bytes(content)
    for source in (path, str(path), path.parent):
        with pytest.raises(InvalidInput) as caught:
            decode(source)
        assert str(tmp_path) not in str(caught.value)
        assert Path(source).name in str(caught.value)


def test_identity_is_size_and_pixels():
    wide, tall, other = (Image.new("RGB", size, colour) for size, colour in (((4, 2), 0), ((2, 4), 0), ((4, 2), 9)))
    hashes = {PhotoInput(picture).sha256 for picture in (wide, tall, other)}
    assert len(hashes) == 3
    assert PhotoInput(wide.copy(), "another name", fit=True).sha256 in hashes


def test_a_photo_without_a_pixel_is_refused():
    for shape in ((0, 0, 3), (0, 0)):
        with pytest.raises(InvalidInput, match="'0 x 0 pixels', expected at least one pixel"):
            decode(np.zeros(shape, np.uint8))


@pytest.mark.case(55)
def test_a_large_deep_photo_takes_no_gigabytes():
    """Its 16 bits are scaled row by row; whole, a photo of the largest size would take 1.3 GB."""
    data = encoded(np.full((2000, 2000), 30_000, np.uint16), "PNG")
    tracemalloc.start()
    picture = decode(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert picture.getpixel((9, 9)) == (117, 117, 117)
    assert peak < 8 * 2000 * 2000
