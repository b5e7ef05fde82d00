"""Places: which part of the photo each value of a tensor comes from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

NEAR = 1e-6  # places that differ by less, in pixels, are the same


@dataclass(frozen=True, eq=False)
class Place:
    """The part of the photo that each value of a tensor comes from.

    Args:
        table: Each place once or more often, float64 [4, places]: mass (1, or 0 for what comes from no place, as
            parameters and padding), row and column of the centre, y and x in pixels, and the mean of y^2 + x^2 over the
            part, which tells its size. The first is no place.
        index: Which place, with the tensor's shape: float64, so that every operation that moves values moves them too.
        pairs: Whether each value belongs to two places, as in the matrix of an attention; these are then the first.
    """

    table: Tensor
    index: Tensor
    pairs: bool = False

    @classmethod
    def of(cls, values: Tensor, pairs: bool = False) -> Place:
        """From mass, y, x and square of each value, [4, ...]."""
        table = torch.cat([torch.zeros(4, 1).double(), values.flatten(1)], 1)
        return cls(table, torch.arange(1, table.shape[1]).double().view(values.shape[1:]), pairs)

    @property
    def shape(self) -> torch.Size:
        """The tensor's shape."""
        return self.index.shape

    @property
    def mass(self) -> Tensor:
        """1, or 0 for a value that comes from no place."""
        return self.table[0, self.index.long()]

    @property
    def values(self) -> Tensor:
        """Mass, y, x and square of each value, [4, ...]."""
        return self.table[:, self.index.long()]

    @property
    def spread(self) -> Tensor:
        """Mean squared distance from the centre; infinite for what comes from no place."""
        mass, y, x, square = self.values
        return torch.where(mass > 0, square - y**2 - x**2, torch.inf)

    def move(self, change: Callable[[Tensor], Tensor]) -> Place:
        """The same places elsewhere."""
        return replace(self, index=change(self.index))

    def expand(self, shape: Sequence[int]) -> Place:
        """As places of a tensor of this shape."""
        return self.move(lambda index: index.expand(shape))

    def tight(self) -> Place:
        """With one value along each dimension in which all are the same, to be expanded again."""
        index = self.index
        for axis, size in enumerate(self.shape):
            if size > 1 and _same(index, axis):
                index = index.narrow(axis, 0, 1)
        return replace(self, index=index)

    def mean(self, average: Callable[[Tensor], Tensor]) -> Place:
        """Places of means: `average` sums or averages values with weights that are not negative."""
        mass, *others = self.values
        weight = average(mass)
        means = [average(mass * values) / weight.clamp(min=1e-12) for values in others]
        return Place.of(torch.stack([(weight > 1e-9).double(), *means]), self.pairs)


def _same(index: Tensor, axis: int) -> bool:
    """Whether values are the same along an axis, bit for bit: what is moved or expanded stays so."""
    if index.stride(axis) == 0:
        return True
    first, last = index.narrow(axis, 0, 1), index.narrow(axis, -1, 1)  # most that are not the same differ here
    return torch.equal(first, last) and bool((index == first).all())


def of_photos(images: Tensor) -> Place:
    """The places of pixels, for images [n, channels, height, width]; each lies far below the one before."""
    count, _, height, width = images.shape
    y = torch.arange(height).view(-1, 1) + below(height) * torch.arange(count).view(-1, 1, 1, 1)
    y, x = torch.broadcast_tensors(y.double(), torch.arange(width).double())
    return Place.of(torch.stack([torch.ones_like(y), y, x, y**2 + x**2])).expand(images.shape)


def nowhere(shape: Sequence[int]) -> Place:
    """The places of values that come from no place."""
    return Place(torch.zeros(4, 1).double(), torch.zeros(()).double()).expand(shape)


def below(height: int) -> int:
    """How far the second of two photos lies below the first, in pixels."""
    return 4 * height


def sharpest(places: Sequence[Place]) -> Place:
    """Of several places that broadcast those of the smallest parts of the photo; of equal ones the first."""
    tight = [place.tight() for place in places]
    sizes = [spread[spread.isfinite()].mean().nan_to_num(torch.inf) for spread in (place.spread for place in tight)]
    best = min(range(len(tight)), key=lambda i: (round(float(sizes[i]), 6), i))
    return filled(tight[best], tight[:best] + tight[best + 1 :])


def filled(place: Place, others: Sequence[Place]) -> Place:
    """The place, with that of others where it is nowhere."""
    for other in others:
        pairs = place.pairs or other.pairs
        if bool((place.mass > 0).all()):
            shape = torch.broadcast_shapes(place.shape, other.shape)
            place = replace(place.expand(shape), pairs=pairs)
        else:
            ours, theirs = _aligned(place, other)
            place = Place.of(torch.where(ours[0] > 0, ours, theirs), pairs)
    return place


def _aligned(*places: Place) -> list[Tensor]:
    """The values of places that broadcast, [4, ...] of one shape each."""
    shape = torch.broadcast_shapes(*(place.shape for place in places))
    return [place.expand(shape).values for place in places]
