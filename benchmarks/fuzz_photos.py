"""Photos damaged at random: each is decoded to an RGB picture or refused, in bounded time and memory.

python -m benchmarks.fuzz_photos [--count 4000] [--seed 0]
"""

from __future__ import annotations

import argparse
import collections
import io
import random
import resource
import struct
import sys
import time
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import skimage.data
from PIL import Image, ImageCms

from timmscope import InvalidInput
from timmscope.registry.photos.decoding import decode

KINDS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "MPO", "PPM")
MAX_PIXELS = 4_000_000  # the limit of the fuzz, so that no picture may take long
MEMORY = 2**30  # what a process may take beyond what it has after its imports, in bytes
SECONDS = 5.0  # longest decoding, on a machine that is shared


def photos() -> dict[str, bytes]:
    """Small photos by format, and some of the less usual kinds of each."""
    photo = Image.fromarray(skimage.data.chelsea()).resize((45, 30))
    frames = [photo, photo.rotate(90), photo.rotate(180)]
    found = {kind: _encoded(photo, kind) for kind in KINDS}
    found |= {f"{kind} animation": _encoded(photo, kind, save_all=True, append_images=frames) for kind in
              ("GIF", "WEBP", "PNG", "TIFF", "AVIF")}  # fmt: skip
    found["MPO"] = _encoded(photo, "MPO", save_all=True, append_images=frames)
    found["JPEG progressive"] = _encoded(photo, "JPEG", progressive=True, exif=_exif(6))
    found["PNG palette"] = _encoded(photo.quantize(16), "PNG", transparency=0)
    found["PNG 16 bit"] = _encoded(Image.fromarray(np.asarray(photo.convert("L")).astype(np.uint16) * 257), "PNG")
    for compression in ("tiff_lzw", "tiff_deflate", "jpeg", "packbits"):
        found[f"TIFF {compression}"] = _encoded(photo, "TIFF", compression=compression)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for kind in ("JPEG", "TIFF", "WEBP"):  # damage turns it into others
        found[f"{kind} profile"] = _encoded(photo, kind, icc_profile=profile)
    found["TIFF float"] = _encoded(Image.fromarray(np.asarray(photo.convert("L")).astype(np.float32) / 255), "TIFF")
    return found


def mutations(data: bytes, count: int, rng: random.Random) -> Iterator[bytes]:
    """The photo damaged in `count` ways: bits flipped, cut, inserted, repeated, numbers replaced by extreme ones."""
    for _ in range(count):
        damaged = bytearray(data)
        for _ in range(rng.choice((1, 1, 1, 2, 4, 16))):
            rng.choice(_WAYS)(damaged, rng)
        yield with_checksums(damaged) if rng.random() < 0.7 else bytes(damaged)


def with_checksums(data: bytes | bytearray) -> bytes:
    """The same, if it is a PNG with its checksums put right, so that the damage gets past them."""
    if not data.startswith(b"\x89PNG\r\n\x1a\n"):
        return bytes(data)
    fixed, place = bytearray(data), 8
    while place + 12 <= len(data):
        end = place + 8 + int.from_bytes(data[place : place + 4], "big")
        if end + 4 > len(data):
            break
        fixed[end : end + 4] = zlib.crc32(data[place + 4 : end]).to_bytes(4, "big")
        place = end + 4
    return bytes(fixed)


def bombs() -> dict[str, bytes]:
    """Small files that ask for much: pixels, frames, text, profiles, directories."""
    photo, zeros = _encoded(Image.new("RGB", (9, 9)), "PNG"), zlib.compress(bytes(50_000_000), 9)
    found = {
        f"PNG {name}": photo[:33] + _chunk(kind, head + zeros) + photo[33:]
        for name, kind, head in (
            ("zTXt", b"zTXt", b"Comment\0\0"),
            ("iTXt", b"iTXt", b"Comment\0\1\0\0\0"),
            ("iCCP", b"iCCP", b"profile\0\0"),
        )
    }
    texts = _chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(900_000), 9)) * 500
    found["PNG texts"] = photo[:33] + texts + photo[33:]
    found["PNG pixels"] = _png(60_000, 60_000, zeros)
    found["PNG too much data"] = _png(9, 9, zeros)
    found["JPEG EXIF"] = _encoded(
        Image.new("RGB", (9, 9)), "JPEG", exif=b"Exif\0\0" + b"II*\0\x08\0\0\0" + b"\xff" * 60_000
    )
    found["JPEG profile"] = _encoded(Image.new("RGB", (9, 9)), "JPEG", icc_profile=bytes(5_000_000))
    frames = (Image.new("L", (200, 200), n % 251) for n in range(2_000))
    found["GIF frames"] = _encoded(next(frames), "GIF", save_all=True, append_images=frames)
    found["TIFF directories"] = _directories(100_000)
    found["TIFF circle"] = _directories(1, following=8)
    found["TIFF tag"] = _tiff_tag(2**32 - 1)
    found["AVIF size"] = _encoded(Image.new("RGB", (64, 64)), "AVIF").replace(
        b"ispe" + struct.pack(">III", 0, 64, 64), b"ispe" + struct.pack(">III", 0, 65_535, 65_535)
    )
    found["PPM pixels"] = b"P6 60000 60000 255\n"
    found["PPM digits"] = b"P6 " + b"9" * 5_000_000
    found["BMP pixels"] = struct.pack(
        "<2sIHHIIiiHHIIiiII", b"BM", 54, 0, 0, 54, 40, 2**31 - 1, -(2**31), 1, 24, *[0] * 6
    )
    found["strip"] = _png(1, 65_535, zlib.compress(bytes(4 * 65_535)))
    return found


