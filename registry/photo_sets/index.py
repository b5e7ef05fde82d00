"""The index of a photo set: features of each photo, or what excites each unit most, computed once and kept on disk."""

from __future__ import annotations

import contextlib
import json
import time
from collections import deque
from collections.abc import Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import PIL
import timm
import torch
import torch.nn.functional as F
from torch import Tensor

from ..base.errors import Declined, InvalidInput
from ..base.memory import free_memory, is_out_of_memory
from ..base.rounding import conditions
from ..base.settings import settings
from ..photos.decoding import PhotoInput
from ..photos.sets import PhotoList
from ..vision.reading import LayerReader
from ..vision.vision_model import VisionModel
from .index_store import default_store

VERSION = 3  # a change of what is computed makes new indexes
BATCH = {"cpu": 4, "cuda": 64}  # photos a forward pass, the fastest measured: always as many, see `_Network`
WORKERS = 8  # most threads that decode photos
SMALL_SIDE = 32  # longest side of the reduced photos beside features, in pixels
SMALLEST_GRID = 5  # smallest side of a grid whose border cells are left out
POLL = 0.2  # seconds between two looks whether somebody else's index is ready


@dataclass(frozen=True, eq=False)
class Index:
    """What a model says of each photo of a set.

    Args:
        names: Names of the n photos.
        labels: Their labels; empty where unknown.
        positions: Where they are in the photo set, int32 [n].
        values: float32 [n, d]: the penultimate features, or of a layer the largest value of each unit, before a
            saturating activation (behind one, many photos tie at its limit).
        cells: Row and column of that value on the layer's grid, int16 [n, d, 2]; None for features.
        grid: Rows and columns of the layer's grid; (0, 0) for features.
        margin: Cells left out along each border: 1 on a grid of at least 5 x 5 cells of a layer that is not
            tokens, since padding excites units there whatever the photo shows.
        skipped: Photos left out, by name, with the reason.
        pixels: The photos as the network sees them, reduced: uint8 [n, channels, height, width]; with features only.
    """

    names: Sequence[str]
    labels: Sequence[str]
    positions: np.ndarray
    values: np.ndarray
    cells: np.ndarray | None = None
    grid: tuple[int, int] = (0, 0)
    margin: int = 0
    skipped: Mapping[str, str] = field(default_factory=dict)
    pixels: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.names)


@dataclass(frozen=True)
class Indexing:
    """A step of `index_photos`.

    Args:
        done: Photos done.
        total: Photos of the set.
        waiting: Somebody else is computing the same index.
        index: The index, at the last step only.
    """

    done: int
    total: int
    waiting: bool = False
    index: Index | None = None

    @property
    def found(self) -> Index:
        """The index, once this is the last step.

        Raises:
            ValueError: It is not.
        """
        if self.index is None:
            raise ValueError(f"the index has {self.done} of {self.total} photos so far")
        return self.index


def index_photos(
    model: VisionModel, photos: PhotoList, layer: str = "", fit: bool = False
) -> Generator[Indexing, None, None]:
    """Index a photo set, or fetch its index from disk.

    Whoever asks for the same index meanwhile, in this process or on another server with the same folder, waits for it
    and takes over when it is given up. Closing the generator stops it and leaves nothing behind.

    Args:
        model: The model, unhooked and unchanged.
        photos: The photos.
        layer: Name of a layer with a grid or one value per unit; empty for the penultimate features.
        fit: Squash whole photos to the model's input instead of cropping their centre.

    Yields:
        A step per batch; the last one has the index.

    Raises:
        InvalidInput: Not one photo of the set can be decoded.
        Declined: The layer has neither a grid nor one value per unit, values are not finite, or the memory is too small
            for a single photo.
    """
    key, store, lock = index_key(model, photos, layer, fit), default_store(), None
    try:
        while (arrays := store.load(key)) is None and (lock := store.lock(key)) is None:
            yield Indexing(0, len(photos), waiting=True)
            time.sleep(POLL)
        if arrays is None:
            arrays = store.load(key)  # finished by somebody else just before the lock was had
        if arrays is None:
            computing = _Computing(model, photos, layer, fit)
            yield from computing.run()
            arrays = computing.arrays()
            if computing.lasting:
                store.save(key, arrays)
    finally:
        if lock:
            lock.release()
    yield Indexing(len(photos), len(photos), index=_index(photos, arrays))


