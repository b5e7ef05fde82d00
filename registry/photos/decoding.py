"""Photos: safe decoding of whatever people upload."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import io
import os
import re
import string
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import unquote_to_bytes

from ..base.errors import InvalidInput
from ..base.names import readable
from .colours import FLOATS, levels, to_srgb

if TYPE_CHECKING:
    from PIL import Image

FORMATS = {  # Pillow's name: the usual one; JPEG includes MPO
    "PNG": "PNG",
    "JPEG": "JPEG",
    "WEBP": "WebP",
    "AVIF": "AVIF",
    "GIF": "GIF",
    "BMP": "BMP",
    "TIFF": "TIFF",
    "PPM": "PPM",
}
*_FIRST, _LAST = FORMATS.values()
EXPECTED = f"a photo: {', '.join(_FIRST)} or {_LAST}"  # the one place that says so
EXPECTED_ARRAY = "a photo: as an array, uint8, uint16, bool or floats from 0 to 1, [height, width(, 1 to 4)]"
MAX_ASPECT = 30  # a longer strip would be resized to millions of pixels before its centre is cropped
HEAD = 4096  # bytes at the start of a file that tell what it is

_DATA_URL = re.compile(r"[\0-\x20]*data:", re.IGNORECASE)
_BASE64 = re.compile(r";[ ]*base64[ ]*$", re.IGNORECASE)
_LETTERS = (string.ascii_letters + string.digits + "+/").encode()
_STANDARD = bytes.maketrans(b"-_", b"+/")  # for those of the alphabet for addresses
_PNG = b"\x89PNG\r\n\x1a\n"
_TEXTS = (b"tEXt", b"zTXt", b"iTXt")
_SIDES = (b"XML:com.adobe.xmp\0", b"Raw profile type exif\0", b"exif\0")  # the texts that may tell which side is up
_AVIF_EXIF = re.compile(rb"(infe\x02.{3}.{4})Exif", re.DOTALL)  # an item's size, flags and numbers, then its type
_ORIENTATION = 0x0112
_TURNS = {
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}


@dataclass(frozen=True, eq=False)
class PhotoInput:
    """A decoded photo, as techniques receive it.

    Args:
        picture: The photo: RGB, 8 bit, upright.
        name: File name or sample name, for captions and recipes; made `readable`.
        fit: Squash the whole photo to the model's input instead of cropping its centre.
    """

    picture: Image.Image
    name: str = "photo"
    fit: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", readable(self.name))

    @cached_property
    def sha256(self) -> str:
        """Hash of size and pixels: the photo's identity in recipes."""
        return hashlib.sha256(repr(self.picture.size).encode() + self.picture.tobytes()).hexdigest()


def decode(source: Any, parameter: str = "image", max_pixels: int = 40_000_000) -> Image.Image:
    """Decode a photo into upright 8-bit RGB, as browsers show it.

    It is turned as its EXIF, XMP or container says. Colours are converted to sRGB, transparency is laid on white, and
    deep photos come to 8 bit, see `colours.to_srgb`. Of an animation the first frame is taken, of a PIL image the one
    it stands at; that image, and an array, stay as they are.

    Args:
        source: File path, bytes, `data:` URL, PIL image, or an array [height, width(, 1 to 4)]: uint8, uint16 (white is
            65535), bool, or floats (white is 1; what overshoots is clipped); 2 and 4 channels end with transparency.
        parameter: Name of the parameter, for messages.
        max_pixels: Largest width x height accepted.

    Returns:
        A PIL image of mode RGB, of its own.

    Raises:
        InvalidInput: No photo, a format that is not one of `FORMATS`, a broken file, too many pixels, or an array or
            deep photo whose values are in another range.
    """
    try:
        with _opened(source, parameter) as picture:
            _check_size(*picture.size, parameter, max_pixels)
            rgb = to_srgb(picture, parameter)
            return _upright(rgb, picture)
    except InvalidInput:
        raise
    except Exception as error:  # decoders raise nearly anything on a damaged file
        raise InvalidInput(parameter, _described(source), EXPECTED, _reason(error, source)) from error


def is_data_url(value: Any) -> bool:
    """Whether a value is a `data:` URL, which is never the name of a file."""
    return isinstance(value, str) and bool(_DATA_URL.match(value))


def from_data_url(url: str, parameter: str) -> bytes:
    """What a `data:` URL holds, read as browsers do: base64 may be wrapped and unpadded, the rest percent-encoded.

    The alphabet of base64 for addresses (`-` and `_`) is taken, too.

    Raises:
        InvalidInput: It has no content, or is not valid base64.
    """
    head, comma, body = url.partition("#")[0].partition(",")
    if not comma:
        raise InvalidInput(parameter, head[:40], EXPECTED, "The data URL has no comma, after which its content is.")
    content = unquote_to_bytes(body.encode("utf-8", "replace").translate(None, b"\t\n\r"))
    if not _BASE64.search(head):
        return content
    letters = content.translate(_STANDARD, b" \t\n\f\r")
    if len(letters) % 4 == 0:
        letters = re.sub(rb"={1,2}\Z", b"", letters)
    if letters.translate(None, _LETTERS) or len(letters) % 4 == 1:
        raise InvalidInput(parameter, head[:40], EXPECTED, "The data URL is not valid base64.")
    return base64.b64decode(letters + b"=" * (-len(letters) % 4))


def _described(source: Any) -> str:
    """The source as messages name it: a file's name without its folders, which are nobody's business."""
    if is_data_url(source):
        return source[:40]
    if isinstance(source, (str, os.PathLike)):
        return Path(os.fsdecode(source)).name
    return type(source).__name__


