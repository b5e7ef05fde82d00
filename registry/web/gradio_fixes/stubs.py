"""Gradio is imported without writing type stubs for editors, which takes longer than all the rest of its import."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Iterator
from typing import Any


@contextlib.contextmanager
def unwritten_stubs() -> Iterator[None]:
    """A block in which Gradio can be imported in half the time.

    For each class of components Gradio 6.31 parses its source file and writes a `.pyi` beside it, at every import. It
    leaves that out for classes without a file, which is what they seem to be while the block lasts.
    """
    find = inspect.getfile

    def found(thing: Any) -> str:
        if inspect.isclass(thing) and thing.__module__.startswith("gradio."):
            raise OSError("not asked for while Gradio is imported")
        return find(thing)

    inspect.getfile = found  # type: ignore[assignment]  # of what it is asked for alone
    try:
        yield
    finally:
        inspect.getfile = find
