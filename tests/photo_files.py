"""Photos made by hand, byte by byte: what a library that writes them would not write, or would correct."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
from PIL import Image

D50, D65 = (0.9642, 1.0, 0.8249), (0.3127, 0.3290)
SRGB = ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06))
DISPLAY_P3 = ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060))
ADOBE = ((0.64, 0.33), (0.21, 0.71), (0.15, 0.06))
ORIENTATION = 0x0112


def encoded(picture: Image.Image | np.ndarray, kind: str, **options) -> bytes:
    """A picture or array as a file that Pillow writes."""
    buffer = io.BytesIO()
    (picture if isinstance(picture, Image.Image) else Image.fromarray(picture)).save(buffer, kind, **options)
    return buffer.getvalue()


def chunk(kind: bytes, body: bytes) -> bytes:
    """A chunk of a PNG."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(values: np.ndarray, depth: int, colour: int, *chunks: bytes) -> bytes:
    """A PNG of `values` [height, width(, channels)], of `depth` bits and a colour type, with more chunks."""
    height, width = values.shape[:2]
    if depth < 8:
        bits = np.unpackbits(values.astype(np.uint8)[..., None], axis=-1)[..., -depth:].reshape(height, -1)
        rows = [np.packbits(row).tobytes() for row in bits]
    else:
        rows = [row.astype(">u2" if depth == 16 else "u1").tobytes() for row in values]
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + row for row in rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + b"".join(chunks) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def directory(entries: dict[int, tuple[int, int, bytes]], place: int = 8) -> bytes:
    """A directory of TIFF or EXIF at an offset: tags to type, count and content, little-endian."""
    head, tail = struct.pack("<H", len(entries)), b""
    end = place + 2 + 12 * len(entries) + 4
    for tag, (kind, count, content) in sorted(entries.items()):
        value = content.ljust(4, b"\0") if len(content) <= 4 else struct.pack("<I", end + len(tail))
        tail += content if len(content) > 4 else b""
        head += struct.pack("<HHI", tag, kind, count) + value
    return head + struct.pack("<I", 0) + tail


def short(value: int) -> tuple[int, int, bytes]:
    """An entry of a directory: one number of 16 bit."""
    return 3, 1, struct.pack("<H", value)


def exif(**entries: tuple[int, int, bytes]) -> bytes:
    """EXIF with entries named `t` and the number of their tag."""
    return b"Exif\0\0II*\0" + struct.pack("<I", 8) + directory({int(name[1:]): e for name, e in entries.items()})


def tiff(
    values: np.ndarray, bits: int, photometric: int = 1, sample_format: int = 1, data: bytes = b"", **more
) -> bytes:
    """A TIFF of `values` [height, width(, channels)] as they are in memory, or of packed `data`."""
    height, width, *channels = values.shape
    count = channels[0] if channels else 1
    data = data or values.tobytes()
    several = (3, count, struct.pack("<H", bits) * count)
    entries = {
        **{256: short(width), 257: short(height), 258: several, 259: short(1), 262: short(photometric)},
        **{273: (4, 1, struct.pack("<I", 8)), 277: short(count), 278: short(height)},
        **{279: (4, 1, struct.pack("<I", len(data))), 339: (3, count, struct.pack("<H", sample_format) * count)},
        **{int(name[1:]): entry for name, entry in more.items()},
    }
    data += b"\0" * (len(data) % 2)
    return b"II*\0" + struct.pack("<I", 8 + len(data)) + data + directory(entries, 8 + len(data))


def to_xyz(primaries, white=D65) -> np.ndarray:
    """From linear light of three primaries to XYZ as ICC profiles have it: adapted to D50 by Bradford's matrix."""
    columns = np.array([(x / y, 1, (1 - x - y) / y) for x, y in primaries]).T
    source = np.array([white[0] / white[1], 1, (1 - sum(white)) / white[1]])
    columns = columns * np.linalg.solve(columns, source)
    cones = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
    return np.linalg.inv(cones) @ np.diag(cones @ D50 / (cones @ source)) @ cones @ columns


def srgb_levels(linear: np.ndarray) -> np.ndarray:
    """Linear light of sRGB's primaries as levels from 0 to 255."""
    linear = np.clip(linear, 0, 1)
    return 255 * np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def srgb_light(levels: np.ndarray) -> np.ndarray:
    """The way back: levels of sRGB as linear light."""
    share = np.asarray(levels) / 255
    return np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)


def _fixed(*numbers: float) -> bytes:
    return b"".join(struct.pack(">i", round(number * 65_536)) for number in numbers)


def profile(kind: bytes, space: bytes, connection: bytes, tags: dict[bytes, bytes]) -> bytes:
    """An ICC profile, version 2."""
    place, table, bodies = 128 + 4 + 12 * len(tags), b"", b""
    for name, body in tags.items():
        table += name + struct.pack(">II", place + len(bodies), len(body))
        bodies += body + b"\0" * (-len(body) % 4)
    head = struct.pack(">I4xI4s4s4s12x4s", place + len(bodies), 0x0210_0000, kind, space, connection, b"acsp")
    head = (head.ljust(68, b"\0") + _fixed(*D50)).ljust(128, b"\0")
    return head + struct.pack(">I", len(tags)) + table + bodies


def rgb_profile(primaries, gamma: float = 0, white=D65) -> bytes:
    """The profile of three primaries; their light goes by a gamma, or where it is 0 as in sRGB."""
    xyz = to_xyz(primaries, white)
    table = [round(65_535 * light) for light in srgb_light(np.linspace(0, 255, 1024))]
    curve = b"curv\0\0\0\0" + (
        struct.pack(">IH", 1, round(gamma * 256)) if gamma else struct.pack(">I1024H", 1024, *table)
    )
    points = {name + b"XYZ": b"XYZ \0\0\0\0" + _fixed(*column) for name, column in zip((b"r", b"g", b"b"), xyz.T)}
    curves = dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve)
    return profile(b"mntr", b"RGB ", b"XYZ ", {b"wtpt": b"XYZ \0\0\0\0" + _fixed(*D50), **points, **curves})


def grey_profile(gamma: float) -> bytes:
    """The profile of greys whose light goes by a gamma."""
    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256))
    return profile(b"mntr", b"GRAY", b"XYZ ", {b"wtpt": b"XYZ \0\0\0\0" + _fixed(*D50), b"kTRC": curve})


def ink_profile(corners: np.ndarray) -> bytes:
    """The profile of four inks, each none or full: `corners` [2, 2, 2, 2, 3] are the colours of print, in Lab."""
    lab = np.round(corners.reshape(-1, 3) * (2.55, 1, 1) + (0, 128, 128)).astype(np.uint8)
    ramp = bytes(range(256))
    table = b"mft1\0\0\0\0" + bytes((4, 3, 2, 0)) + _fixed(1, 0, 0, 0, 1, 0, 0, 0, 1)
    table += ramp * 4 + lab.tobytes() + ramp * 3
    return profile(b"prtr", b"CMYK", b"Lab ", {b"wtpt": b"XYZ \0\0\0\0" + _fixed(*D50), b"A2B0": table})


def lab_to_srgb(lab: np.ndarray) -> np.ndarray:
    """Lab of D50 as levels of sRGB."""
    f = (lab[..., :1] + 16) / 116 + np.stack([lab[..., 1] / 500, 0 * lab[..., 1], -lab[..., 2] / 200], -1)
    xyz = np.where(f > 6 / 29, f**3, 3 * (6 / 29) ** 2 * (f - 4 / 29)) * D50
    return srgb_levels(xyz @ np.linalg.inv(to_xyz(SRGB)).T)
