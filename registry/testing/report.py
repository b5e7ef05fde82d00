"""What a check found, and how it is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ..base.errors import TimmscopeError

WORDS = {True: "passed", False: "FAILED", None: "skipped"}


class Failure(Exception):
    """A check that failed.

    Args:
        reason: What is wrong.
        write: The line to write instead.
    """

    def __init__(self, reason: str, write: str = "") -> None:
        self.write = write
        super().__init__(reason)


class Skipped(Exception):
    """A check that does not apply, or cannot be made here, and why."""


@dataclass(frozen=True)
class Check:
    """One check.

    Args:
        subject: What was checked, such as "technique fade".
        name: The check, such as "same seed, same bits".
        passed: Whether it passed; None when it was skipped.
        reason: What is wrong, or why it was skipped.
        write: The line to write, where there is one.
    """

    subject: str
    name: str
    passed: bool | None
    reason: str = ""
    write: str = ""

    def __str__(self) -> str:
        text = f"{WORDS[self.passed]:8} {self.subject}: {self.name}"
        text += f"\n         {self.reason}" if self.reason else ""
        return text + (f"\n         write  {self.write}" if self.write else "")


@dataclass
class Report:
    """All checks of one plugin; `str` of it is what people read.

    Args:
        plugin: Name of the plugin.
        checks: The checks, in the order they were made.
    """

    plugin: str
    checks: list[Check] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether something was checked and nothing failed."""
        return bool(self.checks) and all(check.passed is not False for check in self.checks)

    @property
    def failed(self) -> list[Check]:
        """The checks that failed."""
        return [check for check in self.checks if check.passed is False]

    def __str__(self) -> str:
        counts = [f"{sum(c.passed is kind for c in self.checks)} {word.lower()}" for kind, word in WORDS.items()]
        end = f"plugin {self.plugin}: {', '.join(counts)}"
        return "\n".join([*map(str, self.checks), "", end])

    def examine(self, subject: str, name: str, test: Callable[..., Any], *args: Any) -> Any:
        """Make one check and note what it finds, whatever it raises. Returns what the test does; None if it fails.

        Args:
            subject: What is checked, such as "technique fade".
            name: The check, such as "same seed, same bits".
            test: Makes it; raises `Failure` or `Skipped`.
            *args: What it is called with.
        """
        try:
            found = test(*args)
        except Skipped as skipped:
            self.checks.append(Check(subject, name, None, str(skipped)))
        except Failure as failure:
            self.checks.append(Check(subject, name, False, str(failure), failure.write))
        except TimmscopeError as error:
            cause = f" ({type(error.__cause__).__name__}: {error.__cause__})" if error.__cause__ else ""
            self.checks.append(Check(subject, name, False, f"{error}{cause}"))
        except (Exception, SystemExit) as error:
            self.checks.append(Check(subject, name, False, f"{type(error).__name__}: {error}"))
        else:
            self.checks.append(Check(subject, name, True))
            return found
        return None
