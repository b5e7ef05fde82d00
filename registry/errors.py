"""Errors that are answers: what was given, what is expected, what to do.

Every error a user can cause is a `TimmscopeError`; its text is complete and safe to show. Anything else
that is raised during a run is a bug: the faces log it and show only an incident number.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

SHOWN_LENGTH = 60  # characters of a refused value that a message repeats


class TimmscopeError(Exception):
    """Base of all errors whose text is meant for the user."""

    def __reduce__(self) -> tuple[Any, ...]:
        # from one process to another; subclasses take other arguments than their text
        return _restored, (type(self), self.args, self.__dict__)


def _restored(kind: type[TimmscopeError], args: tuple[Any, ...], state: dict[str, Any]) -> TimmscopeError:
    error = kind.__new__(kind)
    error.args = args
    error.__dict__.update(state)
    return error


class InvalidInput(TimmscopeError):
    """A value that a parameter does not accept.

    Args:
        parameter: Name of the parameter, as in the API.
        given: The refused value; long ones are shortened in the text.
        expected: What the parameter accepts, completing "expected ...".
        remedy: What to do, as a sentence; for instance the close matches of a name.
    """

    def __init__(self, parameter: str, given: object, expected: str, remedy: str = "") -> None:
        self.parameter, self.given, self.expected, self.remedy = parameter, given, expected, remedy
        super().__init__(f"{parameter}: got {shown(given)}, expected {expected}.{' ' + remedy if remedy else ''}")


class Declined(TimmscopeError):
    """A technique that does not apply to this model, layer or photo, and why."""


class ModelUnavailable(TimmscopeError):
    """Weights that cannot be had now (hub unreachable, corrupt file, model too large), and what can."""


class SetUnavailable(TimmscopeError):
    """A data set of the hub that cannot be had now, and what can."""


class OutOfTime(TimmscopeError):
    """A run that used up its time budget."""


class Abandoned(TimmscopeError):
    """A run that nobody waits for any more."""


class OutOfMemory(TimmscopeError):
    """A run that needed more memory than there is."""


class TechniqueFailed(TimmscopeError):
    """A technique that raised what is no answer: a fault of its plugin. The cause has the details.

    Args:
        title: The technique.
        plugin: Name of its plugin.
        what: What it raised, and where.
    """

    def __init__(self, title: str, plugin: str, what: str) -> None:
        super().__init__(f"{title} failed: {what}. This is a fault of the plugin {plugin or '?'}, not of your input.")


class DeclarationError(TimmscopeError):
    """A technique, model source or photo set that is declared wrongly, with the line to write."""


class MissingExtra(TimmscopeError):
    """A library of the `[app]` extra that is not installed."""

    def __init__(self, library: str) -> None:
        super().__init__(f"{library} is not installed: run  pip install 'timmscope[app]'")

    @staticmethod
    def excuses(error: ModuleNotFoundError) -> bool:
        """Whether what is missing is a library, and not a part of timmscope itself."""
        return (error.name or "").partition(".")[0] not in ("registry", "techniques", "timmscope")


def shown(value: object) -> str:
    """`value` as a message may repeat it: its repr, shortened, on one line."""
    if isinstance(value, str) and len(value) > SHOWN_LENGTH:
        return f"{value[:SHOWN_LENGTH]!r}... ({len(value):,} characters)"
    try:
        text = " ".join(repr(value).split())
    except Exception:  # a whole number of too many digits, or an object with a broken repr
        text = type(value).__name__
    return text if len(text) <= SHOWN_LENGTH else f"{text[:SHOWN_LENGTH]}... ({type(value).__name__})"


def did_you_mean(word: str, names: Iterable[str], count: int = 3) -> str:
    """A sentence with the names closest to `word`, or an empty string when none is close."""
    by_lower = {name.lower(): name for name in names}
    lower = word.lower()[:SHOWN_LENGTH]
    close = difflib.get_close_matches(lower, by_lower, n=count, cutoff=0.6)
    containing = (name for name in by_lower if len(lower) > 2 and lower in name and name not in close)
    close += [name for name, _ in zip(containing, range(count - len(close)))]
    return f"Did you mean {', '.join(by_lower[name] for name in close)}?" if close else ""
