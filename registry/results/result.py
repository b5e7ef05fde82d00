"""Results: the outputs of a run as pictures, raw arrays and a recipe."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from ..base.errors import TimmscopeError
from ..base.names import readable
from ..declare.ports import Animation, Curves, Gallery, Heatmap, Output, Picture, Points, Scores, Table
from ..declare.technique import Technique
from ..photos.decoding import PhotoInput
from ..pictures import render
from ..pictures.values import Absent, Captioned, Drawn, Outputs, Placed, Shown, plain
from ..vision.vision_model import ClassScores

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class BrokenOutput(TimmscopeError):
    """A technique returned something other than it declared."""


@dataclass(eq=False)
class Preview:
    """What a run has so far.

    Args:
        technique: The technique.
        outputs: Values by output name; some may be missing.
        done: Steps done.
        total: Steps in all; 0 when unknown.
    """

    technique: Technique
    outputs: Outputs
    done: int
    total: int


@dataclass(eq=False)
class Result:
    """The result of a run.

    Args:
        technique: The technique.
        outputs: Values by output name, as the technique returned them.
        recipe: Everything that reproduces the run; JSON values only.
        notes: Sentences to show beside the pictures.
        photos: The photos it was made of, by parameter.
    """

    technique: Technique
    outputs: Outputs
    recipe: dict[str, Any]
    notes: Sequence[str] = field(default_factory=tuple)
    photos: Mapping[str, PhotoInput] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Any:
        return self.outputs[name]

    @property
    def present(self) -> list[Output]:
        """The outputs that there are, in the order of the API: all but those that are `Absent`."""
        return [port for port in self.technique.outputs if not isinstance(self.outputs[port.name], Absent)]

    @cached_property
    def arrays(self) -> dict[str, np.ndarray]:
        """Raw values by output name, float32: heat maps as computed, pictures from 0 to 1, scores a class."""
        return {port.name: to_array(port, self.outputs[port.name]) for port in self.present}

    @cached_property
    def pictures(self) -> dict[str, list[tuple[Image.Image, str]]]:
        """Pictures and captions by output name."""
        found = {port.name: render.pictures(port, self.outputs[port.name]) for port in self.present}
        return {name: pictures for name, pictures in found.items() if pictures}

    def npz(self) -> bytes:
        """The raw arrays as a `.npz` archive, uncompressed for speed."""
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:  # as numpy.savez, which takes no array called "file"
            for name, array in self.arrays.items():
                with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                    np.lib.format.write_array(file, array, allow_pickle=False)
        return buffer.getvalue()

    def save(self, folder: str | Path) -> list[Path]:
        """Write every picture as PNG, points as JSON, the arrays as `arrays.npz` and the recipe as `recipe.json`.

        Photos that are no samples are written too, without loss, so that the recipe can be run again as it lies there.
        A former result in the folder is replaced whole, whatever it was of; other files of yours stay. A hidden
        `.timmscope.json` lists what was written, so that the next result can take its place.

        Args:
            folder: Where to; made if missing.

        Returns:
            The files written.

        Raises:
            FolderTaken: The folder has files of such names that no former result has written.
        """
        from . import saving

        return saving.save(self, Path(folder))

    def figure(self) -> Figure:
        """Everything in one matplotlib figure: pictures, scores, curves and tables under the title of the technique."""
        from . import display

        return display.figure(self)

    def _repr_html_(self) -> str:
        from . import display

        return display.page(self)


def to_array(port: Output, value: Any) -> np.ndarray:
    """The raw array of one output, float32; an empty cell of a table is NaN."""
    if isinstance(value, ClassScores):
        return np.asarray(value.values, dtype=np.float32)
    if isinstance(port, Table):
        return np.array([row[1:] for row in value], dtype=np.float32)
    if isinstance(port, Curves):
        return np.array(list(value.values()), dtype=np.float32)
    array = np.asarray(plain(value))
    return array.astype(np.float32) / (255 if isinstance(port, (Picture, Gallery, Animation)) else 1)


def check_outputs(technique: Technique, outputs: Any, complete: bool) -> None:
    """Hold what a technique returned against its declaration.

    Args:
        technique: The technique.
        outputs: What it returned or yielded.
        complete: Whether every output must be there; previews may leave some out.

    Raises:
        BrokenOutput: Wrong type, a missing or undeclared output, a wrong shape, or values that are not finite.
    """
    who = f"technique {technique.name} (plugin {technique.plugin or '?'})"
    if not isinstance(outputs, Outputs):
        raise BrokenOutput(f"{who} returned {type(outputs).__name__}, expected Outputs.")
    declared = {port.name: port for port in technique.outputs}
    if unknown := set(outputs) - set(declared):
        raise BrokenOutput(f"{who} returned {', '.join(sorted(unknown))}, which it does not declare.")
    if complete and (missing := set(declared) - set(outputs)):
        raise BrokenOutput(f"{who} did not return {', '.join(sorted(missing))}.")
    for name, value in outputs.items():
        if isinstance(value, Absent):
            if not declared[name].optional:
                line = f"write  {type(declared[name]).__name__}({name!r}, ..., optional=True)"
                raise BrokenOutput(f"{who}: output {name} is absent and not declared as optional; {line}.")
            continue
        first = value.items[0] if isinstance(value, Captioned) and len(value.items) else value
        if complete or not isinstance(first, Drawn):  # drawing a preview nobody may see would be wasted
            _check_value(f"{who}: output {name}", declared[name], value)


def make_readable(technique: Technique, outputs: Outputs) -> None:
    """Make every text of outputs that are checked `readable`, in place: a technique may have it from anywhere."""
    for port in technique.outputs:
        value: Any = outputs.get(port.name)
        if isinstance(value, Absent):
            value.why = _readable(value.why)
        elif isinstance(value, Captioned):
            value.captions = [_readable(caption) for caption in value.captions]
        elif isinstance(value, Placed):
            value.names, value.labels = ([_readable(text) for text in texts] for texts in (value.names, value.labels))
        elif isinstance(port, Table) and port.name in outputs:
            outputs[port.name] = [[_readable(cell) for cell in row] for row in value]
        elif isinstance(port, Curves) and port.name in outputs:
            outputs[port.name] = {_readable(name): numbers for name, numbers in value.items()}
    outputs.notes = tuple(_readable(note) for note in outputs.notes)


def _readable(text: Any) -> Any:
    return readable(text, lines=True) if isinstance(text, str) else text


def _check_value(what: str, port: Output, value: Any) -> None:
    if isinstance(port, Scores):
        if not isinstance(value, ClassScores):
            raise BrokenOutput(f"{what} is {type(value).__name__}, expected ClassScores.")
        array, fits = value.values, value.values.ndim == 1
    elif isinstance(port, (Table, Curves)):
        try:
            array = to_array(port, _filled(value) if isinstance(port, Table) else value)
        except Exception as error:
            raise BrokenOutput(f"{what} is not {port.shape}: {error}.") from error
        fits = array.ndim == 2
    elif isinstance(port, Points):
        if not isinstance(value, Placed):
            raise BrokenOutput(f"{what} is {type(value).__name__}, expected Placed.")
        array = np.asarray(value.positions)
        fits = array.ndim == 2 and array.shape[1] == 2
    elif isinstance(port, Animation):
        array = np.asarray(value)
        fits = array.ndim == 4 and array.shape[3] == 3 and array.dtype == np.uint8
    else:
        several = isinstance(value, Captioned)
        array = np.asarray(plain(value))
        item = array.shape[1:] if several else array.shape
        if isinstance(port, Heatmap):
            fits = len(item) == 2
        else:
            fits = len(item) == 3 and item[2] in (3, 4) and array.dtype == np.uint8
    if not fits or 0 in array.shape or array.dtype.kind not in "buif":
        raise BrokenOutput(f"{what} has shape {array.shape} and type {array.dtype}, expected {port.shape}.")
    if not np.isfinite(array).all():
        raise BrokenOutput(f"{what} has values that are not finite.")
    for item in value.items if isinstance(value, Captioned) else [value]:
        if isinstance(item, Shown) and not isinstance(item.picture, Drawn):
            _check_value(f"{what}: its picture", Picture(port.name, port.label), item.picture)


def _filled(rows: Any) -> list[list[Any]]:
    """The rows of a table without empty cells: those may be there, and other values that are not finite may not."""
    return [[name, *(0 if cell is None else cell for cell in cells)] for name, *cells in rows]
