"""Outputs that are pictures: plain ones, heat maps and animations."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from ...pictures.values import Captioned, Drawn, Shown, plain
from .output import Output, Unfit, readable_text

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

    from ...pictures.panels import Panel

WALL = 5  # columns from which a gallery is a wall of small pictures


@dataclass(frozen=True)
class _Pictured(Output):
    """What is shown as pictures."""

    endings: ClassVar[tuple[str, ...]] = ("png",)
    pictures_first: ClassVar[bool] = True
    columns: ClassVar[int] = 1
    crisp: ClassVar[bool] = False

    def check(self, value: Any) -> None:
        super().check(value)
        for item in value.items if isinstance(value, Captioned) else [value]:
            if isinstance(item, Shown) and not isinstance(item.picture, Drawn):
                try:
                    Picture(self.name, self.label).check(item.picture)
                except Unfit as unfit:
                    raise Unfit(f": its picture{unfit}") from None

    def pictures(self, value: Any) -> list[tuple[Image.Image, str]]:
        import numpy as np
        from PIL import Image

        captioned = isinstance(value, Captioned)
        items, captions = (value.items, value.captions) if captioned else ([value], [self.label])
        return [(Image.fromarray(np.asarray(self._drawn(i))), caption) for i, caption in zip(items, captions)]

    def _drawn(self, item: Any) -> Any:
        """One picture, uint8 [height, width, 3 or 4]."""
        return plain(item.picture) if isinstance(item, Shown) else plain(item)

    def html(self, value: Any) -> str:
        from ...pictures import notebook

        return notebook.pictures(self.label, self.pictures(value), self.crisp)

    def panels(self, value: Any) -> list[Panel]:
        from ...pictures import panels

        step = self.columns if self.columns >= WALL else 1  # from there on a row of the page may mean something
        return panels.pictures(self.label, self.pictures(value), step)

    def readable(self, value: Any) -> Any:
        if isinstance(value, Captioned):
            value.captions = [readable_text(caption) for caption in value.captions]
        return value


@dataclass(frozen=True)
class _Colors(_Pictured):
    """Pictures in colours of their own: uint8, and from 0 to 1 as arrays."""

    def array(self, value: Any) -> np.ndarray | None:
        import numpy as np

        return self._raw(value).astype(np.float32) / 255

    def _fits(self, array: np.ndarray, value: Any) -> bool:
        item = array.shape[1:] if isinstance(value, Captioned) else array.shape
        return len(item) == 3 and item[2] in (3, 4) and array.dtype == "uint8"

    def blank(self, array: np.ndarray | None, empty: bool = False) -> str:
        import numpy as np

        wrong = super().blank(array)
        return wrong if wrong or array is None or np.ptp(array, axis=(-3, -2)).any() else "is blank"


@dataclass(frozen=True)
class Picture(_Colors):
    """One picture: a uint8 array [height, width, 3 or 4], or `Drawn`.

    Args:
        large: Meant to be zoomed into: the page shows a reduced copy that opens the whole picture.
    """

    large: bool = False
    shape: ClassVar[str] = "[height, width, 3 or 4], 0 to 1"


@dataclass(frozen=True)
class Gallery(_Colors):
    """Several pictures of one size with a caption each: `Captioned`, a uint8 array [n, height, width, 3].

    Args:
        columns: Pictures side by side on a wide page; from `WALL` on they are shown small and close together.
        selects: Name of a parameter. A click on a picture sets it to what the picture stands for (`Captioned.values`)
            and runs again.
        crisp: Pixels stay squares when the picture is enlarged, as for kernels and coarse maps.
    """

    columns: int = 2  # type: ignore[misc]
    selects: str = ""
    crisp: bool = False  # type: ignore[misc]
    several: ClassVar[bool] = True
    shape: ClassVar[str] = "[n, height, width, 3], 0 to 1"


@dataclass(frozen=True)
class Heatmap(_Pictured):
    """Raw values per pixel of the model's input: a float array [height, width].

    Args:
        colors: Matplotlib colour map of the picture.
        signed: Zero is fixed to the middle of the colour map, since the values go both ways.
    """

    colors: str = "gray"
    signed: bool = False
    shape: ClassVar[str] = "[height, width] of the model's input, raw"

    def _fits(self, array: np.ndarray, value: Any) -> bool:
        return len(array.shape[1:] if isinstance(value, Captioned) else array.shape) == 2

    def _drawn(self, item: Any) -> Any:
        from ...pictures import render

        return plain(item.picture) if isinstance(item, Shown) else render.colored(item, self.colors, self.signed)

    def blank(self, array: np.ndarray | None, empty: bool = False) -> str:
        import numpy as np

        wrong = super().blank(array)
        return wrong if wrong or empty or array is None or np.ptp(array, axis=(-2, -1)).any() else "is blank"


@dataclass(frozen=True)
class Heatmaps(Heatmap):
    """Several heat maps with a caption each: `Captioned`, a float array [n, height, width].

    Args:
        columns: As for `Gallery`; so are `selects` and `crisp`.
    """

    columns: int = 2  # type: ignore[misc]
    selects: str = ""
    crisp: bool = False  # type: ignore[misc]
    several: ClassVar[bool] = True
    shape: ClassVar[str] = "[n, height, width] of the model's input, raw"


@dataclass(frozen=True)
class LayerMaps(Heatmaps):
    """Several maps as a layer gives them, a value per cell: `Captioned`, a float array [n, rows, columns]."""

    shape: ClassVar[str] = "[n, rows, columns] of the layer, raw"


@dataclass(frozen=True)
class Animation(Output):
    """A short animation: a uint8 array [frames, height, width, 3]."""

    endings: ClassVar[tuple[str, ...]] = ("webp",)
    pictures_first: ClassVar[bool] = True
    shape: ClassVar[str] = "[frames, height, width, 3], 0 to 1"

    def array(self, value: Any) -> np.ndarray | None:
        import numpy as np

        return self._raw(value).astype(np.float32) / 255

    def _fits(self, array: np.ndarray, value: Any) -> bool:
        return array.ndim == 4 and array.shape[3] == 3 and array.dtype == "uint8"

    def files(self, value: Any) -> Iterator[tuple[str, bytes]]:
        from ...pictures import render

        yield "webp", render.animation(value)

    def html(self, value: Any) -> str:
        from ...pictures import notebook, render

        return notebook.figure(render.animation(value), "webp", self.label)

    def panels(self, value: Any) -> list[Panel]:
        from ...pictures import panels

        return panels.frames(self.label, value)

    def blank(self, array: np.ndarray | None, empty: bool = False) -> str:
        import numpy as np

        wrong = super().blank(array)
        return wrong if wrong or array is None or np.ptp(array, axis=(-3, -2)).any() else "is blank"
