"""How gradient ascent works on each canvas: parameterisation, optimiser and regularizers that suit each other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from timmscope.registry.synthesis.optimizers import Descent
from timmscope.registry.synthesis.regularizers import blurred, l2, natural_colors, over_scales, unit_norm, without_small
from timmscope.synthesis import Fourier, Maco, Network, Pixels, natural_magnitude, transforms

STEP, LAMBDA, BLUR_EVERY = 15, 1e-4, 4  # of the pixels, in units of the network's own normalisation
FAINT = 0.01
SMALL_GRADIENTS, SMALL_PIXELS = 0.3, 0.1  # shares set to zero


@dataclass(frozen=True)
class Recipe:
    """A canvas, its optimiser, what is done after each step, and terms of the loss beside the objective."""

    canvas: Any
    optimizer: torch.optim.Optimizer
    after: Callable[[int], None] | None = None
    regularizers: Callable[[Tensor], dict[str, Tensor]] = lambda images: {}


def maco(
    start: Tensor | None, shape: tuple[int, int, int], steps: int, generator: torch.Generator, **how: Any
) -> Recipe:
    """Phases by NAdam, with a rate that falls: a constant one never settles."""
    count, height, width = shape
    magnitude = natural_magnitude(how["photos"], height, width).to(how["network"].model.device)
    canvas = Maco(magnitude, width, count, start, generator)
    optimizer = torch.optim.NAdam(canvas.parameters, lr=1)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps, eta_min=0.02)
    return Recipe(canvas, optimizer, lambda done: schedule.step())


def fourier(
    start: Tensor | None, shape: tuple[int, int, int], steps: int, generator: torch.Generator, **how: Any
) -> Recipe:
    """A spectrum by Adam."""
    canvas = Fourier(start, shape, generator, how["network"].model.device)
    return Recipe(canvas, torch.optim.Adam(canvas.parameters, lr=0.03))


def pixels(
    start: Tensor | None, shape: tuple[int, int, int], steps: int, generator: torch.Generator, **how: Any
) -> Recipe:
    """The lecture's: I <- I + step * g / ||g|| from zero, with its two regularizers."""
    network, regularizers = how["network"], how["regularizers"]
    count, height, width = shape
    if start is None:  # a zero image but for faint noise: networks without biases have no gradient at zero
        noise = torch.randn(count, 3, height, width, generator=generator).to(network.mean.device)
        start = network.mean + FAINT * network.std * noise
    canvas = Pixels(start, network.mean, network.std)

    def direction(gradient: Tensor) -> Tensor:
        if "clip_gradients" in regularizers:
            gradient = without_small(gradient, SMALL_GRADIENTS)
        return unit_norm(over_scales(natural_colors(gradient)))

    @torch.no_grad()
    def after(done: int) -> None:
        if "blur" in regularizers and done % BLUR_EVERY == 0:
            canvas.x.copy_(blurred(canvas.x, 1))
        if "clip_pixels" in regularizers:
            canvas.x.copy_(without_small(canvas.x, SMALL_PIXELS))

    def terms(images: Tensor) -> dict[str, Tensor]:
        return {"lambda ||I||^2": LAMBDA * l2(canvas.x)} if "l2" in regularizers else {}

    optimizer = Descent(canvas.parameters, STEP * (height * width / 224**2) ** 0.5, direction)
    return Recipe(canvas, optimizer, after, terms)


RECIPES = {"maco": maco, "fourier": fourier, "pixels": pixels}


def views(
    canvas: str, of_layer: bool, of_neuron: bool, network: Network, generator: torch.Generator
) -> transforms.Transform:
    """What the network sees of the image at a step: crops for whole objects, slight turns for patterns."""
    pixels = max(1, min(16, min(network.size) // 8))
    if of_neuron:
        return transforms.jitter(max(1, pixels // 4), generator)
    if canvas == "pixels":
        return transforms.jitter(pixels, generator)
    if of_layer:
        return transforms.wobble(8, 0.1, pixels / 2, generator)
    smallest, largest = (0.4, 0.95) if canvas == "fourier" else (0.6, 0.95)
    crops = transforms.crops(2, smallest, largest, network.size, generator)
    return transforms.chain(crops, transforms.noise(0.08, generator))
