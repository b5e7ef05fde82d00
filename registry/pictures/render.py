"""Arrays to pictures: colour maps, overlays, gradients. Raw values never change; only pictures are clipped."""

from __future__ import annotations

import io
import math
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import matplotlib
import numpy as np
from PIL import Image

from ..base import rounding

if TYPE_CHECKING:
    from matplotlib.colors import Colormap

OVERLAY_SIDE = 640  # longest side of an overlay, in pixels
CELLS_SIDE = 112  # shorter side of a picture of few cells, in pixels, at least
OVERLAY_COLORS, SIGNED_COLORS = "turbo", "RdBu_r"
COLOR, OUTSIDE = 0.55, 0.4  # share of the colours over the photo; brightness of the photo outside the region
MOST_LABELS = 20  # with colours of their own
NO_LABEL = "#8a94a6"  # colour of what has none
NOTHING = "–"  # an empty cell of a table
QUANTILE = 0.99  # heat maps are clipped here: a few extreme pixels would leave the rest black


def normalize(heat: Any, signed: bool = False) -> np.ndarray:
    """Scale a heat map to 0..1 for a colour map, clipped at its 1 % and 99 % quantiles; all 0 where it is constant.

    Differences that rounding explains are not stretched to colours.

    Args:
        heat: Array [height, width].
        signed: Keep zero at 0.5 and clip symmetrically.
    """
    heat = np.asarray(heat, dtype=np.float64)
    if signed:
        limit = float(np.quantile(np.abs(heat), QUANTILE)) or float(np.abs(heat).max()) or 1.0
        return (heat / limit / 2 + 0.5).clip(0, 1)
    low, high = np.quantile(heat, [1 - QUANTILE, QUANTILE])
    if rounding.constant([low, high]):
        low, high = heat.min(), heat.max()
    return np.zeros(heat.shape) if rounding.constant([low, high]) else ((heat - low) / (high - low)).clip(0, 1)


def colored(heat: Any, colors: str = "gray", signed: bool = False) -> np.ndarray:
    """A heat map [height, width] in the `colors` of a matplotlib colour map, uint8 [height, width, 3].

    Args:
        heat: Raw values.
        colors: Name of the colour map.
        signed: As for `normalize`.
    """
    colormap: Colormap = matplotlib.colormaps[colors]
    return colormap(normalize(heat, signed), bytes=True)[..., :3]


def overlay(photo: Image.Image, box: Sequence[float], heat: Any, signed: bool = False) -> np.ndarray:
    """A heat map in colour over the region of the photo it belongs to; the rest of the photo is dimmed.

    Args:
        photo: RGB photo.
        box: Left, top, right, bottom of the region, in photo pixels.
        heat: Array [height, width], raw values.
        signed: Zero is in the middle of the colours.

    Returns:
        uint8 [height, width, 3], the photo's aspect, its longest side at most 640 pixels.
    """
    scale = OVERLAY_SIDE / max(photo.size)
    base = photo.resize([max(1, round(side * scale)) for side in photo.size], Image.Resampling.LANCZOS, reducing_gap=3)
    left, top, right, bottom = (round(value * scale) for value in box)
    size = max(1, right - left), max(1, bottom - top)
    smooth = Image.fromarray(normalize(heat, signed).astype(np.float32)).resize(size, Image.Resampling.BICUBIC)
    colormap = matplotlib.colormaps[SIGNED_COLORS if signed else OVERLAY_COLORS]
    colors = Image.fromarray(colormap(np.asarray(smooth), bytes=True)[..., :3])
    dimmed = Image.blend(base, Image.new("RGB", base.size), 1 - OUTSIDE)
    dimmed.paste(Image.blend(base.crop((left, top, left + size[0], top + size[1])), colors, COLOR), (left, top))
    return np.asarray(dimmed)


def gradient_picture(gradient: Any) -> np.ndarray:
    """A gradient [3 or 1, height, width] as a picture in which grey is zero, uint8 [height, width, 3]."""
    gradient = np.asarray(gradient, dtype=np.float64)
    picture = normalize(gradient, signed=True).transpose(1, 2, 0)
    return np.broadcast_to((picture * 255).round().astype(np.uint8), (*picture.shape[:2], 3)).copy()


