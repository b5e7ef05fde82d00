"""Input ports: what a technique is given.

`check` accepts or refuses a plain value; ports whose meaning depends on the model or the photo (`Target`,
`Layer`, ...) are resolved by the runner.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from ...base.errors import InvalidInput, did_you_mean
from ...photos.decoding import EXPECTED as PHOTO_EXPECTED
from ...photos.sets import PhotoList
from .plain import plain

TEXT_LENGTH = 200  # longest name or label a text parameter accepts, in characters


@dataclass(frozen=True)
class Input:
    """Base of input ports. `types` are the annotations the port goes with."""

    label: str
    types: ClassVar[tuple[type, ...]] = ()

    def check(self, name: str, value: Any) -> Any:
        """Return `value` in its canonical form, which is plain JSON.

        Args:
            name: The parameter.
            value: Python's own or another library's, such as numpy's: what counts is its meaning.

        Raises:
            InvalidInput: The port does not accept it.
        """
        return self._check(name, plain(value))

    def _check(self, name: str, value: Any) -> Any:
        """As `check`, for a `plain` value."""
        return value

    @property
    def accepts(self) -> str:
        """What the port accepts, as a phrase for documentation and schemas."""
        return ""


@dataclass(frozen=True)
class Number(Input):
    """A number between `minimum` and `maximum`, both included; whole when the annotation is `int`."""

    minimum: float
    maximum: float
    step: float = 0
    whole: bool = False  # set by the declaration from the annotation
    types: ClassVar = (int, float)

    def _check(self, name: str, value: Any) -> int | float:
        number = isinstance(value, (int, float)) and not isinstance(value, bool)  # NaN fails the bounds
        if not number or not self.minimum <= value <= self.maximum or (self.whole and value != int(value)):
            raise InvalidInput(name, value, self.accepts)
        if self.step and not self.whole:
            steps = (value - self.minimum) / self.step
            if abs(steps - round(steps)) > 1e-6:
                raise InvalidInput(name, value, self.accepts)
        return int(value) if self.whole else float(value)

    @property
    def accepts(self) -> str:
        kind = "a whole number" if self.whole else "a number"
        steps = f" in steps of {self.step:g}" if self.step and not self.whole else ""
        low, high = (str(int(x)) if self.whole else f"{x:g}" for x in (self.minimum, self.maximum))
        return f"{kind} from {low} to {high}{steps}"


@dataclass(frozen=True)
class Choice(Input):
    """One of a few fixed words."""

    choices: tuple[str, ...]
    types: ClassVar = (str,)

    def _check(self, name: str, value: Any) -> str:
        if not isinstance(value, str) or value not in self.choices:
            remedy = did_you_mean(value, self.choices) if isinstance(value, str) else ""
            raise InvalidInput(name, value, self.accepts, remedy)
        return value

    @property
    def accepts(self) -> str:
        return "one of " + ", ".join(self.choices)


@dataclass(frozen=True)
class Switch(Input):
    """True or false."""

    types: ClassVar = (bool,)
    accepts: ClassVar[str] = "true or false"

    def _check(self, name: str, value: Any) -> bool:
        if not isinstance(value, bool):
            raise InvalidInput(name, value, self.accepts)
        return value


@dataclass(frozen=True)
class Text(Input):
    """One line of text; the base of ports that name something."""

    types: ClassVar[tuple[type, ...]] = (str,)
    accepts: ClassVar[str] = f"text of at most {TEXT_LENGTH} characters"

    def _check(self, name: str, value: Any) -> str:
        if not isinstance(value, str) or len(value) > TEXT_LENGTH:
            raise InvalidInput(name, value, self.accepts)
        return value.strip()


@dataclass(frozen=True)
class ModelName(Text):
    """The name of a vision model: a timm architecture, a pretrained tag, or a model of a plugin."""

    accepts: ClassVar[str] = "the name of a timm model, such as resnet50.a1_in1k"


@dataclass(frozen=True)
class ModelNames(Text):
    """Several models, as a list or as text separated by semicolons. The technique receives names, maybe none."""

    limit: int = 4
    types: ClassVar = (Sequence, list)

    def _check(self, name: str, value: Any) -> list[str]:  # type: ignore[override]
        return [super(ModelNames, self)._check(name, item) for item in _several(self, name, value, self.limit)]

    @property
    def accepts(self) -> str:  # type: ignore[override]
        return f"at most {self.limit} names of timm models, separated by semicolons; may be empty"


@dataclass(frozen=True)
class Target(Text):
    """The class whose score is explained. The technique receives an index, or None for the top prediction."""

    types: ClassVar[tuple[type, ...]] = (int,)
    accepts: ClassVar[str] = "a class index or a label, such as 281 or 'tabby'; empty for the top prediction"

    def _check(self, name: str, value: Any) -> str:
        if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63:
            return str(value)
        return super()._check(name, "" if value is None else value)


@dataclass(frozen=True)
class Targets(Target):
    """Several classes, as a list or as text separated by semicolons. The technique receives indices."""

    limit: int = 6
    types: ClassVar = (Sequence, list)

    def _check(self, name: str, value: Any) -> list[str]:  # type: ignore[override]
        return [super(Targets, self)._check(name, item) for item in _several(self, name, value, self.limit)]

    @property
    def accepts(self) -> str:  # type: ignore[override]
        return (
            f"at most {self.limit} class indices or labels, separated by semicolons, such as 'tabby; 285'; "
            "empty for the top prediction"
        )


@dataclass(frozen=True)
class Layer(Text):
    """A layer of the model. The technique receives its name; empty stays empty where `optional`."""

    optional: bool = False
    accepts: ClassVar[str] = "the name of a layer of the model, such as blocks.3; empty for a sensible default"


@dataclass(frozen=True)
class Layers(Text):
    """Several layers, as a list or as text separated by semicolons. The technique receives names, maybe none."""

    limit: int = 8
    types: ClassVar = (Sequence, list)

    def _check(self, name: str, value: Any) -> list[str]:  # type: ignore[override]
        return [super(Layers, self)._check(name, item) for item in _several(self, name, value, self.limit)]

    @property
    def accepts(self) -> str:  # type: ignore[override]
        return f"at most {self.limit} names of layers, separated by semicolons; empty for a sensible default"


@dataclass(frozen=True)
class Choices(Input):
    """Any of a few fixed words, as a list or as text separated by semicolons."""

    choices: tuple[str, ...]
    types: ClassVar = (Sequence, list)

    def _check(self, name: str, value: Any) -> list[str]:
        words = _several(self, name, value, len(self.choices))
        return [Choice(self.label, self.choices).check(name, word) for word in words]

    @property
    def accepts(self) -> str:
        return f"any of {', '.join(self.choices)}, separated by semicolons"


def _several(port: Input, name: str, value: Any, limit: int) -> list[Any]:
    """The items of a list, of text separated by semicolons, or of a single number."""
    if isinstance(value, str) or value is None:
        text = Text("").check(name, value or "")
        return _several(port, name, [part.strip() for part in text.split(";") if part.strip()], limit)
    if isinstance(value, int) and not isinstance(value, bool):
        return [value]
    if not isinstance(value, list) or len(value) > limit:
        raise InvalidInput(name, value, port.accepts)
    return value


@dataclass(frozen=True)
class Unit(Input):
    """A channel of the layer, by index; -1 stands for the one the photo excites most (None for the technique)."""

    types: ClassVar = (int,)
    accepts: ClassVar[str] = "the index of a channel of the layer, or -1 for the most excited one"

    def _check(self, name: str, value: Any) -> int:
        if value is None:
            return -1
        if (
            isinstance(value, bool)
            or not isinstance(value, (int, float))
            or not -1 <= value < 2**31
            or value != int(value)
        ):
            raise InvalidInput(name, value, self.accepts)
        return int(value)


@dataclass(frozen=True)
class Units(Input):
    """Several channels of the layer, as a list or as text separated by semicolons. The technique receives indices."""

    limit: int = 32
    types: ClassVar = (Sequence, list)

    def _check(self, name: str, value: Any) -> list[int]:
        found = []
        for item in _several(self, name, value, self.limit):
            text = str(item) if isinstance(item, (int, str)) and not isinstance(item, bool) else ""
            if not (text.isascii() and text.isdigit() and len(text) < 10):
                raise InvalidInput(name, value, self.accepts)
            found.append(int(text))
        return list(dict.fromkeys(found))

    @property
    def accepts(self) -> str:
        return f"at most {self.limit} indices of channels of the layer, separated by semicolons; may be empty"


@dataclass(frozen=True)
class Position(Text):
    """A spatial index in the layer's output. The technique receives (row, column), or None when empty."""

    types: ClassVar[tuple[type, ...]] = (tuple,)
    accepts: ClassVar[str] = "row and column in the layer's output, such as '3, 5'; empty for the most excited place"

    def _check(self, name: str, value: Any) -> str:
        pair = isinstance(value, list) and all(type(item) is int and 0 <= item < 2**31 for item in value)
        text = ",".join(map(str, value)) or "none" if pair else super()._check(name, "" if value is None else value)
        parts = [part.strip() for part in text.split(",")] if text else []
        if parts and (len(parts) != 2 or not all(part.isascii() and part.isdigit() for part in parts)):
            raise InvalidInput(name, value, self.accepts)
        return ", ".join(str(int(part)) for part in parts)


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


@dataclass(frozen=True)
class Photos(Text):
    """A photo set by name. The technique receives it listed, and gets a parameter `files` to bring photos instead."""

    types: ClassVar[tuple[type, ...]] = (PhotoList,)
    accepts: ClassVar[str] = "the name of a photo set, such as embedded, folder:NAME or hub:owner/name"


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
