"""Receptive fields: which pixels of the input a cell of a layer can see, and which of them it uses."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor, nn

from ..base.errors import Declined
from .explained import require_gradient

if TYPE_CHECKING:
    from .layers import Grid
    from .vision_model import VisionModel

Kind = Literal["theoretical", "effective", "token"]
Span = tuple[int, int, int]  # axis (0 for rows, 1 for columns), first pixel, and the first beyond
SAMPLES = 4  # random images whose gradients are averaged
WIDTHS = 4  # standard deviations that an effective field spans: 95 % of a normal distribution


@dataclass(frozen=True)
class ReceptiveField:
    """The field of a layer's cells, in pixels of the model's input. Pixel i reaches from i to i + 1.

    Args:
        kind: "theoretical": every pixel that can have an influence. "effective": the central part that has most of
            it. "token": the patch that the token came from.
        height: Height of the field.
        width: Width of the field.
        stride: Distance between neighbouring cells, down and to the right.
        offset: Centre (y, x) of the cell in row 0 and column 0.
        theoretical: Height and width of the theoretical field, which may exceed the input; None where every cell
            sees all of the input (attention, squeeze and excite), or where cells see fields of different sizes.
    """

    kind: Kind
    height: float
    width: float
    stride: tuple[float, float]
    offset: tuple[float, float]
    theoretical: tuple[int, int] | None

    def box(self, row: int, column: int) -> tuple[float, float, float, float]:
        """Left, top, right and bottom of the field of one cell; it may reach over the border, where padding is."""
        y, x = self.offset[0] + row * self.stride[0], self.offset[1] + column * self.stride[1]
        return x - self.width / 2, y - self.height / 2, x + self.width / 2, y + self.height / 2


def find(model: VisionModel, layer: str, kind: Kind | None = None) -> ReceptiveField:
    """Measure the receptive field of a layer's cells.

    Args:
        model: The model.
        layer: Name of a layer with a spatial grid.
        kind: What is wanted; None takes the theoretical field where it is smaller than the input, else the patch of a
            token, else the effective field.

    Raises:
        Declined: The layer has no grid; there is no field of this kind; or the effective one would take more memory
            than is allowed for a backward pass.
    """
    grid, (height, width) = model.grid(layer), model.size
    even = height / grid.height, width / grid.width
    sides = None if kind == "token" else _theoretical(model, layer, grid)
    size = (sides[0].size, sides[1].size) if sides else None
    if kind is None:
        fits = size and size[0] < height and size[1] < width
        kind = "theoretical" if fits else "token" if grid.tokens else "effective"
    if kind == "theoretical":
        if sides is None:
            raise Declined(
                f"Each cell of layer {layer} of {model.name} sees all of the input, or they see fields of different "
                "sizes: the theoretical receptive field says nothing."
            )
        down, right = sides
        stride, offset = (down.stride, right.stride), (down.offset, right.offset)
        return ReceptiveField(kind, down.size, right.size, stride, offset, size)
    if kind == "token":
        return ReceptiveField(kind, *even, even, (even[0] / 2, even[1] / 2), size)
    stride = (sides[0].stride, sides[1].stride) if sides else even
    row, column = grid.height // 2, grid.width // 2
    (y, tall), (x, wide) = _effective(model, layer, grid, row, column)
    return ReceptiveField(kind, tall, wide, stride, (y - row * stride[0], x - column * stride[1]), size)


@dataclass(frozen=True)
class _Side:
    """The field along one axis: its size, the distance of cells, and the centre of the first one's field."""

    size: int
    stride: float
    offset: float


def _theoretical(model: VisionModel, layer: str, grid: Grid) -> tuple[_Side, _Side] | None:
    """The exact field, found by what spreads: of an input with NaN in some pixels, the cells that see them are NaN.

    Unlike a gradient, NaN passes dead activations, unchosen maxima and weights that are zero. The reach of the first
    and of the last cells tells size, distance and place, also of fields larger than the input.
    """
    probe, (height, width) = _Probe(model, layer, grid), model.size
    last_row, last_column = (0, height - 1, height), (1, width - 1, width)
    clean, blind, bottom, right = probe([[], [(0, 0, height)], [last_row], [last_column]])
    if clean.any() or not blind.all() or bottom[0].any() or right[:, 0].any():  # the first cells see the last pixels
        return None
    down, across = (_side(probe, axis, model.size[axis]) for axis in (0, 1))
    return (down, across) if down and across and _agrees(probe, (down, across), grid, model.size) else None


class _Probe:
    """Which cells are NaN for images with NaN in some rows or columns. It runs on the CPU.

    Fast convolutions of other devices compute cells in blocks, and NaN would spread over a block.
    """

    def __init__(self, model: VisionModel, layer: str, grid: Grid) -> None:
        self._module = model.module if model.device.type == "cpu" else copy.deepcopy(model.module).cpu()
        self._layer, self._grid = self._module.get_submodule(layer), grid
        self._image = _noise(model, 1)

    def __call__(self, spans: Sequence[Sequence[Span]]) -> Tensor:
        """Run one image for each item, with NaN in its spans; bool [images, rows, columns]."""
        images = self._image.repeat(len(spans), 1, 1, 1).contiguous(memory_format=torch.channels_last)
        for image, poisoned in zip(images, spans):
            for axis, first, last in poisoned:
                image.narrow(1 + axis, first, last - first).fill_(torch.nan)
        handle = self._layer.register_forward_hook(_stop)
        try:
            with torch.no_grad():
                self._module(images)
        except _Reached as reached:
            return self._grid.gather(reached.output).isnan().any(1)
        finally:
            handle.remove()
        raise AssertionError("the layer was not run")


