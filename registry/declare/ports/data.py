"""Outputs that are no pictures: points, scores, tables, curves and files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from ...pictures.values import Placed
from .output import Output, Unfit, readable_text

if TYPE_CHECKING:
    import numpy as np

    from ...pictures.panels import Panel


@dataclass(frozen=True)
class Points(Output):
    """Photos as points in a plane, which show the photo when they are pointed at: a `Placed`."""

    shape: ClassVar[str] = "[n, 2], x and y"
    endings: ClassVar[tuple[str, ...]] = ("json",)

    def _raw(self, value: Any) -> np.ndarray:
        if not isinstance(value, Placed):
            raise Unfit(f" is {type(value).__name__}, expected Placed.")
        return super()._raw(value)

    def _fits(self, array: np.ndarray, value: Any) -> bool:
        return array.ndim == 2 and array.shape[1] == 2

    def files(self, value: Any) -> Iterator[tuple[str, bytes]]:
        import json

        yield "json", (json.dumps(value.records(), indent=1, ensure_ascii=False) + "\n").encode()

    def html(self, value: Any) -> str:
        from ...pictures import notebook, panels

        return notebook.drawn(self.label, lambda ax: panels.points(self.label, value, ax))

    def panels(self, value: Any) -> list[Panel]:
        from ...pictures import panels

        return [panels.Panel(lambda ax: panels.points(self.label, value, ax))]

    def readable(self, value: Any) -> Any:
        value.names, value.labels = ([readable_text(text) for text in texts] for texts in (value.names, value.labels))
        return value


@dataclass(frozen=True)
class Scores(Output):
    """The model's opinion: a `ClassScores` with a probability per class."""

    shape: ClassVar[str] = "[classes], probabilities"

    def _raw(self, value: Any) -> np.ndarray:
        import numpy as np

        from ...vision.explained import ClassScores

        if not isinstance(value, ClassScores):
            raise Unfit(f" is {type(value).__name__}, expected ClassScores.")
        return np.asarray(value.values)

    def _fits(self, array: np.ndarray, value: Any) -> bool:
        return array.ndim == 1

    def html(self, value: Any) -> str:
        from ...pictures import notebook

        rows = [(name, f"{score:.1%}") for name, score in value.top().items()]
        return notebook.table(self.label, ("Class", "Probability"), rows)

    def panels(self, value: Any) -> list[Panel]:
        from ...pictures import panels

        return [panels.Panel(lambda ax: panels.bars(self.label, value.top(), ax))]


@dataclass(frozen=True)
class Table(Output):
    """Rows of a first column of text and further columns of numbers: a list of lists.

    None stands for a number that there is not; it is NaN in the array.

    Args:
        columns: Titles of the columns.
    """

    columns: tuple[str, ...] = ()
    shape: ClassVar[str] = "[rows, columns of numbers]"

    def check(self, value: Any) -> None:
        super().check(_filled(self, value))

    def _raw(self, value: Any) -> np.ndarray:
        import numpy as np

        try:
            return np.array([row[1:] for row in value], dtype=np.float32)
        except Exception as error:
            raise Unfit(f" is not {self.shape}: {error}.") from error

    def _fits(self, array: np.ndarray, value: Any) -> bool:
        return array.ndim == 2

    def html(self, value: Any) -> str:
        from ...pictures import notebook

        return notebook.table(self.label, self.columns, value)

    def panels(self, value: Any) -> list[Panel]:
        from ...pictures import panels

        return [panels.table(self.label, self.columns, value)]

    def readable(self, value: Any) -> Any:
        return [[readable_text(cell) for cell in row] for row in value]

    def blank(self, array: np.ndarray | None, empty: bool = False) -> str:
        return ""  # an empty cell is NaN


@dataclass(frozen=True)
class Curves(Output):
    """Values per step: a dict of name to a list of numbers, all of one length."""

    shape: ClassVar[str] = "[curves, steps]"

    def _raw(self, value: Any) -> np.ndarray:
        import numpy as np

        try:
            return np.array(list(value.values()), dtype=np.float32)
        except Exception as error:
            raise Unfit(f" is not {self.shape}: {error}.") from error

    def _fits(self, array: np.ndarray, value: Any) -> bool:
        return array.ndim == 2

    def html(self, value: Any) -> str:
        from ...pictures import notebook, panels

        return notebook.drawn(self.label, lambda ax: panels.curves(self.label, value, ax))

    def panels(self, value: Any) -> list[Panel]:
        from ...pictures import panels

        return [panels.Panel(lambda ax: panels.curves(self.label, value, ax))]

    def readable(self, value: Any) -> Any:
        return {readable_text(name): numbers for name, numbers in value.items()}


@dataclass(frozen=True)
class File(Output):
    """Something made for download, such as a network: bytes. It has no array.

    Args:
        ending: Of the file's name, without the dot.
    """

    ending: str = "bin"

    @property
    def endings(self) -> tuple[str, ...]:  # type: ignore[override]
        """That of its file."""
        return (self.ending,)

    @property
    def file_name(self) -> str:
        """Name of the file."""
        return f"{self.name}.{self.ending}"

    def check(self, value: Any) -> None:
        if not isinstance(value, bytes) or not value:
            raise Unfit(f" is {'empty' if value == b'' else type(value).__name__}, expected bytes.")

    def array(self, value: Any) -> None:
        return None

    def files(self, value: Any) -> Iterator[tuple[str, bytes]]:
        yield self.ending, value

    def html(self, value: Any) -> str:
        from ...pictures import notebook

        return notebook.download(self.label, self.file_name, value)

    def panels(self, value: Any) -> list[Panel]:
        from ...pictures import panels

        text = f"{self.file_name}, {len(value):,} bytes"
        return [panels.Panel(lambda ax: panels.sentence(self.label, text, ax))]


def _filled(port: Table, rows: Sequence[Any]) -> Any:
    """The rows of a table without empty cells: those may be there, and other values that are not finite may not."""
    try:
        return [[name, *(0 if cell is None else cell for cell in cells)] for name, *cells in rows]
    except Exception as error:
        raise Unfit(f" is not {port.shape}: {error}.") from error
