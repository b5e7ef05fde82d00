"""The goal of gradient ascent: how much images excite a class, a unit or one neuron."""

from __future__ import annotations

import torch
from torch import Tensor

from ..base.errors import InvalidInput
from .network import Features, Network
from .objectives import unit_value


class Goal:
    """S(I), a value an image, [n].

    Args:
        network: The network.
        layer: Name of the layer of the unit; empty for a class.
        unit: Channel of the layer; None takes the one that the first image of the first call excites most.
        position: Row and column of one neuron; None for the mean over space.
        target: Index of the class, when there is no layer.

    Raises:
        Declined: The layer has neither a grid nor one value a unit.
        InvalidInput: The layer has no such unit or position.
    """

    def __init__(
        self, network: Network, layer: str, unit: int | None, position: tuple[int, int] | None, target: int
    ) -> None:
        self.network, self.layer, self.unit, self.position, self.target = network, layer, unit, position, target
        self.features = Features(network, [layer], before_activation=True) if layer else None

    def __call__(self, images: Tensor) -> Tensor:
        if self.features is None:
            return self.network.logits(images)[:, self.target]
        values = self.features(images)[self.layer]
        self._check(values)
        return unit_value(values, self.unit, self.position)

    @property
    def label(self) -> str:
        """What is shown, known after the first call."""
        if self.features is None:
            return self.network.model.labels[self.target]
        place = f" at row {self.position[0]}, column {self.position[1]}" if self.position else ""
        return f"{self.layer}, unit {self.unit}{place}"

    def silent(self, images: Tensor) -> bool:
        """Whether the unit stays silent on all the images: below zero everywhere, in front of its activation."""
        if self.features is None or not self.features.opened:
            return False
        with torch.no_grad():
            return bool(self.features(images)[self.layer][:, self.unit].amax() <= 0)

    def _check(self, values: Tensor) -> None:
        channels, height, width = values.shape[1:]
        if self.unit is None:
            self.unit = int(values[0].detach().flatten(1).mean(1).argmax())
        if self.unit >= channels:
            raise InvalidInput("unit", self.unit, f"a channel of {self.layer}, 0 to {channels - 1}")
        if self.position and not (self.position[0] < height and self.position[1] < width):
            expected = f"row below {height} and column below {width} in {self.layer} at this size"
            raise InvalidInput("position", "{}, {}".format(*self.position), expected)
