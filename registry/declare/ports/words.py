"""Inputs that mean the same whatever the model is: numbers, words, switches and text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from ...base.errors import InvalidInput, did_you_mean
from .base import Input, Known

TEXT_LENGTH = 200  # longest name or label a text parameter accepts, in characters


@dataclass(frozen=True)
class Number(Input):
    """A number from `minimum` to `maximum`, both included, in steps of `step`; whole when the annotation is `int`."""

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

    @property
    def metavar(self) -> str:
        return "INTEGER" if self.whole else "NUMBER"

    def parse(self, text: Any) -> Any:
        return number(text)

    def nearest(self, value: Any) -> Any:
        return min(max(value, self.minimum), self.maximum)

    def bad_values(self) -> list[Any]:
        bad: list[Any] = [self.minimum - 1, self.maximum + 1, float("nan"), "many", True, None]
        return bad + ([self.minimum + 0.5] if self.whole else [])


@dataclass(frozen=True)
class Choice(Input):
    """One of a few fixed words."""

    choices: tuple[str, ...]
    types: ClassVar[tuple[type, ...]] = (str,)

    def _check(self, name: str, value: Any) -> str:
        if not isinstance(value, str) or value not in self.choices:
            remedy = did_you_mean(value, self.choices) if isinstance(value, str) else ""
            raise InvalidInput(name, value, self.accepts, remedy)
        return value

    @property
    def accepts(self) -> str:
        return "one of " + ", ".join(self.choices)

    @property
    def metavar(self) -> str:
        return f"[{'|'.join(self.choices)}]"

    def completions(self, known: Known) -> list[str]:
        return list(self.choices)

    def bad_values(self) -> list[Any]:
        return ["no such choice", 3.5]


@dataclass(frozen=True)
class Switch(Input):
    """True or false."""

    types: ClassVar = (bool,)
    accepts: ClassVar[str] = "true or false"

    def _check(self, name: str, value: Any) -> bool:
        if not isinstance(value, bool):
            raise InvalidInput(name, value, self.accepts)
        return value

    def parse(self, text: Any) -> Any:
        return {"true": True, "false": False}.get(text.lower(), text) if isinstance(text, str) else text

    def bad_values(self) -> list[Any]:
        return ["yes", 1, None]


@dataclass(frozen=True)
class Text(Input):
    """One line of text; the base of ports that name something."""

    types: ClassVar[tuple[type, ...]] = (str,)
    accepts: ClassVar[str] = f"text of at most {TEXT_LENGTH} characters"

    def _check(self, name: str, value: Any) -> str:
        if not isinstance(value, str) or len(value) > TEXT_LENGTH:
            raise InvalidInput(name, value, self.accepts)
        return value.strip()

    def bad_values(self) -> list[Any]:
        return ["x" * 10_000]


class Several(Input):
    """What ports of several items share: a list, or text separated by semicolons."""

    @property
    def several(self) -> bool:
        return True

    def parse(self, text: Any) -> Any:
        texts = [text] if isinstance(text, str) else text
        return [part.strip() for item in texts for part in item.split(";") if part]

    def _items(self, name: str, value: Any, limit: int) -> list[Any]:
        """The items of a list, of text separated by semicolons, or of a single number."""
        if isinstance(value, str) or value is None:
            text = Text("").check(name, value or "")
            return self._items(name, [part.strip() for part in text.split(";") if part.strip()], limit)
        if isinstance(value, int) and not isinstance(value, bool):
            return [value]
        if not isinstance(value, list) or len(value) > limit:
            raise InvalidInput(name, value, self.accepts)
        return value


@dataclass(frozen=True)
class Choices(Several, Choice):
    """Any of a few fixed words, as a list or as text separated by semicolons."""

    types: ClassVar = (Sequence, list)

    def _check(self, name: str, value: Any) -> list[str]:  # type: ignore[override]
        words = self._items(name, value, len(self.choices))
        return [Choice(self.label, self.choices).check(name, word) for word in words]

    @property
    def accepts(self) -> str:
        return f"any of {', '.join(self.choices)}, separated by semicolons"


def number(text: Any) -> Any:
    """A text as the number it is, else as it came."""
    for kind in (int, float):
        try:
            return kind(text) if isinstance(text, str) else text
        except ValueError:
            continue
    return text
