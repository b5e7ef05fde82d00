"""Objectives: what an image is optimised for. They add and scale:

    0.2 * channel("blocks.4", 3) + direction("blocks.5", vector) - feature_distance("blocks.2", wanted)

An objective gives a value for each image, from what a network answers to it; the larger, the better.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from .network import Features, Network

EPSILON = 1e-12


@dataclass(frozen=True)
class Objective:
    """A function of what a network answers to images.

    Args:
        name: What it is, as a phrase.
        value: Gives a value per image, [n], or one for all images.
        layers: The layers whose outputs it reads, before an activation that can saturate.
    """

    name: str
    value: Callable[[Answers], Tensor]
    layers: tuple[str, ...] = ()

    def on(self, network: Network) -> Score:
        """The objective on a network, as a function of RGB images.

        Raises:
            Declined: A layer's output is neither a grid nor one value per unit.
        """
        return Score(self, network)

    def __add__(self, other: Objective) -> Objective:
        layers = tuple(dict.fromkeys(self.layers + other.layers))
        return Objective(f"{self.name} + {other.name}", lambda seen: self.value(seen) + other.value(seen), layers)

    def __sub__(self, other: Objective) -> Objective:
        return self + -1 * other

    def __rmul__(self, weight: float) -> Objective:
        return Objective(f"{weight:g} {self.name}", lambda seen: weight * self.value(seen), self.layers)


class Answers:
    """What a network answers to images.

    Args:
        images: RGB images from 0 to 1, [n, 3, height, width].
        network: The network.
        features: Reads the layers of the objective; None where it has none.

    Attributes:
        layers: Outputs of the layers by name, [n, channels, height, width].
    """

    def __init__(self, images: Tensor, network: Network, features: Features | None) -> None:
        self.images, self.network = images, network
        self.layers: Mapping[str, Tensor] = features(images) if features else {}
        self.opened = features.opened if features else {}

    @cached_property
    def logits(self) -> Tensor:
        """The unnormalised class scores, [n, classes]."""
        return self.network.logits(self.images)

    def positive(self, layer: str) -> Tensor:
        """The output of a layer, [n, channels, height, width]; what an activation behind it takes to zero is zero."""
        return self.layers[layer].clamp(min=0) if layer in self.opened else self.layers[layer]


class Score:
    """S(I) of an objective on a network, [n] or a scalar, for RGB images [n, 3, height, width].

    Args:
        objective: The objective.
        network: The network.
    """

    def __init__(self, objective: Objective, network: Network) -> None:
        self.objective, self.network = objective, network
        self.features = Features(network, objective.layers, before_activation=True) if objective.layers else None

    def __call__(self, images: Tensor) -> Tensor:
        return self.objective.value(Answers(images, self.network, self.features))


def class_score(target: int) -> Objective:
    """S_c, the unnormalised score of a class, by its index."""
    return Objective(f"class {target}", lambda seen: seen.logits[:, target])


def channel(layer: str, unit: int) -> Objective:
    """The mean over space of a unit of a layer."""
    return Objective(f"{layer}, unit {unit}", lambda seen: seen.layers[layer][:, unit].mean((1, 2)), (layer,))


def neuron(layer: str, unit: int, row: int, column: int) -> Objective:
    """A unit of a layer at one place of its grid, in a row and a column."""
    name = f"{layer}, unit {unit} at row {row}, column {column}"
    return Objective(name, lambda seen: seen.layers[layer][:, unit, row, column], (layer,))


def direction(layer: str, vector: Tensor | Sequence[float]) -> Objective:
    """The mean over space of <f, v> / ||v||, for the features f of a layer and a vector v, [channels]."""
    v = torch.as_tensor(vector, dtype=torch.float32)
    v = v / v.norm().clamp(min=EPSILON)

    def value(seen: Answers) -> Tensor:
        return torch.einsum("nchw,c->nhw", seen.layers[layer], v.to(seen.images.device)).mean((1, 2))

    return Objective(f"{layer}, a direction", value, (layer,))


def energy(layer: str, unit: int | None = None) -> Objective:
    """The mean of f^2: whatever a layer sees, more of it; or what one of its units sees."""
    chosen = slice(None) if unit is None else slice(unit, unit + 1)
    return Objective(f"{layer}, energy", lambda seen: seen.positive(layer)[:, chosen].square().mean(), (layer,))


def feature_distance(layer: str, wanted: Tensor) -> Objective:
    """||f - f0||^2 / ||f0||^2, with f0 = `wanted`, [1, channels, height, width]."""
    return Objective(f"{layer}, distance", lambda seen: relative_distance(seen.layers[layer], wanted), (layer,))


def gram_distance(layer: str, wanted: Tensor) -> Objective:
    """||G - G0||^2 / ||G0||^2, with G0 = `wanted`, [1, channels, channels]."""
    return Objective(f"{layer}, style", lambda seen: relative_distance(gram(seen.layers[layer]), wanted), (layer,))


def relative_distance(values: Tensor, wanted: Tensor) -> Tensor:
    """||x - x0||^2 / ||x0||^2, a scalar, of tensors [...] of one shape."""
    return (values - wanted).square().sum() / wanted.square().sum().clamp(min=EPSILON)


def gram(features: Tensor) -> Tensor:
    """G = F F^T / (height width), the correlations of the channels whatever the place, [n, channels, channels]."""
    flat = features.flatten(2)
    return torch.bmm(flat, flat.transpose(1, 2)) / flat.shape[2]
