"""What plugins did wrong while they ran: named, counted, and kept for the plugins page.

A context variable says whose code is running. It belongs to a thread, so that what one run prints is never laid at the
door of another beside it.
"""

from __future__ import annotations

import logging
import sys
import threading
import warnings
from collections.abc import Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import Any, TextIO

KEPT = 20  # different incidents per plugin; the log has the others
PRINTED = 500  # characters of a print that the log repeats
logger = logging.getLogger("timmscope.plugins")


class Incidents:
    """What one plugin did wrong since the start, each kind once with its count. Safe to use from several threads.

    Args:
        plugin: Name of the plugin.
    """

    def __init__(self, plugin: str = "") -> None:
        self.plugin = plugin
        self._counts: dict[str, int] = {}
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()

    def add(self, text: str, details: str = "") -> None:
        """Count an incident and log it.

        Args:
            text: What happened, without anything a user gave: everybody may read it.
            details: More for the log.
        """
        logger.warning("plugin %s: %s%s", self.plugin, text, f": {details}" if details else "")
        with self._lock:
            if text in self._counts or len(self._counts) < KEPT:
                self._counts[text] = self._counts.get(text, 0) + 1

    def left_behind(self, thread: threading.Thread) -> None:
        """Remember a thread that was given up and runs on."""
        with self._lock:
            self._threads = [other for other in self._threads if other.is_alive()] + [thread]

    def __iter__(self) -> Iterator[str]:
        with self._lock:
            counts, alive = list(self._counts.items()), sum(thread.is_alive() for thread in self._threads)
        yield from (f"{text} ({count} times)" if count > 1 else text for text, count in counts)
        if alive:
            yield f"threads of runs that were given up and cannot be stopped, still running: {alive}"


running: ContextVar[Incidents | None] = ContextVar("running", default=None)  # whose code this thread runs


def report(text: str, details: str = "") -> None:
    """Report an incident to whoever is running; without a plugin, to the log."""
    (running.get() or Incidents("of timmscope itself")).add(text, details)


class _Attributed:
    """A text stream that takes what plugins print into the log, and hands on everything else."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        if running.get() is None:
            return self._stream.write(text)
        if text.strip():
            report("prints; write a note or to a logger instead", text.strip()[:PRINTED])
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def attribute_output() -> None:
    """Take what plugins print, and their warnings, into the log under their names. For a process that serves.

    Both are global in Python. They are replaced once, not run by run, which no two runs at once would survive.
    """
    sys.stdout = _Attributed(sys.stdout)
    show = warnings.showwarning

    def attributed(message: Any, category: Any, filename: str, lineno: int, *more: Any, **named: Any) -> None:
        if running.get() is None:
            show(message, category, filename, lineno, *more, **named)
        else:
            report(f"warns: {category.__name__} at {Path(filename).name}:{lineno}", str(message)[:PRINTED])

    warnings.showwarning = attributed
