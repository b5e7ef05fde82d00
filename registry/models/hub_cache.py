"""Files of the hub on disk: a folder with a budget of bytes, since strangers choose what is fetched."""

from __future__ import annotations

import contextlib
import functools
import itertools
import logging
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import filelock
import huggingface_hub

from ..base.settings import settings, usable

GLANCE = 60.0  # seconds after which the folder is looked at again: other servers may share it
ABANDONED = 600.0  # seconds after the last byte of a download that was killed
logger = logging.getLogger("timmscope.hub")


class NotFetched(Exception):
    """A file that is not here now; the text goes on a sentence that begins with its name."""


class HubCache:
    """Files of the hub, the least recently used of whose repositories go when they exceed a budget.

    What the user has in the hub's own cache is found there, neither counted nor removed. A folder that cannot be
    written is not used: the files then go to the hub's own cache, without a bound.

    Args:
        folder: Where they lie; made if missing. Servers may share it.
        budget: Most that is kept, in bytes.
    """

    def __init__(self, folder: Path, budget: int) -> None:
        self.budget = budget
        self.folder = folder if usable(folder) else None
        self._coming: dict[int, tuple[str, int]] = {}  # downloads that go on: repository and bytes
        self._numbers = itertools.count()
        self._used, self._looked = 0, -GLANCE
        if not self.folder:
            logger.warning(
                "files of the hub go to its own cache: %s cannot be written (TIMMSCOPE_CACHE_FOLDER)", folder
            )

    def find(self, repository: str, file: str, **place: Any) -> str | None:
        """Path of a file that is on this disk; the arguments are those of `hub.download`."""
        for folder in dict.fromkeys((self.folder, None)):
            path = huggingface_hub.try_to_load_from_cache(repository, file, cache_dir=folder, **place)
            with contextlib.suppress(FileNotFoundError):  # another server removed it just now
                if isinstance(path, str):
                    if folder:
                        os.utime(path)  # the least recently used go
                    return path
        return None

    @contextlib.contextmanager
    def room(self, repository: str, nbytes: int) -> Iterator[None]:
        """Room for a file, taken until the block ends, when it lies in the folder.

        Raises:
            NotFetched: It is larger than the budget, or what else comes at the moment leaves no room.
        """
        if not self.folder:
            yield
            return
        if nbytes > self.budget:
            allowed = f"the {self.budget / 2**20:,.0f} MiB that are kept of the hub here (TIMMSCOPE_HUB_BYTES)"
            raise NotFetched(f"takes {nbytes / 2**20:,.0f} MiB, more than {allowed}")
        number = next(self._numbers)
        with filelock.FileLock(self.folder / ".lock"):
            self._make_room(nbytes)
            self._coming[number] = repository, nbytes
        try:
            yield
        finally:
            del self._coming[number]

    def _make_room(self, nbytes: int) -> None:
        assert self.folder
        if self._used + nbytes > self.budget or time.monotonic() - self._looked > GLANCE:
            self._remove_abandoned()
            coming = list(self._coming.values())
            found, self._looked = huggingface_hub.scan_cache_dir(self.folder), time.monotonic()
            self._used = found.size_on_disk + sum(size for _, size in coming)
            for repository in sorted(found.repos, key=lambda repository: repository.last_accessed):
                if self._used + nbytes <= self.budget:
                    break
                if repository.repo_id not in {name for name, _ in coming}:
                    logger.info("%s goes from the cache of the hub", repository.repo_id)
                    found.delete_revisions(*(revision.commit_hash for revision in repository.revisions)).execute()
                    self._used -= repository.size_on_disk
            if self._used + nbytes > self.budget:
                raise NotFetched("has no room beside what else is fetched from the hub at the moment; try again later")
        self._used += nbytes

    def _remove_abandoned(self) -> None:
        assert self.folder
        for path in self.folder.glob("*/blobs/*.incomplete"):
            with contextlib.suppress(OSError):  # another server removed it
                if time.time() - path.stat().st_mtime > ABANDONED:
                    path.unlink()


@functools.cache
def hub_cache() -> HubCache:
    """The cache of this process, in the operator's folder or the user's."""
    return HubCache(settings().cache_path / "hub", settings().hub_bytes)
