"""Photos as they are shown, upright and in their colours: what is right is computed by numpy, of files made by hand."""

from __future__ import annotations

import io
import struct
import threading

import numpy as np
import pytest
from PIL import Image

import timmscope
from timmscope import decode

from .. import photo_files as made
from ..photo_files import ORIENTATION, encoded, short

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")  # Pillow warns of every odd tag
HEIGHT, WIDTH = 16, 24
RAMP = np.linspace(0, 255, WIDTH * HEIGHT).reshape(HEIGHT, WIDTH).round().astype(np.uint8)
COLOURS = np.stack([RAMP, RAMP[::-1], 255 - RAMP], -1)
MIXED = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3)).astype(np.uint8)
LOSSLESS = {
    "WEBP": {"lossless": True},
    "AVIF": {"quality": 100, "subsampling": "4:4:4"},
    "JPEG": {"quality": 100, "subsampling": 0},
}
LOSSLESS["MPO"] = LOSSLESS["JPEG"]


def pixels(source) -> np.ndarray:
    return np.asarray(decode(source)).astype(int)


def grey(levels) -> np.ndarray:
    return np.asarray(levels)[..., None].repeat(3, -1)


# Which side is up

ODD_TAGS = {
    "minus one by zero": {"t37380": (10, 1, struct.pack("<ii", -1, 0))},
    "resolution with a sign": {"t282": (10, 1, struct.pack("<ii", -1, 0))},
    "nought by nought": {"t33437": (5, 1, struct.pack("<II", 0, 0))},
    "number where a text is": {"t271": (4, 2, struct.pack("<II", 7, 8))},
    "text where a number is": {"t282": (2, 4, b"abc\0")},
    "unknown type": {"t50000": (99, 1, b"abcd")},
    "endless": {"t37500": (7, 2**32 - 1, b"abcdefgh")},
    "directory outside": {"t34665": (4, 1, struct.pack("<I", 4_000_000_000))},
    "directory in a circle": {"t34665": (4, 1, struct.pack("<I", 8))},
    "no number": {"t50001": (12, 1, struct.pack("<d", float("nan")))},
}


@pytest.mark.case(5)
@pytest.mark.parametrize("odd", ODD_TAGS.values(), ids=ODD_TAGS)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "MPO", "TIFF"])
def test_a_turned_photo_with_an_odd_tag(kind, odd):
    stored = np.ascontiguousarray(np.rot90(COLOURS))
    if kind == "TIFF":
        data = made.tiff(stored, 8, 2, **{**odd, "t274": short(6)})
    else:
        data = encoded(stored, kind, exif=made.exif(t274=short(6), **odd), **LOSSLESS.get(kind, {}))
    assert np.abs(pixels(data) - COLOURS).max() <= (8 if kind in ("JPEG", "MPO") else 0)


@pytest.mark.case(5)
@pytest.mark.case(53)
@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_a_turned_avif_is_turned_once_whatever_its_exif_says(orientation):
    """Pillow writes its turn into the container; the tag that it writes beside is then spoilt."""
    stored = np.ascontiguousarray(np.rot90(COLOURS, {1: 0, 3: 2, 6: 1, 8: 3}[orientation]))
    exif = Image.Exif()
    exif[ORIENTATION], exif[282] = orientation, 77.25
    data = encoded(stored, "AVIF", exif=exif, **LOSSLESS["AVIF"])
    assert np.abs(pixels(data) - COLOURS).max() <= 8
    tag, value = struct.pack(">HHI", 282, 5, 1), struct.pack(">II", 309, 4)
    assert data.count(tag) == data.count(value) == 1
    odd = data.replace(tag, struct.pack(">HHI", 282, 10, 1)).replace(value, struct.pack(">ii", -1, 0))
    assert np.array_equal(pixels(odd), pixels(data))


@pytest.mark.case(6)
@pytest.mark.parametrize(
    ("entry", "turned"),
    [
        *((short(value), False) for value in (0, 1, 9, 65_535)),
        *((short(value), True) for value in (5, 6, 7, 8)),
        ((2, 2, b"6\0"), False),  # as text
        ((3, 2, struct.pack("<HH", 6, 6)), True),  # twice
        ((4, 1, struct.pack("<I", 6)), True),
        ((5, 1, struct.pack("<II", 6, 1)), True),  # as a fraction
        ((5, 1, struct.pack("<II", 6, 0)), False),
    ],
    ids=str,
)
def test_whatever_the_orientation_is_the_photo_is_decoded(entry, turned):
    for kind in ("JPEG", "PNG", "WEBP"):
        assert (decode(encoded(COLOURS, kind, exif=made.exif(t274=entry))).size == (HEIGHT, WIDTH)) == turned


