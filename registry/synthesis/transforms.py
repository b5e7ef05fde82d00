"""Transforms: what the network sees of an image is moved a little at every step, so that the picture holds up."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

Transform = Callable[[Tensor], Tensor]


def chain(*transforms: Transform) -> Transform:
    """One after another."""

    def apply(images: Tensor) -> Tensor:
        for transform in transforms:
            images = transform(images)
        return images

    return apply


def jitter(pixels: int, generator: torch.Generator) -> Transform:
    """Roll the images by up to so many pixels; what leaves on one side comes back on the other."""

    def apply(images: Tensor) -> Tensor:
        shift = torch.randint(-pixels, pixels + 1, (2,), generator=generator).tolist()
        return images.roll(shift, (2, 3))

    return apply


def crops(count: int, low: float, high: float, size: tuple[int, int], generator: torch.Generator) -> Transform:
    """So many random square crops, from `low` to `high` of the shorter side, scaled to `size`."""

    def apply(images: Tensor) -> Tensor:
        height, width = images.shape[2:]
        seen = []
        for _ in range(count):
            share, y, x = torch.rand(3, generator=generator).tolist()
            side = max(1, round((low + (high - low) * share) * min(height, width)))
            top, left = round(y * (height - side)), round(x * (width - side))
            crop = images[:, :, top : top + side, left : left + side]
            seen.append(F.interpolate(crop, size, mode="bilinear", align_corners=False))
        return torch.cat(seen)

    return apply


def wobble(degrees: float, zoom: float, shift: float, generator: torch.Generator) -> Transform:
    """Rotate, zoom (1 - zoom to 1 + zoom) and shift by so many pixels, each image on its own; borders are mirrored."""

    def apply(images: Tensor) -> Tensor:
        count, _, height, width = images.shape
        turn, scale, down, right = (torch.rand(4, count, generator=generator) * 2 - 1).to(images.device)
        angle, scale = turn * math.radians(degrees), 1 / (1 + zoom * scale)
        cos, sin = scale * angle.cos(), scale * angle.sin()
        down, right = down * (2 * shift / height), right * (2 * shift / width)
        rows = torch.stack([cos, -sin * (height / width), right, sin * (width / height), cos, down], 1)
        grid = F.affine_grid(rows.view(count, 2, 3), list(images.shape), align_corners=False)
        return F.grid_sample(images, grid, mode="bilinear", padding_mode="reflection", align_corners=False)

    return apply


def noise(deviation: float, generator: torch.Generator) -> Transform:
    """Add normal noise."""

    def apply(images: Tensor) -> Tensor:
        return images + deviation * torch.randn(images.shape, generator=generator).to(images.device)

    return apply