def cells(values: Any, extremes: tuple[float, float] | None = None, side: int = CELLS_SIDE) -> np.ndarray:
    """Values as squares from black to white, enlarged so that people see them.

    Args:
        values: Array [rows, columns], or [rows, columns, 3] where the values are colours.
        extremes: What is black and what is white; None takes the extremes of the values. Where they are equal but for
            rounding, zeros are black and other values the middle grey.
        side: Least shorter side of the picture, in pixels.

    Returns:
        uint8 [height, width, 3].
    """
    values = np.asarray(values, dtype=np.float64)
    low, high = extremes or (values.min(), values.max())
    if rounding.constant([low, high]):
        shares = np.full(values.shape, 0.5 if low else 0.0)
    else:
        shares = ((values - low) / (high - low)).clip(0, 1)
    pixels = (shares * 255).round().astype(np.uint8)
    return enlarged(pixels if pixels.ndim == 3 else np.stack([pixels] * 3, axis=-1), side)


def enlarged(picture: np.ndarray, side: int = CELLS_SIDE) -> np.ndarray:
    """A picture [height, width, ...], each pixel repeated until its shorter side has at least `side` pixels."""
    factor = max(1, -(-side // min(picture.shape[:2])))
    return picture.repeat(factor, axis=0).repeat(factor, axis=1)


def wall(pictures: Sequence[np.ndarray], columns: int = 0, gap: int = 2) -> np.ndarray:
    """Pictures of one size in rows, as one picture with see-through gaps.

    Args:
        pictures: uint8 [height, width, 3] each.
        columns: Pictures a row; 0 makes the wall as square as it can be.
        gap: Distance in pixels.

    Returns:
        uint8 [height, width, 4].
    """
    height, width = pictures[0].shape[:2]
    columns = columns or math.ceil(math.sqrt(len(pictures) * height / width))
    columns = min(columns, len(pictures))
    rows = -(-len(pictures) // columns)
    whole = np.zeros((rows * (height + gap) - gap, columns * (width + gap) - gap, 4), np.uint8)
    for i, picture in enumerate(pictures):
        top, left = (i // columns) * (height + gap), (i % columns) * (width + gap)
        whole[top : top + height, left : left + width] = _with_alpha(picture)
    return whole


def same_size(pictures: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Pictures, uint8 [height, width, 3 or 4], with see-through borders where one is smaller than the largest."""
    if len({picture.shape for picture in pictures}) == 1:
        return list(pictures)
    height, width = (max(picture.shape[axis] for picture in pictures) for axis in (0, 1))
    padded = []
    for picture in pictures:
        top, left = (height - picture.shape[0]) // 2, (width - picture.shape[1]) // 2
        padded.append(np.zeros((height, width, 4), np.uint8))
        padded[-1][top : top + picture.shape[0], left : left + picture.shape[1]] = _with_alpha(picture)
    return padded


def below(picture: np.ndarray, pixels: int) -> np.ndarray:
    """The picture, uint8 [height, width, 3 or 4], with so many see-through pixels below it for a text."""
    return np.pad(_with_alpha(picture), ((0, pixels), (0, 0), (0, 0)))


def _with_alpha(picture: np.ndarray) -> np.ndarray:
    opaque = np.full((*picture.shape[:2], 1), 255, np.uint8)
    return picture if picture.shape[2] == 4 else np.concatenate([picture, opaque], axis=2)


def label_colors(labels: Sequence[str]) -> dict[str, str]:
    """A colour for each label, as #rrggbb; none when there is no label, or more than can be told apart.

    The most frequent labels come first and get the strongest colours.
    """
    counts = Counter(sorted(label for label in labels if label))
    if not 0 < len(counts) <= MOST_LABELS:
        return {}
    paired = matplotlib.colormaps["tab20"]  # strong and pale in turn
    colors = [paired(i) for i in (*range(0, MOST_LABELS, 2), *range(1, MOST_LABELS, 2))]
    return {label: matplotlib.colors.to_hex(color) for (label, _), color in zip(counts.most_common(), colors)}


def sprite(pictures: Any) -> Image.Image:
    """Pictures of one size, uint8 [n, height, width, 3], in rows of ceil(sqrt(n)) on one picture without gaps."""
    rows = wall(list(pictures), math.ceil(math.sqrt(len(pictures))), gap=0)
    return Image.fromarray(rows[..., :3])


def png(picture: Image.Image) -> bytes:
    """A picture as a PNG file; lossless, and compressed lightly since most of a quick run would go into it."""
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def animation(frames: Any, milliseconds: int = 80) -> bytes:
    """Frames, uint8 [frames, height, width, 3], as a lossless animated WebP that goes round."""
    first, *rest = (Image.fromarray(frame) for frame in np.asarray(frames))
    buffer = io.BytesIO()
    first.save(buffer, "WEBP", save_all=True, append_images=rest, duration=milliseconds, loop=0, lossless=True)
    return buffer.getvalue()
