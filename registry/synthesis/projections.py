"""Projections: what an image is put back to after each step."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from .canvases import Pixels


class Ball:
    """All images within a distance of a centre, and within 0 to 1.

    Args:
        center: The image in the middle, in steps of 1 / 255, [1, 3, height, width].
        norm: "linf" or "l2".
        radius: The distance.
    """

    def __init__(self, center: Tensor, norm: str, radius: float) -> None:
        self.center, self.norm, self.radius = center, norm, radius

    def size(self, images: Tensor) -> float:
        """The distance from the centre."""
        difference = (images - self.center).double()
        return float(difference.abs().amax() if self.norm == "linf" else difference.norm())

    def nearest(self, images: Tensor) -> Tensor:
        """The image of the ball nearest to one."""
        difference = images - self.center
        if self.norm == "linf":
            difference = difference.clamp(-self.radius, self.radius)
        else:
            difference = difference * (self.radius / difference.norm().clamp(min=self.radius))
        return (self.center + difference).clamp(0, 1)

    def onto(self, canvas: Pixels) -> Callable[[int], None]:
        """Puts the canvas back into the ball after each step."""

        def project(done: int) -> None:
            with torch.no_grad():
                canvas.x.copy_(self.nearest(canvas.x))

        return project

    def rounded(self, images: Tensor) -> Tensor:
        """The image in 8 bit, still in the ball: rounding may lead out of it, and then the change is made smaller."""
        images, shrink = images.detach(), 1.0
        limit = self.radius + 1e-6  # of the arithmetic, far below one grey level
        while True:
            picture = ((self.center + shrink * (images - self.center)) * 255).round() / 255
            if self.size(picture) <= limit:
                return picture
            shrink *= 0.98
