"""Layers of a model: their names, where their output has a spatial grid, and which one is a sensible default."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from .following import followed
from .grids import Grid, find_grid
from .places import NEAR, Place, below

PASSIVE = (nn.Identity, nn.Dropout, nn.Dropout2d, nn.Flatten, nn.Softmax)  # modules that show nothing of their own
FAINT = 1e-3  # a difference from place to place, as a share of the largest value: real, but too small for a default
NO_GRID = "has neither a spatial grid nor one value per unit"


@dataclass(frozen=True)
class LayerOutput:
    """A named module with its output on one photo.

    Args:
        name: Its name.
        shape: Shape of the output without the batch; all of it where the first dimension is not the batch.
        grid: The output's grid, if it has one.
        lacks: What keeps it from being looked into, as the end of a sentence; empty where nothing does.
    """

    name: str
    shape: tuple[int, ...]
    grid: Grid | None
    lacks: str = ""

    @property
    def channels(self) -> int:
        """How many units it has; only of a layer that lacks nothing."""
        return self.grid.channels if self.grid else self.shape[0]

    @property
    def title(self) -> str:
        """The name as lists show it, with the shape of the output: "blocks.3 - 80 x 14 x 14"."""
        if self.grid:
            return f"{self.name} — {self.grid.channels} × {self.grid.height} × {self.grid.width}"
        return f"{self.name} — {' × '.join(map(str, self.shape))}"

    def maps(self, output: Tensor) -> Tensor:
        """The output as [n, channels, height, width]; one value per unit is a grid of one cell."""
        return self.grid.gather(output) if self.grid else output[:, :, None, None]


@contextlib.contextmanager
def recorded(modules: Mapping[str, nn.Module]) -> Iterator[dict[str, Tensor]]:
    """Record the output tensor of each module, by name, in the order of execution, while the block lasts.

    The network goes on with a copy: residual blocks add to a layer's output in place, which would change the record.
    """
    outputs: dict[str, Tensor] = {}

    def record(name: str) -> torch.utils.hooks.RemovableHandle:
        def hook(_module: nn.Module, _inputs: object, output: object) -> object:
            if not isinstance(output, Tensor):
                return output
            outputs.pop(name, None)
            outputs[name] = output
            return output.clone()

        return modules[name].register_forward_hook(hook)

    handles = [record(name) for name in modules]
    try:
        yield outputs
    finally:
        for handle in handles:
            handle.remove()


@contextlib.contextmanager
def grid_probe(layer: nn.Module, grid: Grid) -> Iterator[nn.Module]:
    """Route a layer's output, as [n, channels, height, width], through a module that others may hook.

    LayerOutput attributions expect convolutional outputs; through the probe they see tokens and channels-last
    layers in that form.
    """
    probe = nn.Identity()

    def hook(_module: nn.Module, _inputs: object, output: Tensor) -> Tensor:
        return grid.scatter(probe(grid.gather(output)), output).clone()  # see `recorded` for why a copy

    handle = layer.register_forward_hook(hook)
    try:
        yield probe
    finally:
        handle.remove()


def list_layers(model: nn.Module, example: Tensor) -> dict[str, LayerOutput]:
    """Every module that gives a tensor, in the order of execution, with its shape and grid.

    Args:
        model: The network, on the CPU; a private view, since it is hooked.
        example: An input, [1, channels, height, width].
    """
    size = (example.shape[-2], example.shape[-1])
    layers, places = {}, _places(model, example)
    for name, found in places.items():
        layers[name] = _layer(name, found, size)
    stacked = [name for name, layer in layers.items() if layer.grid and layer.grid.layout[0] == "B"]
    if stacked:  # photos and windows share a dimension: do whole photos follow each other there?
        of_two = _places(model, example.repeat(2, 1, 1, 1))
        for name in stacked:
            if not _one_by_one(places[name], of_two.get(name, []), size[0]):
                layers[name] = replace(layers[name], grid=None, lacks=NO_GRID)
    return layers


@dataclass(frozen=True)
class _Output:
    """An output of a module: its shape, where its values come from, and whether that could be followed."""

    shape: tuple[int, ...]
    place: Place | None
    lost: bool


def _places(model: nn.Module, images: Tensor) -> dict[str, list[_Output]]:
    """What each module gives, once a call, in the order of the last call."""
    ends = set(named_stages(model))
    modules = {
        name: part
        for name, part in model.named_modules()
        if name and (name in ends or not isinstance(part, PASSIVE))  # some stages end in an identity
    }
    outputs: dict[str, list[_Output]] = {}

    def look(name: str) -> torch.utils.hooks.RemovableHandle:
        def hook(_module: nn.Module, _inputs: object, output: object) -> None:
            if isinstance(output, Tensor):
                place = follow.place(output)
                found = _Output(tuple(output.shape), place, follow.lost(output))
                outputs[name] = [*outputs.pop(name, []), found]

        return modules[name].register_forward_hook(hook)

    handles = [look(name) for name in modules]
    try:
        with followed(images) as follow:
            model(images)
    finally:
        for handle in handles:
            handle.remove()
    return {
        name: [replace(output, place=output.place and output.place.tight()) for output in calls]
        for name, calls in outputs.items()
    }


def _layer(name: str, outputs: Sequence[_Output], size: tuple[int, int]) -> LayerOutput:
    last = outputs[-1]
    shape = last.shape[1:] if last.shape and last.shape[0] == 1 else last.shape
    if last.lost:
        return LayerOutput(name, shape, None, "cannot be followed back to the photo")
    if last.place is None or not last.place.mass.any():
        return LayerOutput(name, shape, None, "does not depend on the photo")
    # a module that runs at several sizes in one pass has no grid of its own
    grids = {find_grid(output.place, output.shape, size) for output in outputs if output.place is not None}
    grid = grids.pop() if len(grids) == 1 and len({output.shape for output in outputs}) == 1 else None
    return LayerOutput(name, shape, grid, "" if grid or (len(last.shape) == 2 and last.shape[0] == 1) else NO_GRID)


def _one_by_one(one: Sequence[_Output], two: Sequence[_Output], height: int) -> bool:
    """Whether a layer's output on two photos is that on the first, then that on the second."""
    for single, both in zip(one, two):
        if both.place is None or both.shape != (2 * single.shape[0], *single.shape[1:]):
            return False
        assert single.place is not None
        alone, (first, second) = single.place.values, both.place.values.chunk(2, 1)
        second = second - alone[0] * torch.tensor([0.0, below(height), 0, 0]).view(-1, *[1] * (alone.ndim - 1))
        for half in (first, second):  # of the size of its part nothing is asked, which a move changes
            if ((half - alone)[:3] * alone[0]).abs().max() > NEAR:
                return False
    return len(one) == len(two)