def index_photo(model: VisionModel, photo: PhotoInput) -> Index:
    """One photo as an index of its penultimate features, to be compared with that of a set; nothing is kept on disk.

    A photo of the set has the very bits that it has there.

    Raises:
        Declined: The features are not finite, or the memory is too small for a single photo.
    """
    network = _Network(model, "", 1)
    network.add(model.cropped(photo)[None])
    found = network.arrays()
    return Index([photo.name], [""], np.zeros(1, np.int32), found["values"], pixels=found["pixels"])


def index_key(model: VisionModel, photos: PhotoList, layer: str = "", fit: bool = False) -> dict[str, Any]:
    """Everything an index depends on, as JSON values: an index with another key is another index."""
    return {
        "index": VERSION,
        "model": {"name": model.name, "weights": model.weights, "origin": model.origin},
        "fingerprint": model.fingerprint,
        "preprocessing": dict(model.config),
        "layer": layer,
        "fit": fit,
        "photos": photos.identity,
        "max_pixels": settings().max_pixels,
        **conditions(model.device),
        "libraries": {"torch": torch.__version__, "timm": timm.__version__, "pillow": PIL.__version__},
    }


def _index(photos: PhotoList, arrays: Mapping[str, np.ndarray]) -> Index:
    """The index from its arrays; what was skipped is counted in the photo set too."""
    skipped = json.loads(str(arrays["skipped"]))
    for position, reason in skipped:
        photos.skip(position, reason)
    found = [photos[position] for position in arrays["positions"]]
    return Index(
        [photo.name for photo in found],
        [photo.label for photo in found],
        arrays["positions"],
        arrays["values"],
        arrays.get("cells"),
        (int(arrays["grid"][0]), int(arrays["grid"][1])),
        int(arrays["margin"]),
        {photos[position].name: reason for position, reason in skipped},
        arrays.get("pixels"),
    )


def reduced(crops: Tensor) -> Tensor:
    """Photos as the network sees them, uint8 [n, channels, height, width], with a longest side of 32 pixels at most.

    Each pixel is the mean of those it stands for. This is small enough to keep for every photo of a large set.
    """
    height, width = crops.shape[-2:]
    scale = min(1.0, SMALL_SIDE / max(height, width))
    size = max(1, round(height * scale)), max(1, round(width * scale))
    return F.adaptive_avg_pool2d(crops.float(), size).round().byte()


class _Computing:
    """One pass over the photos."""

    def __init__(self, model: VisionModel, photos: PhotoList, layer: str, fit: bool) -> None:
        self.model, self.photos, self.fit = model, photos, fit
        self.network = _Network(model, layer, len(photos))
        self.positions: list[int] = []
        self.skipped: list[tuple[int, str]] = []
        self.lasting = True  # False when a photo could not be read for a reason that may pass

    def run(self) -> Iterator[Indexing]:
        total = len(self.photos)
        with contextlib.closing(self._crops()) as crops:
            while batch := _take(crops, self.network.batch):
                self.positions += (position for position, _ in batch)
                self.network.add(torch.stack([crop for _, crop in batch]))
                yield Indexing(len(self.positions) + len(self.skipped), total)
        self.photos.require_some()

    def arrays(self) -> dict[str, np.ndarray]:
        """The index as it is kept."""
        skipped = np.array(json.dumps(self.skipped))
        return {**self.network.arrays(), "positions": np.array(self.positions, np.int32), "skipped": skipped}

    def _crops(self) -> Generator[tuple[int, Tensor], None, None]:
        """Position and pixels of each photo, in order, decoded ahead by a bounded number while the network works."""
        waiting: deque[tuple[int, Future[Tensor]]] = deque()
        rest = iter(range(len(self.photos)))
        with ThreadPoolExecutor(min(WORKERS, torch.get_num_threads() + 1), "timmscope-decode") as pool:
            try:
                while True:
                    for position in rest:
                        waiting.append((position, pool.submit(self._crop, position)))
                        if len(waiting) >= 2 * self.network.batch:
                            break
                    if not waiting:
                        return
                    position, future = waiting.popleft()
                    try:
                        crop = future.result()
                    except InvalidInput as error:
                        self._skip(position, error)
                    else:
                        yield position, crop
            finally:
                pool.shutdown(cancel_futures=True)

    def _crop(self, position: int) -> Tensor:
        photo = self.photos.photo(position)
        return self.model.cropped(PhotoInput(photo.picture, photo.name, self.fit))

    def _skip(self, position: int, error: InvalidInput) -> None:
        self.skipped.append((position, str(error)))
        self.photos.skip(position, str(error))
        # a system error such as a lost network folder has a number; a damaged file is damaged for good
        self.lasting &= getattr(error.__cause__, "errno", None) is None


