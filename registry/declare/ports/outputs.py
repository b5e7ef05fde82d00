"""Output ports: what a technique returns."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

WALL = 5  # columns from which a gallery is a wall of small pictures


@dataclass(frozen=True)
class Output:
    """Base of output ports: `name` is the key in results and archives.

    Args:
        optional: The technique may return `Absent` instead; the arrays have no such key then.
    """

    name: str
    label: str
    optional: bool = field(default=False, kw_only=True)
    shape: ClassVar[str] = ""

    @property
    def gives(self) -> str:
        """What its array is, as a phrase for documentation."""
        return f"{self.shape}{', where there is one' if self.optional else ''}"


@dataclass(frozen=True)
class Picture(Output):
    """One picture: a uint8 array [height, width, 3 or 4], or `Drawn`.

    Args:
        large: Meant to be zoomed into: the page shows a reduced copy that opens the whole picture.
    """

    large: bool = False
    shape: ClassVar[str] = "[height, width, 3 or 4], 0 to 1"


@dataclass(frozen=True)
class Gallery(Output):
    """Several pictures of one size with a caption each: `Captioned`, a uint8 array [n, height, width, 3].

    Args:
        columns: Pictures side by side on a wide page; from `WALL` on they are shown small and close together.
        selects: Name of a parameter. A click on a picture sets it to what the picture stands for (`Captioned.values`)
            and runs again.
        crisp: Pixels stay squares when the picture is enlarged, as for kernels and coarse maps.
    """

    columns: int = 2
    selects: str = ""
    crisp: bool = False
    shape: ClassVar[str] = "[n, height, width, 3], 0 to 1"


@dataclass(frozen=True)
class Heatmap(Output):
    """Raw values a pixel of the model's input: a float array [height, width].

    Args:
        colors: Matplotlib colour map of the picture.
        signed: Zero is fixed to the middle of the colour map, since the values go both ways.
    """

    colors: str = "gray"
    signed: bool = False
    shape: ClassVar[str] = "[height, width] of the model's input, raw"


@dataclass(frozen=True)
class Heatmaps(Heatmap):
    """Several heat maps with a caption each: `Captioned`, a float array [n, height, width].

    Args:
        columns: As for `Gallery`; so are `selects` and `crisp`.
    """

    columns: int = 2
    selects: str = ""
    crisp: bool = False
    shape: ClassVar[str] = "[n, height, width] of the model's input, raw"


@dataclass(frozen=True)
class LayerMaps(Heatmaps):
    """Several maps as a layer gives them, a value a cell: `Captioned`, a float array [n, rows, columns]."""

    shape: ClassVar[str] = "[n, rows, columns] of the layer, raw"


@dataclass(frozen=True)
class Points(Output):
    """Photos as points in a plane, which show the photo when they are pointed at: a `Placed`."""

    shape: ClassVar[str] = "[n, 2], x and y"


@dataclass(frozen=True)
class Scores(Output):
    """The model's opinion: a `ClassScores` with a probability a class."""

    shape: ClassVar[str] = "[classes], probabilities"


@dataclass(frozen=True)
class Table(Output):
    """Rows of a first column of text and further columns of numbers: a list of lists.

    None stands for a number that there is not; it is NaN in the array.

    Args:
        columns: Titles of the columns.
    """

    columns: tuple[str, ...] = ()
    shape: ClassVar[str] = "[rows, columns of numbers]"


@dataclass(frozen=True)
class Curves(Output):
    """Values a step: a dict of name to a list of numbers, all of one length."""

    shape: ClassVar[str] = "[curves, steps]"


@dataclass(frozen=True)
class Animation(Output):
    """A short film: a uint8 array [frames, height, width, 3]."""

    shape: ClassVar[str] = "[frames, height, width, 3], 0 to 1"
