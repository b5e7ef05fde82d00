"""The grids of layers: which values of an output lie where on the photo."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .places import NEAR, Place


@dataclass(frozen=True)
class Grid:
    """How a layer's output is laid out in space.

    Args:
        layout: A letter per dimension: N for the batch, C for the channels, H, W, L and D for cells, and B where photos
            and their windows share the first one. "NCHW", "NHWC", or "NLC" for tokens are the usual ones.
        channels: Number of units.
        height: Rows of the grid.
        width: Columns of the grid.
        prefix: Tokens before the grid's, such as the class token.
        cells: Where the cells are among all of a photo, row by row; None where they lie in this order.
        windows: In how many parts the first dimension holds a photo.
    """

    layout: str
    channels: int
    height: int
    width: int
    prefix: int = 0
    cells: tuple[int, ...] | None = None
    windows: int = 1

    @property
    def tokens(self) -> bool:
        """Whether the cells are a sequence of tokens, which the network's own size lays on a grid."""
        return "H" not in self.layout

    def gather(self, output: Tensor) -> Tensor:
        """The layer's output as [n, channels, height, width]."""
        if self.cells is None and self.layout == "NCHW":
            return output
        if self.cells is None and self.layout == "NHWC":
            return output.permute(0, 3, 1, 2)
        return self._listed(output)[:, self._kept(output)].transpose(1, 2).unflatten(2, (self.height, self.width))

    def scatter(self, grid: Tensor, output: Tensor) -> Tensor:
        """The inverse of `gather`; what is no part of the grid is taken from `output`."""
        if self.cells is None and self.layout == "NCHW":
            return grid
        if self.cells is None and self.layout == "NHWC":
            return grid.permute(0, 2, 3, 1)
        listed, cells = self._listed(output), grid.flatten(2).transpose(1, 2)
        listed = listed.index_copy(1, self._kept(output), cells)
        apart = output.movedim(self.layout.index("C"), -1)
        return listed.reshape(apart.shape).movedim(-1, self.layout.index("C"))

    def _listed(self, output: Tensor) -> Tensor:
        """The output as [n, cells, channels]."""
        apart = output.movedim(self.layout.index("C"), -1)
        return apart.reshape(len(output) // self.windows, -1, self.channels)

    def _kept(self, output: Tensor) -> Tensor:
        """The indices of the grid's cells."""
        if self.cells is None:
            first = self.prefix
            return torch.arange(first, first + self.height * self.width, device=output.device)
        return torch.tensor(self.cells, device=output.device)


def find_grid(place: Place, shape: Sequence[int], size: tuple[int, int]) -> Grid | None:
    """Find the grid in the output of a layer on one photo, by where its values come from.

    The cells must lie in rows and columns, in the aspect of the input, and all units of a cell come from one place.

    Args:
        place: Where the values come from; may be tight.
        shape: Shape of the output.
        size: Height and width of the network's input.
    """
    if len(shape) < 2:
        return None
    varies = [axis for axis, length in enumerate(place.shape) if length > 1]
    alike = [axis for axis in range(1, len(shape)) if axis not in varies and shape[axis] > 1]
    if place.pairs or len(alike) > 1 or (0 not in varies and shape[0] != 1):
        return None  # a matrix between places, several heads, or the same everywhere
    for axis in alike or (1, len(shape) - 1):  # the units of a cell may come from several parts of it
        if (grid := _grid_along(place, shape, axis, size)) is not None:
            return grid
    return None


def _grid_along(place: Place, shape: Sequence[int], axis: int, size: tuple[int, int]) -> Grid | None:
    """The grid in an output whose channels are along an axis."""
    cells = place.mean(lambda values: values.mean(axis, keepdim=True))
    whole = cells.expand([1 if i == axis else length for i, length in enumerate(shape)]).move(torch.flatten)
    lines, count = _lines(whole, size), len(whole.index)
    if lines is None or (lines.size == 1 and (count > 1 or len(shape) < 4)):
        return None  # not in lines, or a class token of its own
    if not _in_lines(place, shape, axis, whole, lines):
        return None
    sides = [length for i, length in enumerate(shape) if i not in (0, axis)]
    others = iter("L" if len(sides) == 1 else "HW".rjust(len(sides), "D"))
    letters = "".join("C" if i == axis else next(others) for i in range(1, len(shape)))
    layout = ("N" if shape[0] == 1 else "B") + letters
    rows, columns = lines.shape
    order, first = lines.ravel(), int(lines[0, 0])
    in_order = (order == np.arange(first, first + order.size)).all() and (layout == "NLC" or order.size == count)
    in_order = in_order and (len(sides) != 2 or sides == [rows, columns])
    return Grid(
        layout,
        shape[axis],
        rows,
        columns,
        first if in_order else 0,
        None if in_order else tuple(order.tolist()),
        shape[0],
    )


def _in_lines(place: Place, shape: Sequence[int], axis: int, cells: Place, lines: np.ndarray) -> bool:
    """Whether the cells of every unit come one below and beside the other, though its places are its own."""
    units = place.shape[axis]
    whole = place.expand([units if i == axis else length for i, length in enumerate(shape)])
    mass, y, x, _ = (values.movedim(axis, -1).reshape(-1, units) for values in whole.values)
    # a unit's padding is where the cell's other units are
    own = (torch.where(mass > 0, *of) for of in ((y, cells.values[1, :, None]), (x, cells.values[2, :, None])))
    return _ordered(*(values.numpy()[lines] for values in own))


def _ordered(y: np.ndarray, x: np.ndarray) -> bool:
    """Whether places [rows, columns, ...] come row below row and column beside column."""
    down, right = y[1:].min(1) - y[:-1].max(1), x[:, 1:].min(0) - x[:, :-1].max(0)
    return bool((down > NEAR).all() and (right > NEAR).all())


def _lines(cells: Place, size: tuple[int, int]) -> np.ndarray | None:
    """The indices of the cells in rows and columns, [rows, columns]; None where they do not lie so.

    Cells that come from a larger part of the photo than the others, such as class tokens and padding that have attended
    to everything, are left out. Those that reach beyond a cell's share of the photo, as means of tokens in two rows of
    them, are no grid, though their centres may lie like one.
    """
    _, y, x, _ = cells.values.numpy()
    spread = cells.spread.numpy()
    sharpest = np.argsort(spread, kind="stable")
    steps = np.append(spread[sharpest], np.inf)
    (height, width), slack, count = size, max(size), len(y)
    sides = [
        (down, right)
        for down in range(1, min(height, count) + 1)
        for right in range(-(-(down * width - slack) // height), (down * width + slack) // height + 1)
        if 0 < right <= width and down * right <= count
    ]
    for rows, columns in sorted(sides, key=lambda side: -side[0] * side[1]):
        kept = rows * columns
        if not steps[kept - 1] < np.inf or (kept < count and not steps[kept] > steps[kept - 1] + NEAR):
            continue
        chosen = np.sort(sharpest[:kept])
        order = chosen[np.lexsort((x[chosen], y[chosen]))].reshape(rows, columns)
        order = np.take_along_axis(order, np.argsort(x[order], axis=1, kind="stable"), axis=1)
        if spread[order].max() <= height * width / kept + NEAR and _ordered(y[order], x[order]):
            return order
    return None
