"""How gradient ascent works on each canvas: parameterisation, optimiser and regularizers that suit each other.

Import it inside functions: it loads torch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from PIL import Image
from torch import Tensor

from timmscope import InvalidInput, VisionModel
from timmscope.synthesis import (
    Canvas,
    Descent,
    Features,
    Fourier,
    Maco,
    Network,
    Objective,
    Pixels,
    Score,
    Transform,
    channel,
    class_score,
    natural_magnitude,
    neuron,
    regularizers,
    transforms,
)

STEP, LAMBDA, BLUR_EVERY = 15, 1e-4, 4  # of the pixels, in units of the network's own normalisation
FAINT = 0.01
SMALL_GRADIENTS, SMALL_PIXELS = 0.3, 0.1  # shares set to zero


@dataclass(frozen=True)
class Method:
    """A canvas, its optimiser, what is done after each step, and terms of the loss beside the objective."""

    canvas: Canvas
    optimizer: torch.optim.Optimizer
    after: Callable[[int], None] | None = None
    terms: Callable[[Tensor], dict[str, Tensor]] | None = None


def method_of(
    canvas: str,
    start: Tensor | None,
    shape: tuple[int, int, int],
    steps: int,
    generator: torch.Generator,
    photos: Sequence[Image.Image],
    network: Network,
    rules: Sequence[str],
) -> Method:
    """The method of a canvas, by its name; arguments as for `maco` and `pixels`."""
    if canvas == "maco":
        return maco(start, shape, steps, generator, photos, network)
    if canvas == "fourier":
        return fourier(start, shape, generator, network)
    return pixels(start, shape, generator, network, rules)


def maco(
    start: Tensor | None,
    shape: tuple[int, int, int],
    steps: int,
    generator: torch.Generator,
    photos: Sequence[Image.Image],
    network: Network,
) -> Method:
    """Phases by NAdam, with a rate that falls: a constant one never settles.

    Args:
        start: Images to start from, RGB from 0 to 1; None for noise.
        shape: Number of images, height and width.
        steps: Changes of the images.
        generator: Of the noise.
        photos: Whose spectrum's magnitude is taken.
        network: The network.
    """
    count, height, width = shape
    magnitude = natural_magnitude(photos, height, width).to(network.model.device)
    canvas = Maco(magnitude, width, count, start, generator)
    optimizer = torch.optim.NAdam(canvas.parameters, lr=1)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps, eta_min=0.02)
    return Method(canvas, optimizer, lambda done: schedule.step())


def fourier(start: Tensor | None, shape: tuple[int, int, int], generator: torch.Generator, network: Network) -> Method:
    """A spectrum by Adam; arguments as for `maco`."""
    canvas = Fourier(start, shape, generator, network.model.device)
    return Method(canvas, torch.optim.Adam(canvas.parameters, lr=0.03))


def pixels(
    start: Tensor | None,
    shape: tuple[int, int, int],
    generator: torch.Generator,
    network: Network,
    rules: Sequence[str],
) -> Method:
    """The lecture's: I <- I + step * g / ||g|| from zero, with its two regularizers.

    Args:
        start: As for `maco`; so are `shape`, `generator` and `network`.
        rules: Any of l2, blur, clip_pixels, clip_gradients.
    """
    count, height, width = shape
    if start is None:  # a zero image but for faint noise: networks without biases have no gradient at zero
        noise = torch.randn(count, 3, height, width, generator=generator).to(network.mean.device)
        start = network.mean + FAINT * network.std * noise
    canvas = Pixels(start, network.mean, network.std)

    def direction(gradient: Tensor) -> Tensor:
        if "clip_gradients" in rules:
            gradient = regularizers.without_small(gradient, SMALL_GRADIENTS)
        return regularizers.unit_norm(regularizers.over_scales(regularizers.natural_colors(gradient)))

    @torch.no_grad()
    def after(done: int) -> None:
        if "blur" in rules and done % BLUR_EVERY == 0:
            canvas.x.copy_(regularizers.blurred(canvas.x, 1))
        if "clip_pixels" in rules:
            canvas.x.copy_(regularizers.without_small(canvas.x, SMALL_PIXELS))

    def terms(images: Tensor) -> dict[str, Tensor]:
        return {"lambda ||I||^2": LAMBDA * regularizers.l2(canvas.x)} if "l2" in rules else {}

    optimizer = Descent(canvas.parameters, STEP * (height * width / 224**2) ** 0.5, direction)
    return Method(canvas, optimizer, after, terms)


def views(canvas: str, of_layer: bool, of_neuron: bool, network: Network, generator: torch.Generator) -> Transform:
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


@dataclass(frozen=True)
class Subject:
    """What a picture is made for: a class, a unit or one neuron."""

    label: str
    objective: Objective
    unit: int | None = None

    def silent(self, score: Score, images: Tensor) -> bool:
        """Whether a unit stays below zero everywhere on all the images, in front of its activation."""
        if self.unit is None or score.features is None or not score.features.opened:
            return False
        (layer,) = self.objective.layers
        with torch.no_grad():
            return bool(score.features(images)[layer][:, self.unit].amax() <= 0)


def class_subject(model: VisionModel, target: int) -> Subject:
    """A class, by its index."""
    return Subject(model.labels[target], class_score(target))


def unit_subject(
    network: Network, layer: str, unit: int | None, position: tuple[int, int] | None, first: Callable[[], Tensor]
) -> Subject:
    """A unit of a layer, or at a position one neuron.

    Args:
        network: The network.
        layer: Name of the layer.
        unit: Channel; None takes the one that the first image excites most.
        position: Row and column; None for the mean over space.
        first: Makes the first images that the network is going to see.

    Raises:
        Declined: The layer has neither a grid nor one value per unit.
        InvalidInput: There is no such position at this size.
    """
    if position is None and unit is not None:
        return Subject(f"{layer}, unit {unit}", channel(layer, unit), unit)
    with torch.no_grad():
        values = Features(network, [layer], before_activation=True)(first())[layer]
    unit = int(values[0].flatten(1).mean(1).argmax()) if unit is None else unit
    if position is None:
        return unit_subject(network, layer, unit, None, first)
    (row, column), (height, width) = position, values.shape[2:]
    if not (row < height and column < width):
        expected = f"row below {height} and column below {width} in {layer} at this size"
        raise InvalidInput("position", f"{row}, {column}", expected)
    return Subject(f"{layer}, unit {unit} at row {row}, column {column}", neuron(layer, unit, row, column), unit)