class _Reached(Exception):
    """Ends a forward pass at the layer whose output is wanted."""

    def __init__(self, output: Tensor) -> None:
        super().__init__()
        self.output = output


def _stop(_module: nn.Module, _inputs: object, output: Tensor) -> None:
    raise _Reached(output)


def _side(probe: _Probe, axis: int, side: int) -> _Side | None:
    """The field along one axis, or None where it has no end inside the input, or no regular step."""
    ends, begins = _reaches(
        probe, axis, side
    )  # the latter counted from the far end: of the last cell, the last but one
    cells = len(ends)
    if side - 1 in (ends[0], begins[0]):
        return None
    steps = {reach[1] - reach[0] for reach in (ends, begins) if cells > 1 and reach[1] < side - 1}
    step = steps.pop() if steps else side / cells
    if steps or step <= 0 or step != int(step):
        return None
    first = side - 1 - begins[0] - (cells - 1) * int(step)
    return _Side(ends[0] - first + 1, step, (first + ends[0] + 1) / 2)


def _reaches(probe: _Probe, axis: int, side: int) -> list[list[int]]:
    """How far cells see along an axis: the last pixel of each, then the same from the far end.

    Found by bisection; only the first two of each list are exact, since every question costs a forward pass.
    """
    cells = (probe([[]]).shape)[1 + axis]
    low, high = [[0] * cells, [0] * cells], [[side - 1] * cells, [side - 1] * cells]
    while True:
        open_cells = [next((c for c in range(min(2, cells)) if low[i][c] < high[i][c]), None) for i in (0, 1)]
        if open_cells == [None, None]:
            return low
        middles = [side if c is None else (low[i][c] + high[i][c] + 1) // 2 for i, c in enumerate(open_cells)]
        touched = probe([[(axis, middles[0], side)], [(axis, 0, side - middles[1])]]).any(2 - axis)
        for i, hit in enumerate((touched[0].tolist(), touched[1].tolist()[::-1])):
            for cell in range(cells):
                if hit[cell]:
                    low[i][cell] = max(low[i][cell], middles[i])
                elif middles[i] < side:
                    high[i][cell] = min(high[i][cell], middles[i] - 1)


def _agrees(probe: _Probe, sides: tuple[_Side, _Side], grid: Grid, size: tuple[int, int]) -> bool:
    """Whether the central cell sees exactly the pixels that `sides` say: all borders of the box, nothing outside."""
    cell = grid.height // 2, grid.width // 2
    outside: list[Span] = []
    borders: list[list[Span]] = []
    for axis, side in enumerate(sides):
        first = round(side.offset + cell[axis] * side.stride - side.size / 2)
        last = first + side.size  # the first pixel beyond
        if first >= 0:
            outside.append((axis, 0, first))
            borders.append([(axis, first, first + 1)])
        if last <= size[axis]:
            outside.append((axis, last, size[axis]))
            borders.append([(axis, last - 1, last)])
    seen = probe([outside, *borders])[:, cell[0], cell[1]].tolist()
    return not seen[0] and all(seen[1:])


def _effective(model: VisionModel, layer: str, grid: Grid, row: int, column: int) -> list[tuple[float, float]]:
    """Centre and width along each axis of where the gradient of a cell is, as a distribution over pixels.

    It is the gradient of the cell's units with random signs, for random images.
    """
    generator = torch.Generator().manual_seed(0)
    gradients: list[Tensor] = []
    for images in _noise(model, SAMPLES).to(model.device).split(model.batch(SAMPLES)):
        with model.record(layer) as outputs, torch.enable_grad():
            model.module(images.requires_grad_())
            units = grid.gather(outputs[layer])[:, :, row, column]
            signs = torch.randint(0, 2, units.shape, generator=generator) * 2 - 1
            gradients += torch.autograd.grad((units * signs.to(units)).sum(), images)
    strength = require_gradient(torch.cat(gradients), model).abs().sum((0, 1)).double().cpu()
    found = []
    for profile in (strength.sum(1), strength.sum(0)):
        share = profile / profile.sum()
        pixels = torch.arange(len(share)) + 0.5
        mean = (share * pixels).sum()
        spread = (share * (pixels - mean) ** 2).sum() + 1 / 12  # a pixel has a width of its own
        found.append((float(mean), WIDTHS * float(spread) ** 0.5))
    return found


def _noise(model: VisionModel, count: int) -> Tensor:
    """Random images as the network might see them, [count, channels, height, width]."""
    noise = torch.randn(count, *model.config["input_size"], generator=torch.Generator().manual_seed(0))
    return noise.contiguous(memory_format=torch.channels_last)
