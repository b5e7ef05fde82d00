"""Errors that are answers: what was given, what is expected, what to do.

Every error a user can cause is a `TimmscopeError`; its text is complete and safe to show. Anything else
that is raised during a run is a bug: the faces log it and show only an incident number.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import Any

from .names import readable

SHOWN_LENGTH = 60  # characters of a refused value that a message repeats
_WORD = re.compile(r"[^\W_]+")


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
        super().__init__(f"{parameter}: got {excerpt(given)}, expected {expected}.{' ' + remedy if remedy else ''}")


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
        return (error.name or "").partition(".")[0] != "timmscope"


def excerpt(value: object) -> str:
    """`value` as a message may repeat it: its repr, shortened, on one line."""
    if isinstance(value, str) and len(value) > SHOWN_LENGTH:
        return f"{_quoted(value[:SHOWN_LENGTH])}... ({len(value):,} characters)"
    try:
        text = " ".join((_quoted(value) if isinstance(value, str) else repr(value)).split())
    except Exception:  # a whole number of too many digits, or an object with a broken repr
        text = type(value).__name__
    return text if len(text) <= SHOWN_LENGTH else f"{text[:SHOWN_LENGTH]}... ({type(value).__name__})"


def _quoted(text: str) -> str:
    return repr(readable(text)).replace("\\\\", "\\")  # escaped once


def did_you_mean(
    word: str, names: Iterable[str], count: int = 5, meant: Callable[[str], Hashable] = lambda name: name
) -> str:
    """A sentence with the names that `word` may stand for, or an empty string when there is none.

    Names that have its words come first, then those with words that begin so, then those spelled alike.

    Args:
        word: What was given.
        names: The names there are.
        count: How many are shown at most.
        meant: Says what a name stands for; of synonyms one is shown.
    """
    found: dict[Hashable, str] = {}
    for name in _likely(word.lower()[:SHOWN_LENGTH], list(names), count):
        found.setdefault(meant(name), name)
        if len(found) == count:
            break
    return f"Did you mean {', '.join(found.values())}?" if found else ""


def _likely(given: str, names: list[str], count: int) -> Iterator[str]:
    """The names that are like `given`, the likeliest first."""
    split = {name: _words(name) for name in names}
    wanted = _words(given)
    if not wanted:
        return
    *_, noun = wanted

    def fitting(fits: Callable[[str, list[str]], bool]) -> list[str]:
        """As a phrase first, then with the same noun at the end, then the shorter ones."""
        fit = (name for name, words in split.items() if words and fits("".join(words), words))
        phrase = f" {' '.join(wanted)} "
        return sorted(fit, key=lambda n: (phrase not in f" {' '.join(split[n])} ", split[n][-1] != noun, len(split[n])))

    letters = "".join(wanted)
    yield from fitting(lambda joined, words: set(wanted) <= set(words) or joined == letters)
    if len(letters) > 2:
        yield from fitting(
            lambda joined, words: (
                joined.startswith(letters) or all(any(word.startswith(start) for word in words) for start in wanted)
            )
        )
        yield from fitting(lambda joined, _: letters in joined)
    yield from fitting(lambda _, words: noun in words)
    alike = difflib.get_close_matches(noun, {word for words in split.values() for word in words}, n=1, cutoff=0.8)
    yield from fitting(lambda _, words: not set(alike).isdisjoint(words))
    lower = {name.lower(): name for name in names}
    yield from (lower[name] for name in difflib.get_close_matches(given, lower, n=count, cutoff=0.6))


def _words(text: str) -> list[str]:
    """The words of a name, without the s of plurals."""
    return [word.removesuffix("s") if len(word) > 3 else word for word in _WORD.findall(text.lower())]
