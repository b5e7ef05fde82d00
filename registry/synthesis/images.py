"""Images: photos in and pictures out."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor


def to_tensor(picture: Image.Image) -> Tensor:
    """A photo as RGB from 0 to 1, [1, 3, height, width]."""
    return torch.from_numpy(np.array(picture.convert("RGB"), dtype=np.float32) / 255).permute(2, 0, 1)[None]


def to_uint8(images: Tensor) -> np.ndarray:
    """Images [n, 3, height, width], 0 to 1, as uint8 [n, height, width, 3]."""
    return images.detach().clamp(0, 1).mul(255).round().byte().permute(0, 2, 3, 1).contiguous().cpu().numpy()


def scaled(picture: Image.Image, longer: int) -> Image.Image:
    """A photo with its longer side as given, in pixels, and the same aspect."""
    factor = longer / max(picture.size)
    width, height = (max(1, round(side * factor)) for side in picture.size)
    return picture.resize((width, height), Image.Resampling.LANCZOS)


def square(picture: Image.Image, side: int) -> Image.Image:
    """The middle of a photo as a square of so many pixels."""
    width, height = picture.size
    short = min(width, height)
    left, top = (width - short) / 2, (height - short) / 2
    return picture.resize((side, side), Image.Resampling.LANCZOS, box=(left, top, left + short, top + short))


def resized(images: Tensor, size: tuple[int, int]) -> Tensor:
    """Images [n, 3, height, width] at another height and width, [n, 3, *size]."""
    if tuple(images.shape[2:]) == tuple(size):
        return images
    return F.interpolate(images, size, mode="bilinear", align_corners=False, antialias=True)
