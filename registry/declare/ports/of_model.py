"""Inputs whose meaning depends on the model: its name, classes, layers, units and places in a layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ClassVar

from ...base.errors import Declined, InvalidInput, did_you_mean
from .base import Call, Input, Known
from .words import Several, Text, number

SHARES = {
    Fraction(1, 4): "a quarter",
    Fraction(1, 3): "a third",
    Fraction(1, 2): "half",
    Fraction(2, 3): "two thirds",
    Fraction(3, 4): "three quarters",
}
EMPTY_LAYER = "empty, or -1 for a unit, where no layer is chosen"


@dataclass(frozen=True)
class ModelName(Text):
    """The name of a vision model: a timm architecture, a pretrained tag, or a model of a plugin."""

    accepts: ClassVar[str] = "the name of a timm model, such as resnet50.a1_in1k"

    @property
    def metavar(self) -> str:
        return "MODEL"

    def prepare(self, name: str, value: Any, given: Mapping[str, Any], known: Known) -> Any:
        known.require_model(name, value)
        return value

    def completions(self, known: Known) -> list[str]:
        return known.names("models")

    def bad_values(self) -> list[Any]:
        return ["no such name"]


@dataclass(frozen=True)
class ModelNames(Several, Text):
    """Several models, as a list or as text separated by semicolons. The technique receives names, maybe none."""

    limit: int = 4
    types: ClassVar = (Sequence, list)

    def _check(self, name: str, value: Any) -> list[str]:  # type: ignore[override]
        return [super(ModelNames, self)._check(name, item) for item in self._items(name, value, self.limit)]

    @property
    def accepts(self) -> str:  # type: ignore[override]
        return f"at most {self.limit} names of timm models, separated by semicolons; may be empty"

    def prepare(self, name: str, value: Any, given: Mapping[str, Any], known: Known) -> Any:
        for item in value:
            known.require_model(name, item)
        return value


@dataclass(frozen=True)
class Target(Text):
    """The class whose score is explained. The technique receives an index, or None for the top prediction."""

    types: ClassVar[tuple[type, ...]] = (int,)
    accepts: ClassVar[str] = "a class index or a label, such as 281 or 'tabby'; empty for the top prediction"

    def _check(self, name: str, value: Any) -> str:
        if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63:
            return str(value)
        return super()._check(name, "" if value is None else value)

    pinned: ClassVar[bool] = True

    @property
    def metavar(self) -> str:
        return "CLASS"

    def resolve(self, name: str, value: Any, call: Call) -> Any:
        return call.model.labels.find(value, name) if value else None

    def bad_values(self) -> list[Any]:
        return ["no such class", 10**7]


@dataclass(frozen=True)
class Targets(Several, Target):
    """Several classes, as a list or as text separated by semicolons. The technique receives indices."""

    limit: int = 6
    types: ClassVar = (Sequence, list)

    def _check(self, name: str, value: Any) -> list[str]:  # type: ignore[override]
        return [super(Targets, self)._check(name, item) for item in self._items(name, value, self.limit)]

    @property
    def accepts(self) -> str:  # type: ignore[override]
        return (
            f"at most {self.limit} class indices or labels, separated by semicolons, such as 'tabby; 285'; "
            "empty for the top prediction"
        )

    def resolve(self, name: str, value: Any, call: Call) -> Any:
        return [call.model.labels.find(text, name) for text in value if text]

    def bad_values(self) -> list[Any]:
        return ["no such class", ["1"] * (self.limit + 1)]


@dataclass(frozen=True)
class Layer(Text):
    """A layer of the model. The technique receives its name.

    Args:
        optional: Empty stays empty.
        depth: Empty stands for the end of a stage at this depth, 0 for the first and 1 for the last; None for the
            last layer with a spatial grid that reaches the score.
        known: Names that are taken for empty instead where the model has them, as the embedded one.
    """

    optional: bool = False
    depth: float | None = None
    known: tuple[str, ...] = ()
    accepts: ClassVar[str] = "the name of a layer of the model, such as blocks.3; empty for a sensible default"
    pinned: ClassVar[bool] = True

    @property
    def metavar(self) -> str:
        return "LAYER"

    def resolve(self, name: str, value: Any, call: Call) -> Any:
        model = call.model
        if value:
            return find_layer(name, value, call)
        if self.optional:
            return ""
        if self.depth is not None:
            (layer,) = model.at_depths(self.known, (self.depth,))
            share = Fraction(self.depth).limit_denominator(4)
            call.note(f"Layer: {layer}, at about {SHARES.get(share, share)} of the depth.")
            return layer
        if not model.default_layer:
            raise Declined(f"{model.name} has no layer with a spatial grid, which {call.title} needs.")
        call.note(f"Layer: {model.default_layer}, the last one with a spatial grid that reaches the score.")
        return model.default_layer

    def bad_values(self) -> list[Any]:
        return ["no such name"]


@dataclass(frozen=True)
class Layers(Several, Text):
    """Several layers, as a list or as text separated by semicolons. The technique receives names, no two the same.

    Args:
        limit: How many at most.
        depths: Empty stands for the ends of the stages at these depths; without any it stays empty.
        known: Names that are taken for empty instead where the model has them all.
    """

    limit: int = 8
    depths: tuple[float, ...] = ()
    known: tuple[str, ...] = ()
    types: ClassVar = (Sequence, list)
    pinned: ClassVar[bool] = True

    def _check(self, name: str, value: Any) -> list[str]:  # type: ignore[override]
        return [super(Layers, self)._check(name, item) for item in self._items(name, value, self.limit)]

    @property
    def accepts(self) -> str:  # type: ignore[override]
        return f"at most {self.limit} names of layers, separated by semicolons; empty for a sensible default"

    @property
    def metavar(self) -> str:
        return "LAYER"

    def resolve(self, name: str, value: Any, call: Call) -> Any:
        layers = list(dict.fromkeys(find_layer(name, layer, call) for layer in value))
        return layers or (call.model.at_depths(self.known, self.depths) if self.depths else [])

    def bad_values(self) -> list[Any]:
        return ["no such name", ["x"] * (self.limit + 1)]


@dataclass(frozen=True)
class Unit(Input):
    """A channel of the layer, by index; -1 stands for the one the photo excites most (None for the technique).

    Args:
        layer: Name of the parameter that has the layer.
    """

    layer: str = "layer"
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

    @property
    def metavar(self) -> str:
        return "INTEGER"

    def parse(self, text: Any) -> Any:
        return number(text)

    def resolve(self, name: str, value: Any, call: Call) -> Any:
        if value == -1:
            return None
        call.model.require_unit(layer_of(self, name, value, call), value, name)
        return value

    def bad_values(self) -> list[Any]:
        return [-2, 0.5, "first"]


@dataclass(frozen=True)
class Units(Several, Input):
    """Several channels of the layer, as a list or as text separated by semicolons. The technique receives indices.

    Args:
        limit: How many at most.
        layer: Name of the parameter that has the layer.
    """

    limit: int = 32
    layer: str = "layer"
    types: ClassVar = (Sequence, list)

    def _check(self, name: str, value: Any) -> list[int]:
        found = []
        for item in self._items(name, value, self.limit):
            text = str(item) if isinstance(item, (int, str)) and not isinstance(item, bool) else ""
            if not (text.isascii() and text.isdigit() and len(text) < 10):
                raise InvalidInput(name, value, self.accepts)
            found.append(int(text))
        return list(dict.fromkeys(found))

    @property
    def accepts(self) -> str:
        return f"at most {self.limit} indices of channels of the layer, separated by semicolons; may be empty"

    @property
    def metavar(self) -> str:
        return "INTEGER"

    def resolve(self, name: str, value: Any, call: Call) -> Any:
        for unit in value:
            call.model.require_unit(layer_of(self, name, value, call), unit, name)
        return value

    def bad_values(self) -> list[Any]:
        return [-1, 0.5, "first", [0] * (self.limit + 1)]


@dataclass(frozen=True)
class Position(Text):
    """A spatial index in the layer's output. The technique receives (row, column), or None when empty.

    Args:
        layer: Name of the parameter that has the layer.
        resized: The layer sees pictures of other sizes than the model's own, so that the technique checks the range.
    """

    layer: str = "layer"
    resized: bool = False
    types: ClassVar[tuple[type, ...]] = (tuple,)
    accepts: ClassVar[str] = "row and column in the layer's output, such as '3, 5'; empty for the most excited place"

    def _check(self, name: str, value: Any) -> str:
        pair = isinstance(value, list) and all(type(item) is int and 0 <= item < 2**31 for item in value)
        text = ",".join(map(str, value)) or "none" if pair else super()._check(name, "" if value is None else value)
        parts = [part.strip() for part in text.split(",")] if text else []
        if parts and (len(parts) != 2 or not all(part.isascii() and part.isdigit() for part in parts)):
            raise InvalidInput(name, value, self.accepts)
        return ", ".join(str(int(part)) for part in parts)

    @property
    def metavar(self) -> str:
        return "ROW,COLUMN"

    def resolve(self, name: str, value: Any, call: Call) -> Any:
        if not value:
            return None
        row, column = (int(part) for part in value.split(","))
        layer = layer_of(self, name, value, call)
        if not self.resized:
            call.model.require_position(layer, (row, column), name)
        return row, column

    def bad_values(self) -> list[Any]:
        return ["3", "a, b"]


def find_layer(name: str, layer: str, call: Call) -> str:
    """The name of a layer that there is.

    Raises:
        InvalidInput: There is none of that name; the text has the close matches.
    """
    model = call.model
    if layer not in model.layers:
        expected = f"a layer of {model.name}, such as {model.default_layer or next(iter(model.layers))}"
        raise InvalidInput(name, layer, expected, did_you_mean(layer, model.layers))
    return layer


def layer_of(port: Unit | Units | Position, name: str, value: Any, call: Call) -> str:
    """The layer that a unit or a place belongs to.

    Raises:
        InvalidInput: None is chosen, and what would be of it is given nevertheless.
    """
    layer = call.argument(port.layer)
    if not layer:
        raise InvalidInput(name, value, EMPTY_LAYER, "Choose a layer.")
    return layer