def _check_size(width: int, height: int, parameter: str, max_pixels: int) -> None:
    given = f"{width} x {height} pixels"
    if not width * height:
        raise InvalidInput(parameter, given, "at least one pixel")
    if width * height > max_pixels:
        raise InvalidInput(parameter, given, f"at most {max_pixels:,} pixels", "Scale the photo down first.")
    if max(width, height) > MAX_ASPECT * min(width, height):
        raise InvalidInput(parameter, given, f"sides of at most {MAX_ASPECT} to 1", "Crop the photo first.")


def _from_array(source: Any, parameter: str) -> Image.Image:
    import numpy as np
    from PIL import Image

    array = np.asarray(source)
    types = (np.uint8, np.uint16, np.bool_, np.floating)
    channels = array.shape[2] if array.ndim == 3 else 1 if array.ndim == 2 else 0
    if not 1 <= channels <= 4 or not any(np.issubdtype(array.dtype, kind) for kind in types):
        raise InvalidInput(parameter, f"an array of type {array.dtype} and shape {array.shape}", EXPECTED_ARRAY)
    if array.ndim == 3 and channels == 1:
        array = array[..., 0]
    if np.issubdtype(array.dtype, np.floating):
        array = levels(array, 1, parameter, FLOATS)
    elif array.dtype != np.uint8:
        array = levels(array, 1 if array.dtype == np.bool_ else 65_535, parameter)
    return Image.fromarray(np.ascontiguousarray(array))


@contextlib.contextmanager
def _opened(source: Any, parameter: str) -> Iterator[Image.Image]:
    """The picture, not loaded yet; its file is open as long."""
    from PIL import Image, UnidentifiedImageError

    if isinstance(source, Image.Image):
        yield source
        return
    if hasattr(source, "__array_interface__"):
        yield _from_array(source, parameter)
        return
    with _file(source, parameter) as file:
        try:
            picture = Image.open(file, formats=tuple(FORMATS))
        except UnidentifiedImageError:
            file.seek(0)
            raise InvalidInput(parameter, _described(source), EXPECTED, _what_it_is(file.read(HEAD))) from None
        yield picture


@contextlib.contextmanager
def _file(source: Any, parameter: str) -> Iterator[BinaryIO]:
    if is_data_url(source):
        source = from_data_url(source, parameter)
    if isinstance(source, (bytes, bytearray, memoryview)):
        yield _lightened(io.BytesIO(source))
    elif not isinstance(source, (str, os.PathLike)):
        raise InvalidInput(parameter, source, EXPECTED)
    elif not os.path.exists(source):  # or no name at all, with a null in it or as long as a photo
        raise InvalidInput(parameter, _described(source), EXPECTED, "There is no such file.")
    else:
        with open(source, "rb") as file:
            yield _lightened(file)


def _lightened(file: BinaryIO) -> BinaryIO:
    """The file without what is not needed of it and Pillow stumbles over."""
    head = file.read(len(_PNG))
    file.seek(0)
    if head == _PNG:
        return io.BytesIO(_without_texts(file.read()))
    if head[4:] == b"ftyp":  # an AVIF tells without its EXIF which side is up, and Pillow would write that anew
        return io.BytesIO(_AVIF_EXIF.sub(rb"\1free", file.read()))
    return file


def _without_texts(png: bytes) -> bytes:
    """A PNG without its texts: they may be longer than Pillow reads, or have the name of what it keeps of a photo."""
    kept, place = [png[: len(_PNG)]], len(_PNG)
    while place < len(png):
        end = place + 12 + int.from_bytes(png[place : place + 4], "big")  # length, kind, content, checksum
        if png[place + 4 : place + 8] not in _TEXTS or png.startswith(_SIDES, place + 8):
            kept.append(png[place:end])
        place = end
    return b"".join(kept)


def _upright(rgb: Image.Image, source: Image.Image) -> Image.Image:
    """The picture turned as the one it was made of says. Of its EXIF only that is read: the rest may be damaged."""
    from PIL import Image

    try:
        turn = _TURNS.get(source.getexif().get(_ORIENTATION, 1))
    except Exception:  # no EXIF, after all
        turn = None
    return rgb.transpose(Image.Transpose[turn]) if turn else rgb


def _what_it_is(head: bytes) -> str:
    """What a file is that none of the decoders takes, as a sentence."""
    from PIL import Image

    if b"<svg" in head:
        return "SVG drawings have no pixels: export a PNG."
    for name, usual in FORMATS.items():
        accepts = Image.OPEN[name][1]
        if accepts and accepts(head[:16]):
            return f"It begins like {usual}, but is damaged or of a rare kind. Save it anew with 8 or 16 bit a channel."
    return "The file is none of these."


def _reason(error: Exception, source: Any) -> str:
    """Why a photo could not be read, as a sentence."""
    from PIL import Image

    if isinstance(error, IsADirectoryError):
        return "That is a folder."
    if isinstance(error, OSError) and error.errno:
        return f"It cannot be read: {os.strerror(error.errno).lower()}."
    if isinstance(error, Image.DecompressionBombError):
        return "It declares far too many pixels."
    if isinstance(error, MemoryError):
        return "There is too little memory for it."
    if "MAX_TEXT" in str(error):  # Pillow's limit for what is packed in a PNG
        return "What it has beside its pixels, such as its colour profile, is too large. Save it without."
    closed = "closed, " if isinstance(source, Image.Image) else ""
    return f"{'The image' if closed else 'The file'} is {closed}damaged or cut off."
