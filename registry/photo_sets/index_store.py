"""Arrays kept on disk by the key that made them: whole or not at all, never stale, within a budget of bytes."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import filelock
import numpy as np

from ..base.settings import settings, usable

KEY = "recipe"  # name of the array that holds it; what files on disk have called it
logger = logging.getLogger("timmscope.index")


class Store:
    """One `.npz` file a key in a folder that several servers may share.

    A file is written beside its place and moved there in one step, so that whoever reads finds all of it or nothing.
    Where the folder cannot be written, nothing is kept and nothing fails.

    Args:
        folder: Where the files lie; made if missing.
        budget: Most that is kept, in bytes; the least recently used files go.
    """

    def __init__(self, folder: Path, budget: int) -> None:
        self.folder, self.budget = folder, budget
        self.usable = usable(folder)
        if not self.usable:
            logger.warning("indexes are not kept: %s cannot be written (TIMMSCOPE_CACHE_FOLDER)", folder)

    def path(self, key: Mapping[str, Any]) -> Path:
        """The file of a key."""
        return self.folder / f"{hashlib.sha256(_text(key).encode()).hexdigest()[:32]}.npz"

    def load(self, key: Mapping[str, Any]) -> dict[str, np.ndarray] | None:
        """The arrays of this key, or None. A file that is damaged or has another key is removed."""
        path = self.path(key)
        try:
            with np.load(path, allow_pickle=False) as file:
                arrays = dict(file)  # reads everything, and the archive's checksums with it
            if str(arrays.pop(KEY)) != _text(key):
                raise ValueError("it holds another recipe")
            os.utime(path)  # used just now
            return arrays
        except FileNotFoundError:
            return None
        except Exception as error:  # damaged archives raise nearly anything
            logger.warning("damaged index %s is removed: %s", path.name, error)
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
            return None

    def save(self, key: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
        """Keep the arrays; the caller holds the key's lock. A full disk costs only the keeping."""
        if not self.usable:
            return
        path = self.path(key)
        temporary = path.with_suffix(".tmp")
        try:
            with temporary.open("wb") as file:
                np.savez(file, **{KEY: np.array(_text(key))}, **arrays)  # type: ignore[arg-type]
            os.replace(temporary, path)
            self.sweep()
        except OSError as error:
            logger.warning("an index is not kept: %s", error)
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)

    def lock(self, key: Mapping[str, Any]) -> filelock.BaseFileLock | None:
        """The lock of this key if nobody holds it, in this process or another; a dead holder's is free.

        The caller releases it, on whichever thread.
        """
        return self._lock(self.path(key))

    def _lock(self, path: Path) -> filelock.BaseFileLock | None:
        if not self.usable:
            return filelock.FileLock(os.devnull)  # not acquired, so that releasing it does nothing
        lock = filelock.FileLock(path.with_suffix(".lock"), thread_local=False)
        try:
            lock.acquire(blocking=False)
        except filelock.Timeout:
            return None
        return lock

    def sweep(self) -> None:
        """Remove what killed writers left behind, and the least recently used files beyond the budget."""
        for path in {*self.folder.glob("*.tmp"), *self.folder.glob("*.lock")}:
            whole = path.with_suffix(".npz").exists()
            if (path.suffix == ".tmp" or not whole) and (lock := self._lock(path)):  # nobody is writing it
                with contextlib.suppress(OSError):
                    path.with_suffix(".tmp").unlink(missing_ok=True)
                    if not whole:
                        path.with_suffix(".lock").unlink(missing_ok=True)
                lock.release()
        used = 0
        for path, status in sorted(self._files(), key=lambda item: -item[1].st_mtime_ns):
            used += status.st_size
            if used > self.budget:
                with contextlib.suppress(OSError):
                    path.unlink(missing_ok=True)

    def _files(self) -> list[tuple[Path, os.stat_result]]:
        found = []
        for path in self.folder.glob("*.npz"):
            with contextlib.suppress(OSError):  # another server removed it
                found.append((path, path.stat()))
        return found


def default_store() -> Store:
    """The store in the operator's folder, else in the user's cache folder."""
    return Store(settings().cache_path / "indexes", settings().index_bytes)


def _text(key: Mapping[str, Any]) -> str:
    return json.dumps(key, sort_keys=True, default=str)
