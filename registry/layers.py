"""Layers of a model: their names, where their output has a spatial grid, and which one is a sensible default."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

PASSIVE = (nn.Identity, nn.Dropout, nn.Dropout2d, nn.Flatten, nn.Softmax)  # modules that show nothing of their own
SAME = 1e-3  # a difference from place to place, as a share of the largest value, below which there is none


@dataclass(frozen=True)
class Grid:
    """How a layer's output is laid out in space.

    Args:
        layout: "NCHW", "NHWC", or "NLC" for tokens.
        channels: Number of units.
        height: Rows of the grid.
        width: Columns of the grid.
        prefix: Tokens before the grid's, such as the class token.
    """

    layout: str
    channels: int
    height: int
    width: int
    prefix: int = 0

    def gather(self, output: Tensor) -> Tensor:
        """The layer's output as [n, channels, height, width]."""
        if self.layout == "NCHW":
            return output
        if self.layout == "NHWC":
            return output.permute(0, 3, 1, 2)
        return output[:, self.prefix :].transpose(1, 2).unflatten(2, (self.height, self.width))

    def scatter(self, grid: Tensor, output: Tensor) -> Tensor:
        """The inverse of `gather`; what is no part of the grid is taken from `output`."""
        if self.layout == "NCHW":
            return grid
        if self.layout == "NHWC":
            return grid.permute(0, 2, 3, 1)
        return torch.cat([output[:, : self.prefix], grid.flatten(2).transpose(1, 2)], 1)


@dataclass(frozen=True)
class Layer:
    """A named module with the shape of its output on one photo and its grid, if it has one."""

    name: str
    shape: tuple[int, ...]
    grid: Grid | None

    @property
    def title(self) -> str:
        """The name as lists show it, with the shape of the output: "blocks.3 - 80 x 14 x 14"."""
        if self.grid:
            return f"{self.name} — {self.grid.channels} × {self.grid.height} × {self.grid.width}"
        return f"{self.name} — {' × '.join(map(str, self.shape))}"


def find_grid(model: nn.Module, output: Tensor, input_size: tuple[int, int]) -> Grid | None:
    """Find the grid in a layer's output by its shape: the cells must have the aspect of the input.

    Args:
        model: The network; tells its prefix tokens and its usual layout where shapes are ambiguous.
        output: Output of the layer, [n, ...].
        input_size: Height and width of the network's input.
    """
    height, width = input_size

    def fits(rows: int, columns: int) -> bool:
        return 0 < rows <= height and 0 < columns <= width and abs(rows * width - columns * height) <= max(input_size)

    if output.ndim == 4:
        _, a, b, c = output.shape
        first, last = fits(b, c), fits(a, b)
        if first and last:
            first = getattr(model, "output_fmt", "NCHW") != "NHWC"
        if first:
            return Grid("NCHW", a, b, c)
        return Grid("NHWC", c, a, b) if last else None
    if output.ndim == 3:
        _, tokens, channels = output.shape
        for prefix in dict.fromkeys((getattr(model, "num_prefix_tokens", 0), 0, 1)):
            if tokens - prefix == 1:
                continue  # a class token of its own, not a grid of one cell
            rows = round(((tokens - prefix) * height / width) ** 0.5) if tokens > prefix else 0
            if rows and (tokens - prefix) % rows == 0 and fits(rows, (tokens - prefix) // rows):
                return Grid("NLC", channels, rows, (tokens - prefix) // rows, prefix)
    return None


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

    Layer attributions expect convolutional outputs; through the probe they see tokens and channels-last
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


def list_layers(model: nn.Module, example: Tensor) -> dict[str, Layer]:
    """Every module that gives a tensor, in the order of execution, with its shape and grid.

    Args:
        model: The network; a private view, since it is hooked.
        example: An input, [1, channels, height, width].
    """
    ends, size = set(named_stages(model)), (example.shape[-2], example.shape[-1])
    modules = {
        name: part
        for name, part in model.named_modules()
        if name and (name in ends or not isinstance(part, PASSIVE))  # some stages end in an identity
    }
    layers: dict[str, Layer] = {}

    def look(name: str) -> torch.utils.hooks.RemovableHandle:
        def hook(_module: nn.Module, _inputs: object, output: object) -> None:
            if isinstance(output, Tensor):
                before = layers.pop(name, None)
                layer = Layer(name, tuple(output.shape[1:]), find_grid(model, output, size))
                # a module that runs at several sizes in one pass has no grid of its own
                layers[name] = layer if before in (None, layer) else replace(layer, grid=None)

        return modules[name].register_forward_hook(hook)

    handles = [look(name) for name in modules]
    try:
        with torch.no_grad():
            model(example)
    finally:
        for handle in handles:
            handle.remove()
    return layers


def named_stages(model: nn.Module) -> list[str]:
    """The modules at the ends of the model's stages, as timm names them."""
    info = getattr(model, "feature_info", None) or []
    return list(dict.fromkeys(entry["module"] for entry in info if isinstance(entry, dict) and "module" in entry))


def stages(model: nn.Module, layers: Mapping[str, Layer]) -> list[str]:
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


def default_layer(model: nn.Module, layers: Mapping[str, Layer], example: Tensor) -> str | None:
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
    """Whether any channel of [n, channels, height, width] differs from place to place, beyond rounding."""
    spread = values.amax((2, 3)) - values.amin((2, 3))
    return bool(spread.amax() > SAME * values.abs().amax())
