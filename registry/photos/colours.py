"""Colours: pictures of any depth, colour space and transparency become 8-bit RGB in sRGB."""

from __future__ import annotations

import functools
import io
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..base.errors import InvalidInput

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

SHARE = 0.1  # of the values, zeros aside: more than these out of range are no overshoot
FLOATS = (-0.1, 1.1)  # what is in range where white is 1; the rest up to here is overshoot, and clipped
WHOLE = (256, 1.1 * 65_535)  # where white is 65,535; a photo of 8 bit in there would be black
CACHED = 2**20  # longest profile that is kept, in bytes
DISPLAY_GAMMA, SAME_GAMMA = 2.2, 0.05  # what libpng takes a screen for, and what it takes for no difference
BITS_PER_SAMPLE, PHOTOMETRIC, WHITE_IS_ZERO = 258, 262, 0  # of a TIFF
PNG_DEPTHS = {"L;2": 2, "L;4": 4, "I;16B": 16, "RGB;16B": 16}  # Pillow's name of what is stored, to bits


def to_srgb(picture: Image.Image, parameter: str) -> Image.Image:
    """Any picture as browsers show it: RGB of 8 bit, in sRGB, on white. The given one is loaded, and not changed.

    - Greys of 16 bit go from 0 to 65535 and those of 12 bit from 0 to 4095, as the file says. Greys of 32 bit go from
      0 to 65535, which is what Pillow keeps in them, and floats from 0 (black) to 1 (white); see `levels`.
    - An ICC profile is applied, by its perceptual intent. One that is damaged, or of another colour space than the
      pixels, is ignored. One that moves no colour by more than a level is sRGB and leaves every pixel as it is.
    - A PNG without profile whose gamma (gAMA) is not a screen's is corrected as libpng does it. Its primaries (cHRM)
      and code points (cICP) are not used: a PNG whose colours are not those of sRGB has a profile besides.
    - Transparency is laid on white.

    Args:
        picture: Of any mode.
        parameter: Name of the parameter, for messages.

    Raises:
        InvalidInput: Values out of range, see `levels`.
    """
    from PIL import Image

    depth = _png_depth(picture)
    picture.load()
    colours, alpha = _separated(picture, depth, parameter)
    rgb = _managed(colours, picture.info)
    if alpha is not None:
        rgb.putalpha(alpha)
        rgb = Image.alpha_composite(Image.new("RGBA", rgb.size, "white"), rgb).convert("RGB")
    rgb.info.clear()
    return rgb


def levels(values: np.ndarray, white: float, parameter: str, usual: tuple[float, float] | None = None) -> np.ndarray:
    """Values from 0 (black) to `white` as levels of 8 bit; what overshoots is clipped, what is no number is black.

    Nothing is scaled by the largest value: one pixel would change all others.

    Args:
        values: Of any shape and type.
        white: The value that is white.
        parameter: Name of the parameter, for messages.
        usual: Lowest and highest value of a photo, where the type alone does not tell its range.

    Returns:
        uint8 of the same shape.

    Raises:
        InvalidInput: More than a tenth of the values other than 0 are not `usual`.
    """
    import numpy as np

    found = np.empty(values.shape, np.uint8)
    unusual = lit = 0
    for row, out in zip(values, found):  # row by row: a large photo would take gigabytes as float64
        numbers = np.nan_to_num(row.astype(np.float64), posinf=0, neginf=0)
        out[...] = (numbers * (255 / white)).clip(0, 255).round()
        if usual:
            lit += int(np.count_nonzero(numbers))
            unusual += int(np.count_nonzero((numbers != 0) & ((numbers < usual[0]) | (numbers > usual[1]))))
    if usual and unusual > SHARE * lit:
        finite = values[np.isfinite(values)]
        given = f"values from {finite.min():.3g} to {finite.max():.3g}"
        remedy = "What overshoots a little is clipped. Scale the values, or give 8 or 16 bit."
        raise InvalidInput(parameter, given, f"values from 0 (black) to {white:g} (white)", remedy)
    return found


def _png_depth(picture: Image.Image) -> int:
    """Bits a channel in a PNG that is not loaded yet; 8 where that is not known."""
    if picture.format != "PNG" or not (tiles := getattr(picture, "tile", None)):
        return 8
    return PNG_DEPTHS.get(str(tiles[0][3]), 8)


