"""Regularizers: terms of the loss, rules for gradients and rules for pixels that keep an image natural."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from .canvases import COLORS, mix


def l2(images: Tensor) -> Tensor:
    """||I||^2 per picture."""
    return images.square().sum() / len(images)


def total_variation(images: Tensor, beta: float = 2.0) -> Tensor:
    """Mean over pixels of ((I[i, j+1] - I[i, j])^2 + (I[i+1, j] - I[i, j])^2)^(beta / 2)."""
    if min(images.shape[2:]) < 2:
        return images.sum() * 0
    right = images[:, :, :-1, 1:] - images[:, :, :-1, :-1]
    down = images[:, :, 1:, :-1] - images[:, :, :-1, :-1]
    return (right.square() + down.square() + 1e-8).pow(beta / 2).mean()  # without 1e-8 flat parts have no gradient


def blurred(images: Tensor, sigma: float) -> Tensor:
    """Gaussian blur with mirrored borders, in pixels."""
    if not sigma:
        return images
    radius = min(round(3 * sigma), min(images.shape[2:]) - 1)
    kernel = torch.exp(-torch.arange(-radius, radius + 1, device=images.device).square() / (2 * sigma**2))
    kernel = (kernel / kernel.sum()).to(images.dtype)
    n, c, height, width = images.shape
    padded = F.pad(images.reshape(n * c, 1, height, width), [radius] * 4, mode="reflect")
    rows = F.conv2d(padded, kernel.view(1, 1, 1, -1))
    return F.conv2d(rows, kernel.view(1, 1, -1, 1)).view(n, c, height, width)


def without_small(values: Tensor, share: float) -> Tensor:
    """Set the pixels of smallest norm over the colours, so large a share of each picture, to zero."""
    norm = values.norm(dim=1, keepdim=True)
    return values * (norm >= norm.flatten(1).quantile(share, dim=1).view(-1, 1, 1, 1))


def unit_norm(gradient: Tensor) -> Tensor:
    """g / ||g||, picture by picture."""
    return gradient / gradient.flatten(1).norm(dim=1).clamp(min=1e-12).view(-1, 1, 1, 1)


def unit_deviation(gradient: Tensor) -> Tensor:
    """g / std(g), picture by picture."""
    return gradient / gradient.flatten(1).std(dim=1).clamp(min=1e-12).view(-1, 1, 1, 1)


def over_scales(gradient: Tensor, sigmas: Sequence[float] = (0, 1, 2, 4)) -> Tensor:
    """The mean of the gradient blurred by several sigmas: coarse and fine parts grow together."""
    return torch.stack([blurred(gradient, sigma) for sigma in sigmas]).mean(0)


def natural_colors(gradient: Tensor) -> Tensor:
    """The gradient mixed with the covariance of natural colours: mostly light and dark, a little colour."""
    return mix(COLORS @ COLORS.T, gradient)


def laplacian_normalized(gradient: Tensor, levels: int = 4) -> Tensor:
    """Split into bands of frequencies (a Laplacian pyramid), scale each to deviation 1 and add up again."""
    rest, bands = gradient, []
    for _ in range(levels):
        if min(rest.shape[2:]) < 4:
            break
        low = F.interpolate(blurred(rest, 1), scale_factor=0.5, mode="area")
        bands.append(rest - F.interpolate(low, rest.shape[2:], mode="bilinear", align_corners=False))
        rest = low
    result = unit_deviation(rest)
    for band in reversed(bands):
        result = F.interpolate(result, band.shape[2:], mode="bilinear", align_corners=False) + unit_deviation(band)
    return result