@pytest.mark.case(6)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_exif_that_is_none_says_nothing_and_doubled_headers_do_no_harm(kind):
    good = made.exif(t274=short(6))
    for exif in (b"Exif\0\0", b"Exif\0\0garbage", good[:12], b"Exif\0\0II*\0" + b"\xff" * 60):
        assert decode(encoded(COLOURS, kind, exif=exif)).size == (WIDTH, HEIGHT)
    assert decode(encoded(COLOURS, kind, exif=b"Exif\0\0" + good)).size == (HEIGHT, WIDTH)


@pytest.mark.case(6)
def test_xmp_and_old_texts_of_a_png_tell_which_side_is_up():
    stored = np.ascontiguousarray(np.rot90(COLOURS))
    for text in ('<a tiff:Orientation="6"/>', "<tiff:Orientation>6</tiff:Orientation>"):
        chunk = made.chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + text.encode())
        assert np.array_equal(pixels(made.png(stored, 8, 2, chunk)), COLOURS)
        assert np.array_equal(pixels(encoded(stored, "WEBP", xmp=text.encode(), lossless=True)), COLOURS)
    written = f"\nexif\n  99\n{made.exif(t274=short(6)).hex()}\n"
    for text in (b"Raw profile type exif\0" + written.encode(), b"exif\0" + made.exif(t274=short(6))):
        assert np.array_equal(pixels(made.png(stored, 8, 2, made.chunk(b"tEXt", text))), COLOURS)


@pytest.mark.case(32)
def test_a_turned_photo_has_its_overlay_on_the_upright_photo(cat):
    stored = np.ascontiguousarray(np.rot90(np.asarray(Image.open(io.BytesIO(cat)).resize((96, 64)))))
    photo = encoded(stored, "JPEG", exif=made.exif(t274=short(6)))
    upright = np.rot90(np.asarray(Image.open(io.BytesIO(photo))), -1)
    overlay, expected = (
        timmscope.run("grad_cam", image=image, model="test_convnext", weights="random", fit=True).pictures["overlay"]
        for image in (photo, upright)
    )
    assert overlay[0][0].size == (640, 427)  # as wide as it is on the page
    assert np.array_equal(np.asarray(overlay[0][0]), np.asarray(expected[0][0]))
    shown = np.asarray(overlay[0][0].convert("L").resize((96, 64)), float).ravel()
    photographed = np.asarray(Image.fromarray(upright).convert("L"), float)
    likeness = [np.corrcoef(shown, np.rot90(photographed, turns).ravel())[0, 1] for turns in (0, 2)]
    assert likeness[0] > likeness[1] + 0.3


# Colours

WIDE = {
    "Display P3": (made.DISPLAY_P3, 0, made.D65),
    "Adobe RGB": (made.ADOBE, 563 / 256, made.D65),
    "ProPhoto": (((0.7347, 0.2653), (0.1596, 0.8404), (0.0366, 0.0001)), 461 / 256, (0.3457, 0.3585)),
}


def in_srgb(levels: np.ndarray, primaries, gamma: float, white) -> np.ndarray:
    """Levels of another colour space as those of sRGB, by the definitions of both."""
    light = (levels / 255) ** gamma if gamma else made.srgb_light(levels)
    return made.srgb_levels(light @ (np.linalg.inv(made.to_xyz(made.SRGB)) @ made.to_xyz(primaries, white)).T)


@pytest.mark.case(17)
@pytest.mark.parametrize("space", WIDE.values(), ids=WIDE)
def test_a_profile_is_converted_to_srgb(space):
    profile, expected = made.rgb_profile(*space), in_srgb(MIXED, *space)
    assert np.abs(expected - MIXED).mean() > 4
    for kind in ("PNG", "TIFF", "WEBP"):
        found = pixels(encoded(MIXED, kind, icc_profile=profile, **({"lossless": True} if kind == "WEBP" else {})))
        assert np.abs(found - expected).max() < 1, kind
    for kind in ("JPEG", "AVIF"):
        data = encoded(COLOURS, kind, icc_profile=profile, **LOSSLESS[kind])
        stored = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
        assert np.abs(pixels(data) - in_srgb(stored, *space)).max() < 1.2, kind
    opened = Image.open(io.BytesIO(encoded(MIXED, "PNG", icc_profile=profile)))
    assert np.abs(pixels(opened) - expected).max() < 1


