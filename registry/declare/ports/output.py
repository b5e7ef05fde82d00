"""The base of output ports: what a technique returns, and what a kind of output does on every face but the page.

A kind says what its values must be, its raw array, its pictures and files, and how notebooks and figures show it. Its
component on the web is in `registry/web/outputs.py`. Nothing heavy is imported before a value is there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from ...base.names import readable
from ...pictures.values import plain

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

    from ...pictures.panels import Panel


class Unfit(Exception):
    """A value that is none of its port; the text goes on after the name of the output."""


@dataclass(frozen=True)
class Output:
    """Base of output ports: `name` is the key in results and archives.

    Args:
        label: What people read.
        optional: The technique may return `Absent` instead; the arrays have no such key then.
    """

    name: str
    label: str
    optional: bool = field(default=False, kw_only=True)
    shape: ClassVar[str] = ""  # of its array; empty where it has none
    pictures_first: ClassVar[bool] = False  # pictures stand large on the page, before what is none
    several: ClassVar[bool] = False  # its files on disk may be numbered
    endings: ClassVar[tuple[str, ...]] = ()  # of its files on disk

    @property
    def gives(self) -> str:
        """What its array is, as a phrase for documentation."""
        return f"{self.shape}{', where there is one' if self.optional else ''}"

    def check(self, value: Any) -> None:
        """Hold a value against the port.

        Raises:
            Unfit: It is of another type or shape, or has values that are not finite.
        """
        import numpy as np

        array = self._raw(value)
        if not self._fits(array, value) or 0 in array.shape or array.dtype.kind not in "buif":
            raise Unfit(f" has shape {array.shape} and type {array.dtype}, expected {self.shape}.")
        if not np.isfinite(array).all():
            raise Unfit(" has values that are not finite.")

    def array(self, value: Any) -> np.ndarray | None:
        """The raw array of a value, float32 [...] as `shape` says; None for a kind that has none."""
        import numpy as np

        return self._raw(value).astype(np.float32)

    def _raw(self, value: Any) -> np.ndarray:
        """A value as an array, as it was returned."""
        import numpy as np

        return np.asarray(plain(value))

    def _fits(self, array: np.ndarray, value: Any) -> bool:
        """Whether the array has the shape and type of the port."""
        raise NotImplementedError(f"{type(self).__name__} does not say which arrays it takes")

    def pictures(self, value: Any) -> list[tuple[Image.Image, str]]:
        """Its pictures with their captions; none for a kind that is no picture."""
        return []

    def files(self, value: Any) -> Iterator[tuple[str, bytes]]:
        """What a folder gets beside pictures and arrays: endings of file names, and contents."""
        yield from ()

    def html(self, value: Any) -> str:
        """A value in a notebook."""
        raise NotImplementedError(f"{type(self).__name__} does not say how a notebook shows it")

    def panels(self, value: Any) -> list[Panel]:
        """A value in a figure."""
        raise NotImplementedError(f"{type(self).__name__} does not say how a figure shows it")

    def readable(self, value: Any) -> Any:
        """The value with every text in it made `readable`: a technique may have it from anywhere."""
        return value

    def blank(self, array: np.ndarray | None, empty: bool = False) -> str:
        """What is wrong with an array that shows nothing, as the end of a sentence; empty where nothing is.

        Args:
            array: From `array`, [...] as `shape` says.
            empty: A note says that a map is empty by the mathematics of the technique.
        """
        import numpy as np

        return "is not finite" if array is not None and not np.isfinite(array).all() else ""


def readable_text(text: Any) -> Any:
    """A text made `readable`; anything else as it is."""
    return readable(text, lines=True) if isinstance(text, str) else text
