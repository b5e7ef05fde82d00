"""Inputs that are photos: one, a set, files that are brought along, and a place on a photo."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from ...base.errors import InvalidInput
from ...photos.decoding import EXPECTED as PHOTO_EXPECTED
from ...photos.sets import PhotoList
from .base import Call, Input, Known
from .words import Text

SAMPLE = "sample:"


@dataclass(frozen=True)
class Photo(Input):
    """A photo.

    Args:
        seen: The technique works on the crop the network sees, which gives it a `fit` switch.
        sample: Name of the sample photo that the page starts with; only for photos beside the first one.
    """

    seen: bool = True
    sample: str = ""
    accepts: ClassVar[str] = PHOTO_EXPECTED

    @property
    def companion(self) -> str:  # type: ignore[override]
        """A photo that is cropped can be squashed instead."""
        return "fit" if self.seen else ""

    @property
    def metavar(self) -> str:
        return "PHOTO"

    def check(self, name: str, value: Any) -> Any:
        """As it came: an array is a photo, not a list of numbers."""
        return value

    def prepare(self, name: str, value: Any, given: Mapping[str, Any], known: Known) -> Any:
        return replace(known.photo(name, value), fit=given.get("fit", False))

    def completions(self, known: Known) -> list[str]:
        return [SAMPLE + sample for sample in known.names("samples")]

    def bad_values(self) -> list[Any]:
        return [None, b"no photo"]


@dataclass(frozen=True)
class Photos(Text):
    """A photo set by name. The technique receives it listed, and gets a parameter `files` to bring photos instead."""

    types: ClassVar[tuple[type, ...]] = (PhotoList,)
    accepts: ClassVar[str] = "the name of a photo set, such as embedded, folder:NAME or hub:owner/name"

    companion: ClassVar[str] = "files"

    def prepare(self, name: str, value: Any, given: Mapping[str, Any], known: Known) -> Any:
        return known.photo_set(name, value, given["files"])

    def completions(self, known: Known) -> list[str]:
        return known.names("photo sets")


@dataclass(frozen=True)
class Files(Input):
    """Photos that are brought along: files, or one zip of them; empty for none."""

    accepts: ClassVar[str] = "a list of photos and zips of photos: uploaded files, or data: URLs"

    def check(self, name: str, value: Any) -> list[Any]:
        """The photos as a list. A single one may be an array, so that none is taken apart here."""
        if value is None:
            return []
        several = isinstance(value, (list, tuple, Iterator)) or getattr(value, "ndim", 0) in (1, 4)
        return list(value) if several else [value]

    @property
    def metavar(self) -> str:
        return "PHOTO|ZIP"

    @property
    def several(self) -> bool:
        return True

    def parse(self, text: Any) -> Any:
        return [part.strip() for part in text if part]


@dataclass(frozen=True)
class Point(Input):
    """A place on the photo. The technique receives (row, column) as shares of its height and width, or None.

    Args:
        photo: Name of the parameter that has the photo: on the page a click on it chooses the place.
    """

    photo: str = "image"
    types: ClassVar = (tuple,)
    accepts: ClassVar[str] = "row and column as shares of the photo's height and width, such as '0.25, 0.5', or empty"

    def _check(self, name: str, value: Any) -> str:
        parts = value if isinstance(value, list) else value.split(",") if isinstance(value, str) else []
        if value in (None, "") or (isinstance(value, str) and not value.strip()):
            return ""
        try:
            row, column = (float(part) for part in parts if not isinstance(part, bool))
        except (TypeError, ValueError):
            raise InvalidInput(name, value, self.accepts) from None
        if not (0 <= row <= 1 and 0 <= column <= 1):  # NaN is neither
            raise InvalidInput(name, value, self.accepts)
        return f"{row:.4g}, {column:.4g}"

    @property
    def metavar(self) -> str:
        return "ROW,COLUMN"

    def resolve(self, name: str, value: Any, call: Call) -> Any:
        return tuple(float(part) for part in value.split(",")) if value else None

    def bad_values(self) -> list[Any]:
        return ["3", "a, b", "0.5, 1.5", [0.5], True]