def outcome(data: bytes, max_pixels: int = MAX_PIXELS) -> tuple[str, float]:
    """What becomes of a file: "decoded", "refused", or what is wrong; and the seconds it took."""
    begin = time.perf_counter()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of nearly every damage
            picture = decode(data, max_pixels=max_pixels)
        fine = picture.width > 0 and picture.height > 0
        fine = fine and picture.mode == "RGB" and len(picture.tobytes()) == picture.width * picture.height * 3
        found = "decoded" if fine and picture.width * picture.height <= max_pixels else f"{picture.mode} {picture.size}"
    except InvalidInput as error:
        found = "out of memory" if isinstance(error.__cause__, MemoryError) else "refused"
    except BaseException as error:
        found = f"{type(error).__name__}: {error}"[:120]
    return found, time.perf_counter() - begin


def bound_memory() -> None:
    """Let this process take no more than MEMORY beyond what it has now. What exceeds that raises, or kills it."""
    for picture in photos().values():
        decode(picture)  # libraries and their threads are loaded
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def fuzz(count: int, seed: int) -> collections.Counter[tuple[str, str]]:
    """Decode `count` damaged photos and every bomb; what became of them, by format and outcome."""
    found: collections.Counter[tuple[str, str]] = collections.Counter()
    rng, originals = random.Random(seed), photos()
    for name, data in originals.items():
        for damaged in mutations(data, max(1, count // len(originals)), rng):
            found[name, _judged(damaged)] += 1
    for name, data in bombs().items():
        found[f"bomb: {name}", _judged(data)] += 1
    return found


def _judged(data: bytes) -> str:
    what, seconds = outcome(data)
    return what if seconds < SECONDS else f"{what} after {seconds:.0f} s"


def _flip(data: bytearray, rng: random.Random) -> None:
    if data:
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def _cut(data: bytearray, rng: random.Random) -> None:
    start = rng.randrange(len(data) + 1)
    del data[start : rng.choice((start + 1, start + 8, len(data)))]


def _insert(data: bytearray, rng: random.Random) -> None:
    start = rng.randrange(len(data) + 1)
    data[start:start] = rng.randbytes(rng.choice((1, 4, 64)))


def _repeat(data: bytearray, rng: random.Random) -> None:
    start = rng.randrange(len(data) + 1)
    data[start:start] = data[start : start + rng.choice((4, 32, 256))] * rng.choice((1, 20))


def _replace(data: bytearray, rng: random.Random) -> None:
    """A number near the start, where sizes, counts and offsets are, or anywhere."""
    size = rng.choice((1, 2, 4))
    if len(data) > size:
        start = rng.randrange(min(len(data) - size, rng.choice((40, 300, len(data)))))
        number = rng.choice((0, 1, 0x7F, 0xFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, rng.getrandbits(32)))
        data[start : start + size] = (number & (2 ** (8 * size) - 1)).to_bytes(size, rng.choice(("big", "little")))


_WAYS = (_flip, _flip, _cut, _insert, _repeat, _replace, _replace)


def _encoded(picture: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def _exif(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _png(width: int, height: int, data: bytes) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")


def _directories(count: int, following: int = 0) -> bytes:
    """A TIFF of one pixel with many directories, each of which leads to the next."""
    tags = ((256, 1), (257, 1), (258, 8), (259, 1), (262, 1), (273, 0), (278, 1), (279, 1))
    size = 2 + 12 * len(tags) + 4
    entries = b"".join(struct.pack("<HHIHH", tag, 3, 1, value, 0) for tag, value in tags)
    chain = [8 + size * (n + 1) for n in range(count - 1)] + [following]
    return b"II*\0\x08\0\0\0" + b"".join(struct.pack("<H", len(tags)) + entries + struct.pack("<I", n) for n in chain)


def _tiff_tag(count: int) -> bytes:
    """A TIFF with a tag that claims to hold `count` numbers."""
    data = bytearray(_directories(1))
    data[8:10] = struct.pack("<H", 8)
    data[10 + 12 * 7 : 10 + 12 * 8] = struct.pack("<HHII", 34675, 7, count, 8)
    return bytes(data)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=4000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    bound_memory()
    start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = fuzz(options.count, options.seed)
    wrong = {key: n for key, n in found.items() if key[1] not in ("decoded", "refused")}
    print("| format | decoded | refused |\n|---|---|---|")
    for name in dict.fromkeys(name for name, _ in found):
        print(f"| {name} | {found[name, 'decoded']} | {found[name, 'refused']} |")
    before, after = start / 1024, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"\n{found.total():,} files, {len(wrong)} kinds of failure; memory {before:,.0f}, then {after:,.0f} MiB at most"
    )
    for (name, what), n in wrong.items():
        print(f"  {name}: {what} ({n})")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
