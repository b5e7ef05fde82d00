"""What a technique returns: outputs by name, and values that carry captions, a picture, are drawn later, or absent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any


class Captioned:
    """n pictures or heat maps with a caption each.

    Args:
        items: n arrays of one shape, or pictures that are `Drawn`.
        captions: n texts, shown under the pictures.
        values: What each picture stands for, as the parameter that the port `selects` takes it; empty where a click
            on a picture sets nothing.
    """

    def __init__(self, items: Any, captions: Sequence[str], values: Sequence[Any] = ()) -> None:
        if len(items) != len(captions) or len(values) not in (0, len(items)):
            raise ValueError(f"{len(items)} pictures with {len(captions)} captions and {len(values)} values")
        self.items, self.captions, self.values = items, list(captions), list(values)


class Absent:
    """Stands for an output that there is not this time, where its port is `optional`. It is false.

    Args:
        why: A sentence for people: what there is not, and why.
    """

    def __init__(self, why: str) -> None:
        if not why:
            raise ValueError("what is absent needs a reason")
        self.why = why

    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> str:
        return f"Absent({self.why!r})"


class Drawn:
    """A picture that is drawn when it is first looked at, so that a preview nobody sees costs nothing.

    Args:
        draw: Returns the picture, uint8 [height, width, 3].
    """

    def __init__(self, draw: Callable[[], Any]) -> None:
        self._draw = draw

    @cached_property
    def array(self) -> Any:
        """The picture."""
        return self._draw()

    def __reduce__(self) -> tuple[Any, ...]:
        return _drawn, (self.array,)  # into another process goes the picture, not what draws it


def _drawn(array: Any) -> Drawn:
    return Drawn(lambda: array)


class Shown:
    """An array with a picture of its own, such as a heat map shown over the photo.

    Args:
        array: The raw values, as the port declares them.
        picture: What people see, uint8 [height, width, 3] or `Drawn`.
    """

    def __init__(self, array: Any, picture: Any) -> None:
        self.array, self.picture = array, picture


class Placed:
    """Photos as n points in a plane, y upwards.

    Args:
        positions: float array [n, 2]: x and y.
        names: Names of the photos.
        labels: Their labels; empty where unknown.
        pictures: Small copies of them, uint8 [n, side, side, 3].
    """

    def __init__(self, positions: Any, names: Sequence[str], labels: Sequence[str], pictures: Any) -> None:
        if not len(positions) == len(names) == len(labels) == len(pictures):
            raise ValueError(
                f"{len(positions)} points with {len(names)} names, {len(labels)} labels and {len(pictures)} pictures"
            )
        self.positions, self.names, self.labels, self.pictures = positions, list(names), list(labels), pictures

    def records(self) -> list[dict[str, Any]]:
        """The points as JSON values: x, y, label and name of each."""
        return [
            {"x": float(x), "y": float(y), "label": label, "name": name}
            for (x, y), label, name in zip(self.positions, self.labels, self.names)
        ]


def plain(value: Any) -> Any:
    """The array behind a value that is drawn later, has a picture of its own, captions, or places."""
    if isinstance(value, Placed):
        return value.positions
    if isinstance(value, Captioned):
        return [plain(item) for item in value.items]
    return value.array if isinstance(value, (Drawn, Shown)) else value


class Outputs(dict[str, Any]):
    """What a technique returns or yields: a value for each output port, by name.

    A technique that streams yields one after each step; the last is the result. `at` says how far it is.
    """

    done: int = 0
    total: int = 0
    notes: tuple[str, ...] = ()

    def at(self, done: int, total: int) -> Outputs:
        """State progress: `done` of `total` steps. Returns itself."""
        self.done, self.total = done, total
        return self

    def note(self, *notes: str) -> Outputs:
        """Add sentences that the result shows beside the pictures. Returns itself."""
        self.notes += tuple(note for note in notes if note)
        return self
