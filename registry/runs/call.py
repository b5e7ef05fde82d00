"""A run whose model is loaded: checked values become the arguments of the technique."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ..declare.technique import Technique
from ..photos.decoding import PhotoInput
from ..vision.vision_model import VisionModel


@dataclass
class RunCall:
    """The arguments of a technique, each resolved by its port against the model, as `ports.Call` says.

    Args:
        technique: The technique.
        given: From `validate`.
        lent: The lent model, or None for a technique without one.

    Attributes:
        notes: What to say beside the result.
    """

    technique: Technique
    given: dict[str, Any]
    lent: VisionModel | None
    notes: list[str] = field(default_factory=list)
    _arguments: dict[str, Any] = field(default_factory=dict)

    @property
    def model(self) -> VisionModel:
        """The model."""
        assert self.lent is not None, "a port that needs a model belongs to a technique that takes one"
        return self.lent

    @property
    def title(self) -> str:
        """Title of the technique."""
        return self.technique.title

    def argument(self, name: str) -> Any:
        """What the technique receives for a parameter, resolved once; None where it has no such parameter.

        Raises:
            InvalidInput: The model has no such class, layer, unit or place.
        """
        if name not in self._arguments:
            parameter = next((p for p in self.technique.own_parameters if p.name == name), None)
            value = parameter and parameter.port.resolve(name, self.given[name], self)
            self._arguments[name] = value
        return self._arguments[name]

    def note(self, text: str) -> None:
        """Say something beside the result."""
        self.notes.append(text)

    @property
    def arguments(self) -> dict[str, Any]:
        """All arguments by name. Raises as `argument`."""
        own = {parameter.name: self.argument(parameter.name) for parameter in self.technique.own_parameters}
        return ({"model": self.model} if self.technique.uses_model else {}) | own

    @property
    def resolved(self) -> dict[str, Any]:
        """What became something else than was given, as JSON has it."""
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in self.arguments.items()
            if name != "model" and not isinstance(value, PhotoInput) and value != self.given[name]
        }