class _Network:
    """What the network says of photos, in batches of one size: the last bits depend on it, but not on its other photos.

    Args:
        model: The model.
        layer: Name of the layer; empty for the penultimate features.
        most: Number of photos at most.

    Attributes:
        batch: Photos a forward pass; fewer once the memory was too small.
    """

    def __init__(self, model: VisionModel, layer: str, most: int) -> None:
        self.model, self.layer, self.most = model, layer, most
        self.batch = BATCH.get(model.device.type, BATCH["cpu"])
        self.reader = LayerReader(model, [layer], before_activation=True) if layer else None
        grid = model.layers[layer].grid if layer else None
        self.grid = (grid.height, grid.width) if grid else (1, 1) if layer else (0, 0)
        padded = grid is not None and not grid.tokens
        self.margin = 1 if padded and min(self.grid) >= SMALLEST_GRID else 0
        self.values = self.cells = self.small = np.empty(0)
        self.done = 0

    def add(self, pixels: Tensor) -> None:
        """Put photos through the network, uint8 [n, channels, height, width]; out of memory, fewer at a time."""
        if not self.layer:
            self.small = self._stored(self.small, reduced(pixels).numpy())
        first, last = self.done, self.done + len(pixels)
        while self.done < last:
            self._forward(pixels[self.done - first :][: self.batch])

    def arrays(self) -> dict[str, np.ndarray]:
        """Values, cells or reduced pixels, grid and margin, as they are kept."""
        arrays = {"values": self.values[: self.done], "grid": np.array(self.grid), "margin": np.array(self.margin)}
        return arrays | ({"cells": self.cells[: self.done]} if self.layer else {"pixels": self.small[: self.done]})

    def _forward(self, part: Tensor) -> None:
        full = torch.cat([part, part[-1:].expand(self.batch - len(part), *part.shape[1:])])
        try:
            with torch.no_grad():
                values, cells = self._measure(self.model.normalized(full))
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
        else:
            if not bool(values.isfinite().all()):
                which = "some of these photos" if self.most > 1 else "this photo"
                raise Declined(f"{self.model.name} gives values that are not finite for {which}.")
            self.values = self._stored(self.values, values[: len(part)].float().cpu().numpy())
            if cells is not None:
                self.cells = self._stored(self.cells, cells[: len(part)].cpu().numpy().astype(np.int16))
            self.done += len(part)
            return
        free_memory()
        if self.batch == 1:
            raise Declined(f"The memory is too small for {self.model.name}, even one photo at a time.")
        self.batch //= 2

    def _measure(self, inputs: Tensor) -> tuple[Tensor, Tensor | None]:
        if self.reader is None:
            return self.model.features(inputs), None
        grid = self.reader(inputs)[self.layer]
        margin = self.margin
        inner = grid[:, :, margin : grid.shape[2] - margin, margin : grid.shape[3] - margin]
        values, places = inner.flatten(2).max(2)
        columns = inner.shape[3]
        return values, torch.stack([places // columns, places % columns], 2) + margin

    def _stored(self, kept: np.ndarray, new: np.ndarray) -> np.ndarray:
        """The array kept with the new rows; it has room for all photos, and is what alone grows with their number."""
        if not len(kept):
            kept = np.empty((self.most, *new.shape[1:]), new.dtype)
        kept[self.done : self.done + len(new)] = new
        return kept


def _take(crops: Iterator[tuple[int, Tensor]], count: int) -> list[tuple[int, Tensor]]:
    return [item for _, item in zip(range(count), crops)]