def named_stages(model: nn.Module) -> list[str]:
    """The modules at the ends of the model's stages, as timm names them."""
    info = getattr(model, "feature_info", None) or []
    return list(dict.fromkeys(entry["module"] for entry in info if isinstance(entry, dict) and "module" in entry))


def stages(model: nn.Module, layers: Mapping[str, LayerOutput]) -> list[str]:
    """The ends of the model's stages, as timm names them, that have a grid; all layers with one if it names none.

    Where a stage gives several tensors at once, the last of its outermost layers that has a grid stands for it.
    """
    grids = [name for name, layer in layers.items() if layer.grid]

    def end(stage: str) -> str | None:
        if stage in layers:
            return stage if layers[stage].grid else None
        inside = [name for name in grids if name.startswith(f"{stage}.")]
        return min(reversed(inside), key=lambda name: name.count("."), default=None)

    ends = [name for name in map(end, named_stages(model)) if name]
    return ends or grids


def default_layer(model: nn.Module, layers: Mapping[str, LayerOutput], example: Tensor) -> str | None:
    """The last stage whose grid still reaches the class score and tells places apart.

    Where only the class token is read, the other tokens of the last block have no gradient at all, so the
    stage before it is taken. Random weights leave some networks with the same values at every place.

    Args:
        model: The network; a private view, since it is hooked.
        layers: From `list_layers`.
        example: An input, [1, channels, height, width].

    Returns:
        Name of the layer, or None when no layer has a grid.
    """
    names = stages(model, layers)
    if not names:
        return None
    with recorded({name: model.get_submodule(name) for name in names}) as outputs, torch.enable_grad():
        score = model(example.requires_grad_()).flatten(1).amax()
        tensors = [outputs[name] for name in names]
        gradients = torch.autograd.grad(score, tensors, allow_unused=True)

    def on_grid(name: str, values: Tensor) -> Tensor:
        grid = layers[name].grid
        assert grid is not None
        return grid.gather(values.detach())

    reach = [name for name, found in zip(names, gradients) if found is not None and on_grid(name, found).any()]
    varied = [name for name in reach if varies(on_grid(name, outputs[name]))]
    return (varied or reach or names)[-1]


def varies(values: Tensor) -> bool:
    """Whether any channel of [n, channels, height, width] differs from place to place by more than is faint."""
    spread = values.amax((2, 3)) - values.amin((2, 3))
    return bool(spread.amax() > FAINT * values.abs().amax())
