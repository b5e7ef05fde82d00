"""Files that the server may serve for a while: uploads and results, bounded in bytes."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import tempfile
import threading
from pathlib import Path

from gradio.utils import get_upload_folder

from ..base.errors import TimmscopeError
from ..base.memory import return_memory
from ..base.settings import settings

SWEEP_SECONDS = 15.0
logger = logging.getLogger("timmscope.web")
_kept: set[str] = set()


class StorageFull(TimmscopeError):
    """A result that the server has no room for."""


def cached(data: bytes, name: str, keep: bool = False) -> str:
    """Write a file that the server may serve, and return its path; it is deleted later.

    Equal files share a path, and one of them may be on its way to a reader: it is replaced whole, never rewritten.

    Args:
        data: Its content.
        name: Its name.
        keep: Never delete it: a part of the page, not a result.

    Raises:
        StorageFull: It cannot be written; nothing of it is left.
    """
    folder = Path(get_upload_folder()) / hashlib.sha256(data).hexdigest()
    unfinished = ""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle, unfinished = tempfile.mkstemp(dir=folder)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.replace(unfinished, folder / name)
    except OSError as error:
        logger.exception("a result cannot be written")
        if unfinished:
            Path(unfinished).unlink(missing_ok=True)
        raise StorageFull("The server has no room for results now. Try again later.") from error
    if keep:
        _kept.add(str(folder / name))
    return str(folder / name)


def sweep(folder: Path, budget: int) -> int:
    """Delete the oldest files beyond `budget` bytes; returns the bytes that are left."""
    found = []
    for place, _, files in os.walk(folder):
        for name in files:
            path = os.path.join(place, name)
            with contextlib.suppress(OSError):  # gone meanwhile
                state = os.stat(path)
                found.append((state.st_mtime_ns, state.st_size, path))
    left = sum(size for _, size, _ in found)
    for _, size, path in sorted(found):
        if left <= budget:
            break
        if path not in _kept:
            with contextlib.suppress(OSError):
                os.unlink(path)
                os.rmdir(os.path.dirname(path))  # where nothing else is in it
            left -= size
    return left


def sweep_always() -> None:
    """Keep uploads and results within their budget and unused memory small, from a thread, for as long as it serves."""

    def work() -> None:
        pause = threading.Event()
        while not pause.wait(SWEEP_SECONDS):
            try:
                sweep(Path(get_upload_folder()), settings().temporary_bytes)
                return_memory()
            except Exception:  # the next sweep may do better, and no run must end for it
                logger.exception("sweeping")

    threading.Thread(target=work, daemon=True, name="timmscope-sweep").start()
