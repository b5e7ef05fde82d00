"""The photos of a set ranked by how much they excite each unit of a layer, and the patches cut from them.

Import it inside functions: it loads torch.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from PIL import Image

import timmscope as ts

TILE = 128  # longer side of a patch as shown, in pixels
MOST = 0.7  # largest theoretical field that still leaves something out, as a share of the input's side
NEIGHBOURS = 3  # a token's crop is as many patches high and wide: one patch alone says nothing to people
LISTED = 12  # units that a note names


def indexed(
    model: ts.VisionModel, photos: ts.PhotoList, layer: str, more: int = 0
) -> Generator[ts.Outputs, None, ts.Index]:
    """Index the photos; yields progress, with `more` steps to come after it, and returns the index."""
    for step in ts.index_photos(model, photos, layer):
        waiting = "Another run computes the same index." if step.waiting else ""
        yield ts.Outputs().at(step.done, step.total + more).note(waiting)
    return step.found


class Patch(NamedTuple):
    """The cell of a photo that excites a unit most. `photo` is its number in the set, `rank` starts at 1."""

    unit: int
    rank: int
    photo: int
    name: str
    row: int
    column: int
    value: float


class Ranks:
    """The photos of an index by how much they excite each unit, one of each source.

    Args:
        model: The model.
        photos: The photo set.
        layer: Name of the layer that was indexed.
        index: Its index.
    """

    def __init__(self, model: ts.VisionModel, photos: ts.PhotoList, layer: str, index: ts.Index) -> None:
        assert index.cells is not None, "an index of a layer has the cells of its values"
        self.layer, self.index, self.cells = layer, index, index.cells
        self.rectified = bool(ts.LayerReader(model, [layer], before_activation=True).opened)
        names = [photos[position].source or f"{position} {photos[position].name}" for position in index.positions]
        self.sources = np.unique(names, return_inverse=True)[1]
        self.tops = np.full((self.sources.max() + 1, index.values.shape[1]), -np.inf, np.float32)
        np.maximum.at(self.tops, self.sources, index.values)  # [sources, units]

    def best(self, unit: int, count: int) -> list[Patch]:
        """The patches of a unit, best first, at most one of each source; equal ones in the order of the set."""
        order = np.argsort(-self.index.values[:, unit], kind="stable")
        first = np.sort(np.unique(self.sources[order], return_index=True)[1])[:count]
        found = []
        for rank, i in enumerate(order[first].tolist(), 1):
            row, column = self.cells[i, unit].tolist()
            value = float(self.index.values[i, unit])
            found.append(Patch(unit, rank, int(self.index.positions[i]), self.index.names[i], row, column, value))
        return found

    def choose(self, units: Sequence[int], per_unit: int, limit: int) -> tuple[list[int], list[int]]:
        """The units to show, and those left out since they never fire."""
        total = self.tops.shape[1]
        fires = (self.tops > 0).sum(0) if self.rectified else (self.tops > float("-inf")).sum(0)
        chosen = [unit for unit in units if fires[unit]] if units else self._selective(fires, per_unit, limit)
        if not chosen:
            which = f"None of the units {_listed(units)}" if units else "No unit"
            raise ts.Declined(f"{which} of {self.layer} fires on any of these {len(self.index):,} photos.")
        return chosen, [unit for unit in (units or range(total)) if not fires[unit]]

    def _selective(self, fires: np.ndarray, per_unit: int, limit: int) -> list[int]:
        """Units whose best photos stand out most from the mean, in standard deviations, and are not mostly the same."""
        count = min(per_unit, len(self.tops))
        top = np.sort(self.tops, axis=0)[-count:].mean(0)
        spread = self.tops.std(0)
        varies = spread > ts.rounding.limit(np.abs(self.tops).max(0))
        stands_out = np.divide(top - self.tops.mean(0), spread, out=np.zeros_like(spread), where=varies)
        order = np.lexsort((-top, -stands_out, -np.minimum(fires, count)))  # whole rows before the silent
        firing = [int(unit) for unit in order if fires[unit]]
        chosen: dict[int, set[int]] = {}
        for unit in firing:
            if len(chosen) == limit:
                break
            photos = {patch.photo for patch in self.best(unit, count)}
            if all(len(photos & others) <= count // 2 for others in chosen.values()):
                chosen[unit] = photos
        return [*chosen, *(unit for unit in firing if unit not in chosen)][:limit]

    def notes(self, silent: Sequence[int], patches: Sequence[Patch]) -> list[str]:
        """What was ranked, and what was left out."""
        index, (pictures, units) = self.index, self.tops.shape
        parts = f", parts of {pictures} pictures: the best part of each" if pictures < len(index) else ""
        quiet = sum(patch.value <= 0 for patch in patches) if self.rectified else 0
        return [
            f"{self.layer}: {units} units on {len(index):,} photos{parts}; values are "
            + ("those before the activation." if self.rectified else "the layer's own."),
            f"Never fire on these photos, left out: {len(silent)} units, {_listed(silent)}." if silent else "",
            f"{quiet} patches have a value of zero or less: the unit is silent there." if quiet else "",
        ]


def window(model: ts.VisionModel, layer: str, kind: str = "auto") -> ts.ReceptiveField:
    """The receptive field that patches are cut by: square, and no larger than the input."""
    height, width = model.size
    if model.layers[layer].grid is None:  # one value per unit sees everything
        return ts.ReceptiveField("theoretical", height, width, model.size, (height / 2, width / 2), model.size)
    field = _telling(model, layer) if kind == "auto" else model.receptive_field(layer, kind)  # type: ignore[arg-type]  # a choice
    side = max(field.height, field.width) * (NEIGHBOURS if field.kind == "token" else 1)
    side = min(side, height, width)
    return replace(field, height=side, width=side)


def _telling(model: ts.VisionModel, layer: str) -> ts.ReceptiveField:
    """The field of the kind that shows most: one that leaves something out, and can be had."""
    try:
        field = model.receptive_field(layer)
        if field.kind == "theoretical" and max(field.height, field.width) > MOST * min(model.size):
            field = model.receptive_field(layer, "effective")
        return field
    except ts.Declined:  # the effective field takes a backward pass
        return model.receptive_field(layer, "token")


def described(model: ts.VisionModel, field: ts.ReceptiveField) -> str:
    """A sentence on the size of the patches."""
    height, width = model.size
    what = {"token": f"a token's place with its neighbours, {NEIGHBOURS} x {NEIGHBOURS} patches"}
    kind = what.get(field.kind, f"the {field.kind} receptive field")
    return (
        f"A patch is {field.width:.0f} x {field.height:.0f} of the {width} x {height} pixels that the network sees: "
        f"{kind}."
    )


def cut_all(
    model: ts.VisionModel, photos: ts.PhotoList, field: ts.ReceptiveField, patches: Sequence[Patch]
) -> list[np.ndarray]:
    """The patches as pictures of one size, uint8 [height, width, 3] each; every photo is decoded once."""
    pictures = {}
    for position in sorted({patch.photo for patch in patches}):
        photo = photos.photo(position)
        for i, patch in enumerate(patches):
            if patch.photo == position:
                pictures[i] = np.asarray(cut(model, photo, field, patch.row, patch.column))
    return [pictures[i] for i in range(len(patches))]


def cut(model: ts.VisionModel, photo: ts.PhotoInput, field: ts.ReceptiveField, row: int, column: int) -> Image.Image:
    """The part of a photo under the receptive field of one cell, moved inside where it reaches over the border."""
    (height, width), picture = model.size, photo.picture
    left, top, right, bottom = model.region(photo)
    x, y = (right - left) / width, (bottom - top) / height  # photo pixels per pixel of the input
    first, upper, last, lower = field.box(row, column)
    wide, high = (last - first) * x, (lower - upper) * y
    share = min(1, picture.width / wide, picture.height / high)
    a, c = _inside(left + (first + last) / 2 * x, wide * share, picture.width)
    b, d = _inside(top + (upper + lower) / 2 * y, high * share, picture.height)
    scale = TILE / max(field.width, field.height)
    tile = round(field.width * scale), round(field.height * scale)
    return picture.resize(tile, Image.Resampling.LANCZOS, box=(a, b, c, d))


def _inside(centre: float, length: float, limit: int) -> tuple[float, float]:
    low = min(max(centre - length / 2, 0), limit - length)
    return max(low, 0), min(max(low, 0) + length, limit)


def _listed(units: Sequence[int]) -> str:
    return ", ".join(map(str, units[:LISTED])) + (", ..." if len(units) > LISTED else "")
