"""The base of input ports, and what a port may ask of the run that it is in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from .plain import plain

if TYPE_CHECKING:
    from ...photos.decoding import PhotoInput
    from ...photos.sets import PhotoList
    from ...vision.vision_model import VisionModel


class Known(Protocol):
    """What there is by name before a model is loaded. Each raises `InvalidInput` where there is no such thing."""

    def photo(self, parameter: str, value: Any) -> PhotoInput:
        """A photo, decoded."""

    def photo_set(self, parameter: str, name: str, files: list[Any]) -> PhotoList:
        """A photo set, listed; of `files` where there are any."""

    def require_model(self, parameter: str, name: str) -> None:
        """Refuse the name of a model that there is not."""

    def names(self, kind: str) -> list[str]:
        """Names to choose from, of "samples", "models" or "photo sets"."""


class Call(Protocol):
    """A run whose model is loaded."""

    @property
    def model(self) -> VisionModel:
        """The model."""

    @property
    def title(self) -> str:
        """Title of the technique."""

    def argument(self, name: str) -> Any:
        """What the technique receives for another parameter; None where it has no such parameter."""

    def note(self, text: str) -> None:
        """Say something beside the result."""


@dataclass(frozen=True)
class Input:
    """Base of input ports, with a `label` that people read. `types` are the annotations the port goes with."""

    label: str
    types: ClassVar[tuple[type, ...]] = ()
    companion: ClassVar[str] = ""  # name of a parameter that all techniques with such a port share
    pinned: ClassVar[bool] = False  # a recipe that runs again keeps what was resolved, not what it would be today

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

    def prepare(self, name: str, value: Any, given: Mapping[str, Any], known: Known) -> Any:
        """What a checked value stands for before a model is loaded: photos decoded, sets listed, names looked up.

        Args:
            name: The parameter.
            value: From `check`.
            given: The checked values of all parameters.
            known: What there is by name.

        Raises:
            InvalidInput: There is no such thing.
        """
        return value

    def resolve(self, name: str, value: Any, call: Call) -> Any:
        """What the technique receives: names and indices, held against the model.

        Args:
            name: The parameter.
            value: From `prepare`.
            call: The run.

        Raises:
            InvalidInput: The model has no such thing.
            Declined: It has nothing of the kind, such as no layer with a spatial grid.
        """
        return value

    @property
    def metavar(self) -> str:
        """What its option on the command line takes, in capitals."""
        return "TEXT"

    @property
    def several(self) -> bool:
        """Whether its option may be given several times."""
        return False

    def parse(self, text: Any) -> Any:
        """The text of an option or a link as `check` takes it; what cannot be read stays text, which is refused.

        Args:
            text: The text; a sequence of them where the port takes several.
        """
        return text

    def completions(self, known: Known) -> list[str]:
        """Words that a shell may complete."""
        return []

    def nearest(self, value: Any) -> Any:
        """The value that it takes nearest to one that is short to run, for the check of plugins."""
        return value

    def bad_values(self) -> list[Any]:
        """Values that it must refuse, for the check of plugins."""
        return []