@pytest.mark.case(17)
def test_a_profile_and_transparency_palettes_or_greys():
    space = WIDE["Display P3"]
    profile, alpha = made.rgb_profile(*space), np.where(np.arange(WIDTH) < 9, 0, 255) + 0 * RAMP
    data = encoded(np.dstack([MIXED, alpha]).astype(np.uint8), "PNG", icc_profile=profile)
    expected = np.where(alpha[..., None] == 0, 255, in_srgb(MIXED, *space))
    assert np.abs(pixels(data) - expected).max() < 1
    palette = Image.fromarray(MIXED).quantize(64)
    expected = in_srgb(np.asarray(palette.convert("RGB")), *space)
    assert np.abs(pixels(encoded(palette, "PNG", icc_profile=profile)) - expected).max() < 1
    assert np.abs(pixels(encoded(RAMP, "PNG", icc_profile=profile)) - in_srgb(grey(RAMP), *space)).max() < 1
    for gamma in (1.0, 1.75, 2.25):
        expected = grey(made.srgb_levels((RAMP / 255) ** gamma))
        own = made.grey_profile(gamma)
        assert np.abs(pixels(encoded(RAMP, "PNG", icc_profile=own)) - expected).max() < 0.6
        deep = encoded(RAMP.astype(np.uint16) * 257, "PNG", icc_profile=own)
        assert np.abs(pixels(deep) - expected).max() < 0.6
        both = encoded(np.dstack([RAMP, alpha]).astype(np.uint8), "PNG", icc_profile=own)
        assert np.abs(pixels(both) - np.where(alpha[..., None] == 0, 255, expected)).max() < 0.6


@pytest.mark.case(17)
def test_an_srgb_profile_changes_no_bit_and_what_is_no_profile_is_ignored():
    from PIL import ImageCms

    p3 = made.rgb_profile(*WIDE["Display P3"])
    ink = made.ink_profile(np.zeros((2, 2, 2, 2, 3)))
    for profile in (
        made.rgb_profile(made.SRGB),
        ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(),
        *(b"", b"garbage", p3[:200], p3[:128] + b"\xff" * 400, p3.replace(b"RGB ", b"HSV "), bytes(2**21)),
        *(made.grey_profile(1.0), ink),  # of other colours than these
    ):
        for kind in ("TIFF", "PNG") if len(profile) < 2**20 else ("TIFF",):
            assert np.array_equal(pixels(encoded(MIXED, kind, icc_profile=profile)), MIXED)
    assert np.array_equal(pixels(encoded(RAMP, "PNG", icc_profile=ink)), grey(RAMP))


@pytest.mark.case(17)
def test_a_profile_kept_for_the_next_photo_serves_several_threads():
    data = encoded(np.tile(MIXED, (40, 30, 1)), "TIFF", icc_profile=made.rgb_profile(*WIDE["ProPhoto"]))
    expected, found = pixels(data), []
    threads = [threading.Thread(target=lambda: found.append(pixels(data))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.array_equal(other, expected) for other in found)
    assert len(found) == 8


@pytest.mark.case(17)
def test_the_gamma_of_a_png_is_corrected_where_no_profile_speaks():
    def gamma(value: float) -> bytes:
        return made.chunk(b"gAMA", struct.pack(">I", round(value * 100_000)))

    for value in (1.0, 1 / 1.8):
        expected = 255 * (COLOURS / 255) ** (1 / (2.2 * value))
        assert np.abs(pixels(made.png(COLOURS, 8, 2, gamma(value))) - expected).max() <= 0.5
    srgb = made.chunk(b"sRGB", b"\0")
    for chunks in ([gamma(0.45455)], [gamma(1.0), srgb], [gamma(0)]):
        assert np.array_equal(pixels(made.png(COLOURS, 8, 2, *chunks)), COLOURS)


@pytest.mark.case(50)
def test_inks_are_not_inverted_with_and_without_the_marker_of_adobe():
    inks = np.zeros((8, 32, 4), np.uint8)
    for number, colour in enumerate(((0, 255, 255, 0), (255, 0, 255, 0), (255, 255, 0, 0), (0, 0, 0, 0))):
        inks[:, number * 8 : number * 8 + 8] = colour
    expected = np.array([(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)])
    picture = Image.frombytes("CMYK", (32, 8), inks.tobytes())
    marked = encoded(picture, "JPEG", quality=100)  # inverted, as all programs write them
    start = marked.index(b"\xff\xee\0\x0eAdobe")
    unmarked = marked[:start] + marked[start + 16 :]
    for data in (marked, unmarked, encoded(picture, "TIFF")):
        assert np.abs(pixels(data)[4, 4::8] - expected).max() <= 3


@pytest.mark.case(17, 50)
def test_inks_with_a_profile_have_the_colours_of_print():
    corners = np.zeros((2, 2, 2, 2, 3))
    for c, m, y in np.ndindex(2, 2, 2):
        corners[c, m, y, 0] = 100 - 20 * c - 25 * m - 5 * y, 40 * m - 20 * c - 4 * y, 45 * y - 25 * c - 2 * m
    inks = np.array(list(np.ndindex(2, 2, 2, 2)), np.uint8).reshape(2, 8, 4) * 255
    data = encoded(Image.frombytes("CMYK", (8, 2), inks.tobytes()), "TIFF", icc_profile=made.ink_profile(corners))
    assert np.abs(pixels(data) - made.lab_to_srgb(corners).reshape(2, 8, 3)).max() < 1.5
