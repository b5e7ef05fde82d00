"""A vision model as techniques receive it: a private view with its preprocessing, labels and layers.

The module imports no torch, so that a plugin's declarations import anywhere.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ..base.errors import Declined, InvalidInput
from ..photos.decoding import PhotoInput
from ..pictures.values import Drawn
from .explained import ClassScores, Explained, Neuron

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image
    from torch import Tensor, device, nn

    from .labels import Labels
    from .layers import Grid, LayerOutput
    from .receptive_field import Kind, ReceptiveField


@dataclass(frozen=True, eq=False)
class Seen:
    """A photo exactly as the network sees it.

    Args:
        input: Normalised pixels, [1, channels, height, width], on the model's device.
        mean: Mean per channel that was subtracted, [channels, 1, 1].
        std: Standard deviation per channel that was divided by, [channels, 1, 1].
        box: Left, top, right and bottom of that region in the photo, in photo pixels.
        photo: The photo.
    """

    input: Tensor
    mean: Tensor
    std: Tensor
    box: tuple[float, float, float, float]
    photo: PhotoInput

    @cached_property
    def pixels(self) -> np.ndarray:
        """The same pixels for people, uint8 [height, width, 3]."""
        import numpy as np

        shown = (self.input.detach()[0] * self.std + self.mean).clamp(0, 1).mul(255).round().byte()
        pixels = shown.permute(1, 2, 0).cpu().numpy()
        return np.broadcast_to(pixels, (*pixels.shape[:2], 3)).copy()

    def over(self, heat: Any, signed: bool = False) -> Drawn:
        """The heat map [height, width] in colour over its region of the photo."""
        from ..pictures import render

        return Drawn(lambda: render.overlay(self.photo.picture, self.box, heat, signed))


@dataclass(eq=False)
class VisionModel:
    """A private view of a loaded model, lent to one run.

    Args:
        name: Name as the user gave it, resolved: architecture and tag.
        weights: "pretrained" or "random".
        origin: Where the weights come from.
        module: The network, in eval mode, parameters without gradient. Hooks on it die with the run.
        labels: Names of its classes.
        config: timm's data configuration: input_size, mean, std, interpolation, crop_pct, crop_mode.
        classifies: False for models without a classifier, and for those whose outputs are the coordinates of an
            embedding, as CLIP's; features stand in for scores.
        device: Where it runs.
        find_layers: Finds the layers and the default layer; slow the first time, so only when asked for.
        find_fingerprint: Hashes the network and its weights; likewise.
        activation_bytes: Memory that a backward pass keeps for one image, estimated; 0 when unknown.
        largest_batch: Most images a backward pass may take.
        granted: Most that was granted so far.
    """

    name: str
    weights: str
    origin: str
    module: nn.Module
    labels: Labels
    config: Mapping[str, Any]
    classifies: bool
    device: device
    find_layers: Callable[[], tuple[Mapping[str, LayerOutput], str | None]]
    find_fingerprint: Callable[[], str]
    activation_bytes: int = 0
    largest_batch: int = sys.maxsize
    granted: int = 0

    @property
    def layers(self) -> Mapping[str, LayerOutput]:
        """Its layers by name, in the order of execution."""
        return self.find_layers()[0]

    @property
    def default_layer(self) -> str | None:
        """The last layer with a spatial grid that reaches the score; None when there is none."""
        return self.find_layers()[1]

    @property
    def fingerprint(self) -> str:
        """Hash of the network and its weights as they were loaded: the model's identity for what is kept on disk."""
        return self.find_fingerprint()

    @property
    def stages(self) -> list[str]:
        """The ends of its stages that have a spatial grid, in the order of execution."""
        from .layers import stages

        return stages(self.module, self.layers)

    def at_depths(self, known: Sequence[str], depths: Sequence[float]) -> list[str]:
        """The ends of the stages at these depths, or layers that are known to work.

        Args:
            known: Names that are taken instead where the model has them all, on grids of channels: token models have
                the same names at other depths.
            depths: Between 0, the first stage, and 1, the last.

        Raises:
            Declined: No layer has a spatial grid.
        """
        grids = [self.layers[name].grid for name in known if name in self.layers]
        if known and len(grids) == len(known) and all(grid and grid.layout == "NCHW" for grid in grids):
            return list(known)
        if not (stages := self.stages):
            raise Declined(f"{self.name} has no layer with a spatial grid.")
        return list(dict.fromkeys(stages[round(depth * (len(stages) - 1))] for depth in depths))

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the input, in pixels."""
        return self.config["input_size"][1:]

    def batch(self, wanted: int, size: tuple[int, int] | None = None) -> int:
        """How many images, of those wanted, one backward pass may take at once without running out of memory.

        Args:
            wanted: The most that are useful.
            size: Height and width of the images, where it is not the model's own.

        Raises:
            Declined: Not even one image fits.
        """
        from ..base.settings import settings

        (height, width), limit = size or self.size, settings().activation_bytes
        wanted = min(wanted, self.largest_batch)
        needed = self.activation_bytes * height * width // (self.size[0] * self.size[1])
        if needed > limit:
            raise Declined(
                f"A backward pass through {self.name} takes about {needed / 2**30:.1f} GB for one image of {height} x "
                f"{width} pixels; here at most {limit / 2**30:.1f} GB are allowed (TIMMSCOPE_ACTIVATION_BYTES). Choose "
                "a smaller model or a smaller picture."
            )
        granted = min(wanted, limit // needed) if needed else wanted
        self.granted = max(self.granted, granted)
        return granted

    def shrink_batches(self) -> bool:
        """Grant half as much as until now, after memory ran out; False where a batch is a single image already."""
        if self.granted < 2:
            return False
        self.largest_batch, self.granted = self.granted // 2, 0
        return True

    def see(self, photo: PhotoInput) -> Seen:
        """Put a photo through timm's own preprocessing: resize, centre crop (or squash), normalise."""
        mean, std = self._statistics()
        tensor = self.normalized(self.cropped(photo)[None])
        return Seen(tensor, mean, std, self.region(photo), photo)

    def region(self, photo: PhotoInput) -> tuple[float, float, float, float]:
        """Left, top, right and bottom of the part of a photo that the network sees, in photo pixels."""
        return _region(photo.picture.size, self._transform(photo.fit))

    def cropped(self, photo: PhotoInput) -> Tensor:
        """The part of a photo that the network sees, at its size: uint8 [channels, height, width], on the CPU."""
        from timm.data import create_transform

        picture = photo.picture.convert("L") if self.config["input_size"][0] == 1 else photo.picture
        return create_transform(**self._transform(photo.fit), is_training=False, use_prefetcher=True)(picture)

    def normalized(self, pixels: Tensor) -> Tensor:
        """The network's input, on its device, from a batch of `cropped` photos, uint8 [n, channels, height, width]."""
        import torch

        mean, std = self._statistics()
        pixels = pixels.to(self.device, torch.float32, memory_format=torch.channels_last)
        return pixels.div_(255).sub_(mean).div_(std)

    def _statistics(self) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation per channel, [channels, 1, 1]."""
        import torch

        mean, std = (
            torch.tensor(self.config[key], dtype=torch.float32, device=self.device).view(-1, 1, 1)
            for key in ("mean", "std")
        )
        return mean, std

    def _transform(self, fit: bool) -> dict[str, Any]:
        """The arguments of timm's transform; `fit` squashes the whole photo."""
        return dict(self.config, crop_pct=1.0, crop_mode="squash") if fit else dict(self.config)

    def record(self, *layers: str) -> AbstractContextManager[dict[str, Tensor]]:
        """A dict that receives the output of each layer, [n, ...], by name, when the network runs in the block."""
        from .layers import recorded

        return recorded({name: self.module.get_submodule(name) for name in layers})

    def probe(self, layer: str) -> AbstractContextManager[nn.Module]:
        """A module through which the layer's output flows as [n, channels, height, width] while the block lasts.

        Raises:
            Declined: The layer's output has no spatial grid.
        """
        from .layers import grid_probe

        return grid_probe(self.module.get_submodule(layer), self.grid(layer))

    def grid(self, layer: str) -> Grid:
        """How the layer's output is laid out in space; its `gather` gives [n, channels, rows, columns].

        Raises:
            Declined: The layer's output has no spatial grid.
        """
        grid = self.layer(layer).grid
        if grid is None:
            raise self._without_grid(layer, "has no spatial grid")
        return grid

    def maps(self, layer: str, output: Tensor) -> Tensor:
        """A layer's output as [n, channels, rows, columns]; one value per unit is a grid of one cell.

        Raises:
            Declined: It is neither, or does not depend on the photo.
        """
        return self.layer(layer).maps(output)

    def layer(self, name: str) -> LayerOutput:
        """The layer of that name, whose units have a spatial grid or one value each.

        Raises:
            Declined: They have neither, or do not depend on the photo.
        """
        found = self.layers[name]
        if found.lacks:
            raise self._without_grid(name, found.lacks)
        return found

    def require_unit(self, layer: str, unit: int, parameter: str = "unit") -> None:
        """Refuse a channel that a layer does not have.

        Args:
            layer: Name of the layer.
            unit: Index of the channel.
            parameter: Name of the parameter it was given for.

        Raises:
            Declined: As for `layer`.
            InvalidInput: There is no such channel.
        """
        channels = self.layer(layer).channels
        if unit >= channels:
            raise InvalidInput(parameter, unit, f"a channel of {layer}, 0 to {channels - 1}")

    def require_position(self, layer: str, position: tuple[int, int], parameter: str = "position") -> None:
        """Refuse a place, (row, column) = `position`, that a layer does not have. Raises as `require_unit`.

        Args:
            layer: Name of the layer.
            position: Row and column.
            parameter: Name of the parameter it was given for.
        """
        grid = self.layer(layer).grid
        height, width = (grid.height, grid.width) if grid else (1, 1)
        if not (position[0] < height and position[1] < width):
            expected = f"row below {height} and column below {width} in {layer}"
            raise InvalidInput(parameter, "{}, {}".format(*position), expected)

    def explain(self, images: Tensor, target: int | None = None) -> Explained:
        """The class whose score a run explains: `target`, else the top prediction of the first image.

        Args:
            images: Normalised pixels, [n, channels, height, width]. The scores are differentiable where they are.
            target: Index of the class.
        """
        logits = self.logits(images)
        found = int(logits[0].detach().argmax()) if target is None else target
        return Explained(self, found, logits)

    def neuron(self, images: Tensor, layer: str, unit: int | None, position: tuple[int, int] | None) -> Neuron:
        """One unit of a layer at one place, where it is not given the one that is excited most.

        Args:
            images: Normalised pixels, [1, channels, height, width].
            layer: Name of a layer whose units have a grid or one value each.
            unit: Channel; None takes the one with the largest value.
            position: (row, column); None takes the place with the largest value.

        Raises:
            Declined: As for `layer`.
        """
        import torch

        with torch.no_grad(), self.record(layer) as outputs:
            self.module(images)
        values = self.maps(layer, outputs[layer])[0]
        where = values if position is None else values[:, position[0], position[1], None, None]
        unit = int(where.flatten(1).amax(1).argmax()) if unit is None else unit
        row, column = position or divmod(int(values[unit].argmax()), values.shape[2])
        return Neuron(self, layer, unit, row, column, values[unit, row, column].item())

    def _without_grid(self, layer: str, lacks: str) -> Declined:
        instead = f" One that has: {self.default_layer}." if self.default_layer else ""
        return Declined(f"Layer {layer} of {self.name} {lacks}.{instead}")

    def receptive_field(self, layer: str, kind: Kind | None = None) -> ReceptiveField:
        """Which pixels of the input the cells of a layer see; `kind` None takes what says most about the layer.

        Raises:
            Declined: The layer has no grid, or no receptive field of this kind.
        """
        from .receptive_field import find

        return find(self, layer, kind)

    def logits(self, images: Tensor) -> Tensor:
        """The unnormalised scores, [n, classes]; for a model without a classifier its mean features."""
        output = self.module(images)
        if output.ndim == 4:
            output = output.mean((1, 2) if getattr(self.module, "output_fmt", "") == "NHWC" else (2, 3))
        return output.mean(1) if output.ndim == 3 else output

    def features(self, images: Tensor) -> Tensor:
        """The penultimate features, [n, d]: the pooled values that feed the classifier.

        Args:
            images: Normalised pixels, [n, channels, height, width].

        Raises:
            Declined: A network that is not timm's, without a linear layer.
        """
        from .reading import pooled_features

        return pooled_features(self.module, images)

    def score_photo(self, picture: Image.Image, fit: bool = False) -> ClassScores:
        """The model's opinion on a photo."""
        import torch

        from ..base.torch_state import float32

        with torch.no_grad(), float32():
            return self.scores(self.logits(self.see(PhotoInput(picture, fit=fit)).input)[0])

    def scores(self, logits: Tensor, target: int | None = None) -> ClassScores:
        """Turn one photo's logits, [classes], into scores for people."""
        values = (
            logits.softmax(0) if self.classifies else logits.clamp(min=0) / logits.clamp(min=0).sum().clamp(min=1e-12)
        )
        return ClassScores(values.float().cpu().numpy(), self.labels, target)


def _region(size: tuple[int, int], config: Mapping[str, Any]) -> tuple[float, float, float, float]:
    """The region of a photo of `size` (width, height) that timm's evaluation transform keeps."""
    width, height = size
    _, out_height, out_width = config["input_size"]
    scaled = [math.floor(side / config["crop_pct"]) for side in (out_width, out_height)]
    if config["crop_mode"] == "squash":
        scale_x, scale_y = scaled[0] / width, scaled[1] / height
    else:
        pick = min if config["crop_mode"] == "border" else max
        scale_x = scale_y = pick(scaled[0] / width, scaled[1] / height)
    half_width, half_height = out_width / 2 / scale_x, out_height / 2 / scale_y
    return (width / 2 - half_width, height / 2 - half_height, width / 2 + half_width, height / 2 + half_height)
