"""Canvases: how an image is parameterised.

A canvas has `parameters` that an optimiser changes, and calling it gives the images, RGB from 0 to 1,
[n, 3, height, width]. The same gradient changes an image very differently through each.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Protocol

import torch
from PIL import Image
from torch import Tensor

from .images import to_tensor

# Square root of the covariance of the colours of natural images, as Lucid measured it on ImageNet,
# scaled to a largest column of length 1: in its coordinates the three channels are independent.
_COLORS = torch.tensor([[0.26, 0.09, 0.02], [0.27, 0.00, -0.05], [0.27, -0.09, 0.03]])
COLORS = _COLORS / _COLORS.norm(dim=0).max()
MARGIN = 1e-3  # a sigmoid reaches 0 and 1 only at infinity


def mix(colors: Tensor, images: Tensor) -> Tensor:
    """Multiply the colour of every pixel with a 3 x 3 matrix."""
    return torch.einsum("rc,nchw->nrhw", colors.to(images.device), images)


class Canvas(Protocol):
    """What every canvas has: parameters, and when it is called images, RGB from 0 to 1, [n, 3, height, width]."""

    parameters: list[Tensor]

    def __call__(self) -> Tensor:
        """The images, RGB from 0 to 1, [n, 3, height, width]."""


class Pixels:
    """The pixels themselves: I = mean + std x.

    Args:
        start: First images, [n, 3, height, width].
        mean: Colour of x = 0, a number or [3, 1, 1].
        std: Unit of x, likewise.
    """

    def __init__(self, start: Tensor, mean: Any = 0.0, std: Any = 1.0) -> None:
        self.mean, self.std = mean, std
        self.x = ((start - mean) / std).detach().clone().requires_grad_()
        self.parameters = [self.x]

    def __call__(self) -> Tensor:
        return self.mean + self.std * self.x

    def clamp(self) -> None:
        """Bring the image back to 0 to 1, where there is no other mean or unit."""
        with torch.no_grad():
            self.x.clamp_(0, 1)


class Fourier:
    """A spectrum, scaled so that all frequencies have the energy they have in natural images, in independent colours.

    I = sigmoid(M irfft2(z / f)), with M the mixing of colours and f the frequency.

    Args:
        start: First images, [n, 3, height, width], or None for faint noise.
        shape: (n, height, width), when there is no start.
        generator: Source of the noise.
        device: Where to compute.
    """

    def __init__(
        self,
        start: Tensor | None = None,
        shape: tuple[int, int, int] = (1, 224, 224),
        generator: torch.Generator | None = None,
        device: Any = "cpu",
    ) -> None:
        if start is not None:
            shape, device = (len(start), start.shape[2], start.shape[3]), start.device
        count, height, width = self.shape = shape
        self.scale = 1 / frequencies(height, width).clamp(min=1 / max(height, width)).to(device) / 4
        if start is None:
            z = 0.01 * torch.randn(count, 3, height, width // 2 + 1, 2, generator=generator).to(device)
        else:
            colors = mix(torch.linalg.inv(COLORS), start.clamp(MARGIN, 1 - MARGIN).logit())
            z = torch.view_as_real(torch.fft.rfft2(colors, norm="ortho") / self.scale)
        self.z = z.contiguous().requires_grad_()
        self.parameters = [self.z]

    def __call__(self) -> Tensor:
        spectrum = torch.view_as_complex(self.z) * self.scale
        return mix(COLORS, torch.fft.irfft2(spectrum, s=self.shape[1:], norm="ortho")).sigmoid()


class Maco:
    """Only the phase of the spectrum is free; its magnitude is that of natural images (Fel et al. 2023).

    I = M irfft2(|natural| e^{i phi}), shifted to a mean of one half and clamped.

    Args:
        magnitude: From `natural_magnitude`, [3, height, width // 2 + 1].
        width: Width of the image.
        count: Number of images.
        start: First images, whose phase is taken, or None for uniform noise.
        generator: Source of the noise.
    """

    def __init__(
        self,
        magnitude: Tensor,
        width: int,
        count: int = 1,
        start: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        self.magnitude, self.size = magnitude, (magnitude.shape[1], width)
        if start is None:
            phase = torch.rand(count, *magnitude.shape, generator=generator).to(magnitude.device) * (2 * math.pi)
        else:
            phase = torch.fft.rfft2(mix(torch.linalg.inv(COLORS), start - 0.5)).angle()
        self.phase = phase.contiguous().requires_grad_()
        self.parameters = [self.phase]

    def __call__(self) -> Tensor:
        spectrum = torch.polar(self.magnitude.expand_as(self.phase), self.phase)
        images = mix(COLORS, torch.fft.irfft2(spectrum, s=self.size))
        return (images - images.mean((1, 2, 3), keepdim=True) + 0.5).clamp(0, 1)


def frequencies(height: int, width: int) -> Tensor:
    """Cycles per pixel of every coefficient of `rfft2`, [height, width // 2 + 1]."""
    return torch.hypot(torch.fft.fftfreq(height)[:, None], torch.fft.rfftfreq(width)[None])


def natural_magnitude(photos: Sequence[Image.Image], height: int, width: int) -> Tensor:
    """Mean magnitude of the spectrum of photos in independent colours, [3, height, width // 2 + 1]."""
    images = torch.cat([to_tensor(photo.resize((width, height), Image.Resampling.LANCZOS)) for photo in photos])
    return torch.fft.rfft2(mix(torch.linalg.inv(COLORS), images - 0.5)).abs().mean(0)