def _separated(picture: Image.Image, depth: int, parameter: str) -> tuple[Image.Image, Image.Image | None]:
    """Colours without transparency, of 8 bit in whatever space they are, and the transparency, if any."""
    import numpy as np
    from PIL import Image

    key = picture.info.get("transparency")  # the transparent value of a PNG or GIF, or a palette's transparencies
    key = key if isinstance(key, (int, tuple, bytes)) else None  # a text of a PNG may have that name, too
    if picture.mode in ("I", "F") or picture.mode.startswith("I;16"):
        values = np.asarray(picture)
        alpha = None if key is None else Image.fromarray(np.where(values == key, 0, 255).astype(np.uint8))
        return Image.fromarray(_grey_levels(picture, values, parameter)), alpha
    if key is not None and depth != 8:  # Pillow keeps it as stored, in a picture of 8 bit
        picture = picture.copy()
        factor = 255 / (2**depth - 1)
        scaled = tuple(round(part * factor) for part in (key if isinstance(key, tuple) else (key,)))
        picture.info["transparency"] = scaled if isinstance(key, tuple) else scaled[0]
    if picture.mode in ("RGBA", "LA", "PA", "RGBa", "La") or key is not None:
        grey = picture.mode in ("1", "L", "LA", "La")
        both = picture.convert("LA" if grey else "RGBA")
        return both.convert("L" if grey else "RGB"), both.getchannel("A")
    return picture, None


def _grey_levels(picture: Image.Image, values: np.ndarray, parameter: str) -> np.ndarray:
    """Levels of a grey picture deeper than 8 bit, by what its file declares."""
    tags: Any = getattr(picture, "tag_v2", {})
    bits = tags.get(BITS_PER_SAMPLE, (16 if picture.format in ("PNG", "PPM") else 0,))[0]
    if picture.mode == "F":
        found = levels(values, 1, parameter, FLOATS)
    elif picture.mode != "I":
        found = levels(values, 4095 if bits == 12 else 65_535, parameter)
    elif bits == 16:
        found = levels(values, 32_767 if tags else 65_535, parameter)  # TIFFs in this mode have values with a sign
    else:
        found = levels(values, 65_535, parameter, WHOLE)
    return 255 - found if tags.get(PHOTOMETRIC) == WHITE_IS_ZERO else found


def _managed(picture: Image.Image, info: dict[Any, Any]) -> Image.Image:
    """A picture without transparency as RGB in sRGB, by the profile or the gamma that `info` has, if any."""
    profile, gamma = info.get("icc_profile"), info.get("gamma")
    if isinstance(profile, bytes) and picture.mode != "LAB":  # Pillow converts that one itself
        mode, convert = (_conversion if len(profile) <= CACHED else _conversion.__wrapped__)(profile)
        if (mode == "RGB" and picture.mode != "CMYK") or (mode == "L" and picture.mode == "1"):
            picture = picture.convert(mode)
        if picture.mode == mode:
            return convert(picture)
    rgb = picture.convert("RGB")
    if isinstance(gamma, float) and gamma > 0 and "srgb" not in info:
        exponent = 1 / (DISPLAY_GAMMA * gamma)
        if abs(1 / exponent - 1) > SAME_GAMMA:
            return rgb.point([round(255 * (level / 255) ** exponent) for level in range(256)] * 3)
    return rgb


@functools.lru_cache(maxsize=8)
def _conversion(profile: bytes) -> tuple[str, Callable[[Image.Image], Image.Image]]:
    """What an ICC profile is for.

    Returns:
        The mode of the pictures, empty where it is for none, and what converts them to RGB in sRGB.
    """
    import numpy as np
    from PIL import Image, ImageCms

    try:
        given = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        mode = {"RGB ": "RGB", "GRAY": "L", "CMYK": "CMYK"}.get(given.profile.xcolor_space, "")
        flags = ImageCms.Flags.NOOPTIMIZE if mode == "L" else ImageCms.Flags.NONE  # slow, and exact in the shadows
        convert = ImageCms.buildTransform(given, ImageCms.createProfile("sRGB"), mode, "RGB", flags=flags).point
    except (ImportError, OSError, TypeError, ValueError, ImageCms.PyCMSError):  # damaged, or Pillow without its library
        return "", _plain
    steps = np.linspace(0, 255, 9).round().astype(np.uint8)
    colours = np.stack(np.meshgrid(steps, steps, steps), -1).reshape(1, -1, 3)
    sample = Image.fromarray(np.arange(256, dtype=np.uint8)[None] if mode == "L" else colours).convert(mode)
    there, here = convert(sample), _plain(sample)
    if np.abs(np.asarray(there, int) - np.asarray(here, int)).max() <= 1:
        return mode, _plain
    table = there.getchannel("G").tobytes()
    return mode, convert if mode != "L" else lambda picture: picture.point(table).convert("RGB")


def _plain(picture: Image.Image) -> Image.Image:
    return picture.convert("RGB")
