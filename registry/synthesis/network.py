"""The network as a function of RGB images of any size: class scores and features."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from ..vision.reading import LayerReader
from ..vision.vision_model import VisionModel
from .images import resized


class Network:
    """A vision model as a function of RGB images from 0 to 1.

    Args:
        model: The model.
        size: Height and width that images are going to have.
        images: How many a pass will have.

    Attributes:
        size: That size, or the model's own where it takes no other; images of another are scaled to it.
        batch: How many go through the model at once, for the memory of a backward pass.

    Raises:
        Declined: A backward pass of a single image would take more memory than is allowed.
    """

    def __init__(self, model: VisionModel, size: tuple[int, int], images: int = 1) -> None:
        self.model = model
        mean, std = (torch.tensor(model.config[key], device=model.device) for key in ("mean", "std"))
        self.mean, self.std = mean.view(1, -1, 1, 1), std.view(1, -1, 1, 1)
        self.size = size if self._takes(size) else model.size
        self.batch = model.batch(images, self.size)

    def _takes(self, size: tuple[int, int]) -> bool:
        if tuple(size) == tuple(self.model.size):
            return True
        grids = [layer.grid for layer in self.model.layers.values() if layer.grid]
        if any(grid.tokens or grid.cells for grid in grids):
            return False  # tokens and windows are laid on the grid of the model's own size
        try:
            with torch.no_grad():
                self.model.module(torch.zeros(1, len(self.mean[0]), *size, device=self.model.device))
        except (AssertionError, RuntimeError, ValueError, IndexError):
            return False
        return True

    def input(self, images: Tensor) -> Tensor:
        """RGB images [n, 3, height, width] as the network takes them: of its size, normalised, grey where it is."""
        if tuple(images.shape[2:]) != tuple(self.size):
            images = resized(images, self.size)
        if self.mean.shape[1] == 1:
            images = images.mean(1, keepdim=True)
        return ((images - self.mean) / self.std).contiguous(memory_format=torch.channels_last)

    def logits(self, images: Tensor) -> Tensor:
        """The unnormalised class scores, [n, classes]."""
        (scores,) = self.in_batches(lambda inputs: (self.model.logits(inputs),), self.input(images))
        return scores

    def in_batches(self, function: Callable[[Tensor], Sequence[Tensor]], inputs: Tensor) -> Sequence[Tensor]:
        """Apply a function to as many inputs, [n, ...], at once as memory allows, and join its tensors, [n, ...].

        The activations of a batch are not kept: the backward pass computes them again (Chen et al. 2016, "Training
        Deep Nets with Sublinear Memory Cost").
        """
        if len(inputs) <= self.batch:
            return function(inputs)
        batches = [checkpoint(function, part, use_reentrant=False) for part in inputs.split(self.batch)]
        return [torch.cat(tensors) for tensors in zip(*batches)]


class Features(LayerReader):
    """The outputs of layers on RGB images, as [n, channels, height, width]; what comes after them is not computed.

    Args:
        network: The network.
        layers: Names of the layers.
        before_activation: Where a layer ends in an activation that can saturate, give what goes into it: an image
            that starts where an activation is flat has no gradient and never leaves.

    Raises:
        Declined: A layer's output is neither a grid nor one value per unit.
    """

    def __init__(self, network: Network, layers: Sequence[str], before_activation: bool = False) -> None:
        super().__init__(network.model, layers, before_activation)
        self.network = network

    def __call__(self, images: Tensor) -> dict[str, Tensor]:
        read = super().__call__
        tensors = self.network.in_batches(lambda inputs: tuple(read(inputs).values()), self.network.input(images))
        return dict(zip(self.layers, tensors))
