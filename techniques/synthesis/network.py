"""The network as a function of RGB images of any size: class scores and features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from timmscope import Declined, VisionModel

from .images import resized

# Activations without a gradient on one side or both: an image that starts there never leaves.
SATURATING = (nn.ReLU, nn.ReLU6, nn.Hardtanh, nn.Hardswish, nn.Hardsigmoid, nn.Sigmoid, nn.Tanh)


class _Stop(Exception):
    """Ends a forward pass once everything asked for is known."""


class Network:
    """A vision model as a function of RGB images from 0 to 1.

    Args:
        model: The model.
        size: Height and width that images are going to have.

    Attributes:
        size: That size, or the model's own where it takes no other; images are then scaled to it.
    """

    def __init__(self, model: VisionModel, size: tuple[int, int]) -> None:
        self.model = model
        mean, std = (torch.tensor(model.config[key], device=model.device) for key in ("mean", "std"))
        self.mean, self.std = mean.view(1, -1, 1, 1), std.view(1, -1, 1, 1)
        self.size = size if self._takes(size) else model.size

    def _takes(self, size: tuple[int, int]) -> bool:
        if tuple(size) == tuple(self.model.size):
            return True
        grids = [layer.grid for layer in self.model.layers.values() if layer.grid]
        if any(grid.layout == "NLC" for grid in grids):
            return False  # tokens are laid on the grid of the model's own size
        try:
            with torch.no_grad():
                self.model.module(torch.zeros(1, len(self.mean[0]), *size, device=self.model.device))
        except (AssertionError, RuntimeError, ValueError, IndexError):
            return False
        return True

    def input(self, images: Tensor) -> Tensor:
        """RGB images as the network takes them: its size where it has a fixed one, normalised, grey where it is."""
        if tuple(images.shape[2:]) != tuple(self.size) and tuple(self.size) == tuple(self.model.size):
            images = resized(images, self.size)
        if self.mean.shape[1] == 1:
            images = images.mean(1, keepdim=True)
        return ((images - self.mean) / self.std).contiguous(memory_format=torch.channels_last)

    def logits(self, images: Tensor) -> Tensor:
        """The unnormalised class scores, [n, classes]."""
        return self.model.logits(self.input(images))


class Features:
    """The outputs of layers on RGB images, as [n, channels, height, width]; what comes after them is not computed.

    Args:
        network: The network.
        layers: Names of the layers.
        before_activation: Where a layer ends in an activation that can saturate, give what goes into it.

    Attributes:
        opened: The activations left out, by name of the layer.

    Raises:
        Declined: A layer's output is neither a grid nor one value a unit.
    """

    def __init__(self, network: Network, layers: Sequence[str], before_activation: bool = False) -> None:
        self.network, self.layers = network, list(layers)
        model = network.model
        for name in self.layers:
            layer = model.layers[name]
            if layer.grid is None and len(layer.shape) != 1:
                raise Declined(f"Layer {name} of {model.name} has neither a spatial grid nor one value a unit.")
        order = list(model.layers)
        self.last = max(self.layers, key=order.index)
        self.opened = self._final_activations() if before_activation else {}

    def __call__(self, images: Tensor) -> dict[str, Tensor]:
        return self._run(self.network.input(images))

    def _run(self, inputs: Tensor) -> dict[str, Tensor]:
        outputs: dict[str, Tensor] = {}

        def keep(name: str, value: Tensor) -> Tensor:
            outputs[name] = value
            if name == self.last:
                raise _Stop
            return value.clone()  # the network goes on with a copy, since activations and sums may overwrite it

        def tap(name: str) -> Any:
            if name in self.opened:
                return self.opened[name].register_forward_pre_hook(lambda _, arguments: keep(name, arguments[0]))
            layer = self.network.model.module.get_submodule(name)
            return layer.register_forward_hook(lambda _, arguments, output: keep(name, output))

        handles = [tap(name) for name in self.layers]
        try:
            self.network.model.module(inputs)
        except _Stop:
            pass
        finally:
            for handle in handles:
                handle.remove()
        return {name: self._grid(name, outputs[name]) for name in self.layers}

    def _grid(self, name: str, output: Tensor) -> Tensor:
        grid = self.network.model.layers[name].grid
        return grid.gather(output) if grid else output[:, :, None, None]

    def _final_activations(self) -> dict[str, nn.Module]:
        """The activation of each layer whose output is the layer's own output, where there is one."""
        model, outputs = self.network.model, {}
        layers = {name: model.module.get_submodule(name) for name in self.layers}
        parts = {name: [p for p in layer.modules() if isinstance(p, SATURATING)] for name, layer in layers.items()}
        watched = {*layers.values(), *(part for some in parts.values() for part in some)}
        handles = [module.register_forward_hook(lambda m, _, output: outputs.update({m: output})) for module in watched]
        try:
            with torch.no_grad():
                model.module(torch.zeros(1, *model.config["input_size"], device=model.device))
        finally:
            for handle in handles:
                handle.remove()
        return {n: part for n, some in parts.items() for part in some if outputs.get(part) is outputs.get(layers[n])}


def by_depth(model: VisionModel, recipe: Sequence[str], depths: Sequence[float]) -> list[str]:
    """The layers of a recipe where the model has them, else the ends of the stages at these depths.

    Args:
        model: The model.
        recipe: Names of layers that are known to work.
        depths: Depths between 0, the first stage, and 1, the last.

    Raises:
        Declined: No layer has a grid.
    """
    grids = [model.layers[name].grid for name in recipe if name in model.layers]
    if len(grids) == len(recipe) and all(grid and grid.layout == "NCHW" for grid in grids):
        return list(recipe)  # token models have the same names at other depths
    stages = model.stages
    if not stages:
        raise Declined(f"{model.name} has no layer with a spatial grid.")
    return list(dict.fromkeys(stages[round(depth * (len(stages) - 1))] for depth in depths))
