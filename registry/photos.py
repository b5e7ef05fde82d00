"""Photos: safe decoding of whatever people upload."""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import InvalidInput

if TYPE_CHECKING:
    from PIL import Image

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "PPM")  # JPEG includes MPO
EXPECTED = "a photo: PNG, JPEG, WebP, AVIF, GIF, BMP or TIFF"
MAX_ASPECT = 30  # a longer strip would be resized to millions of pixels before its centre is cropped


@dataclass(frozen=True, eq=False)
class PhotoInput:
    """A decoded photo, as techniques receive it.

    Args:
        picture: The photo: RGB, 8 bit, upright.
        name: File name or sample name, for captions and recipes.
        fit: Squash the whole photo to the model's input instead of cropping its centre.
    """

    picture: Image.Image
    name: str = "photo"
    fit: bool = False

    @cached_property
    def sha256(self) -> str:
        """Hash of size and pixels: the photo's identity in recipes."""
        return hashlib.sha256(repr(self.picture.size).encode() + self.picture.tobytes()).hexdigest()


def decode(source: Any, parameter: str = "image", max_pixels: int = 40_000_000) -> Image.Image:
    """Decode a photo into upright 8-bit RGB.

    EXIF rotation is applied; transparency is laid on white; 16 bit and float are scaled to 8 bit; of an
    animation the first frame is taken.

    Args:
        source: File path, bytes, `data:` URL, PIL image, or a uint8 array [height, width(, 3 or 4)].
        parameter: Name of the parameter, for messages.
        max_pixels: Largest width x height accepted.

    Returns:
        A PIL image of mode RGB.

    Raises:
        InvalidInput: No photo, a format that is not one of `FORMATS`, a broken file, or too many pixels.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    what = _described(source)
    try:
        picture = _open(source, parameter)
        width, height = picture.size
        given = f"{width} x {height} pixels"
        if not width * height:
            raise InvalidInput(parameter, given, "at least one pixel")
        if width * height > max_pixels:
            raise InvalidInput(parameter, given, f"at most {max_pixels:,} pixels", "Scale the photo down first.")
        if max(width, height) > MAX_ASPECT * min(width, height):
            raise InvalidInput(parameter, given, f"sides of at most {MAX_ASPECT} to 1", "Crop the photo first.")
        if getattr(picture, "is_animated", False):
            picture.seek(0)
        picture.load()
        return _to_rgb(ImageOps.exif_transpose(picture))
    except InvalidInput:
        raise
    except FileNotFoundError:
        raise InvalidInput(parameter, what, EXPECTED, "There is no such file.") from None
    except (UnidentifiedImageError, Image.DecompressionBombError) as error:
        svg = "SVG drawings have no pixels: export a PNG." if _looks_like_svg(source) else ""
        bomb = "It declares far too many pixels." if isinstance(error, Image.DecompressionBombError) else ""
        raise InvalidInput(parameter, what, EXPECTED, svg or bomb or "The file is none of these.") from None
    except Exception as error:  # decoders raise nearly anything on a damaged file
        raise InvalidInput(parameter, what, EXPECTED, "The file is damaged or cut off.") from error


def _described(source: Any) -> str:
    """The source as messages name it: a file's name without its folders, which are nobody's business."""
    if isinstance(source, str) and source.startswith("data:"):
        return source[:40]
    if isinstance(source, (str, Path)):
        return Path(source).name
    return type(source).__name__


def _open(source: Any, parameter: str) -> Image.Image:
    from PIL import Image

    if isinstance(source, Image.Image):
        return source
    if hasattr(source, "__array_interface__"):
        try:
            return Image.fromarray(source)
        except Exception:
            given = f"an array of type {source.dtype} and shape {source.shape}"
            raise InvalidInput(parameter, given, "a photo: as an array, uint8 [height, width(, 3 or 4)]") from None
    return Image.open(_open_bytes(source, parameter), formats=FORMATS)


def _open_bytes(source: Any, parameter: str) -> io.BytesIO | Path:
    if isinstance(source, bytes):
        return io.BytesIO(source)
    if isinstance(source, Path):
        return source
    if isinstance(source, str) and source.startswith("data:"):
        return io.BytesIO(from_data_url(source, parameter))
    if isinstance(source, str) and source and "\0" not in source and len(source) < 4096:
        return Path(source)
    raise InvalidInput(parameter, source, EXPECTED)


def from_data_url(url: str, parameter: str) -> bytes:
    """What a `data:` URL holds.

    Raises:
        InvalidInput: It is not valid base64.
    """
    head, _, body = url.partition(",")
    try:
        return base64.b64decode(body, validate=True) if head.endswith(";base64") else b""
    except binascii.Error:
        raise InvalidInput(parameter, head[:40], EXPECTED, "The data URL is not valid base64.") from None


def _looks_like_svg(source: Any) -> bool:
    if isinstance(source, bytes):
        return b"<svg" in source[:4096]
    if isinstance(source, str) and source.startswith("data:"):
        return "svg" in source[:40]
    try:
        with open(source, "rb") as file:
            return b"<svg" in file.read(4096)
    except OSError:
        return False


def _to_rgb(picture: Image.Image) -> Image.Image:
    import numpy as np
    from PIL import Image

    if picture.mode in ("I;16", "I;16B", "I;16L", "I;16N", "I", "F"):
        values = np.asarray(picture)
        if picture.mode == "F":
            values = np.nan_to_num(values, posinf=0, neginf=0)
        if picture.mode == "F" and values.max() <= 1:
            scale = 255.0
        elif values.max() > 255 or picture.mode.startswith("I;16"):
            scale = 255 / 65535
        else:
            scale = 1.0
        scaled = np.empty(values.shape, np.uint8)
        for row, out in zip(values, scaled):  # row by row: a large photo would take gigabytes as float64
            out[:] = (row.astype(np.float64) * scale).clip(0, 255).round()
        picture = Image.fromarray(scaled)
    if picture.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in picture.info:
        rgba = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba)
    rgb = picture.convert("RGB")
    rgb.info.clear()
    return rgb
