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
from ..declare.ports import Output, Unfit
from ..declare.technique import Technique
from ..photos.decoding import PhotoInput
from ..pictures.values import Absent, Captioned, Drawn, Outputs

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
        """Raw values by output name, float32 [...] as each port says: heat maps as computed, pictures from 0 to 1."""
        found = {port.name: port.array(self.outputs[port.name]) for port in self.present}
        return {name: array for name, array in found.items() if array is not None}

    @cached_property
    def pictures(self) -> dict[str, list[tuple[Image.Image, str]]]:
        """Pictures and captions by output name."""
        found = {port.name: port.pictures(self.outputs[port.name]) for port in self.present}
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
        """Write pictures as PNG, points as JSON, files as they are, and `arrays.npz` and `recipe.json`.

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
            try:
                declared[name].check(value)
            except Unfit as unfit:
                raise BrokenOutput(f"{who}: output {name}{unfit}") from unfit.__cause__


def make_readable(technique: Technique, outputs: Outputs) -> None:
    """Make every text of outputs that are checked `readable`, in place: a technique may have it from anywhere."""
    for port in technique.outputs:
        value: Any = outputs.get(port.name)
        if isinstance(value, Absent):
            value.why = readable(str(value.why), lines=True)
        elif port.name in outputs:
            outputs[port.name] = port.readable(value)
    outputs.notes = tuple(readable(str(note), lines=True) for note in outputs.notes)
