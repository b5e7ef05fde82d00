"""Data sets of the Hugging Face hub as photo sets: image files or parquet, never code.

The `datasets` library reads more layouts, but only from front to back; a set is read here and there. Of a data set
that is neither image files nor parquet, the hub keeps a parquet copy of its own, which is read instead.
"""

from __future__ import annotations

import bisect
import functools
import itertools
import json
import logging
import re
import threading
from pathlib import Path, PurePosixPath
from typing import Any

import huggingface_hub
from huggingface_hub import errors as hub_errors

from ..base.errors import InvalidInput, MissingExtra, SetUnavailable
from ..base.settings import settings
from ..models.hub import download, patiently
from ..models.hub_cache import NotFetched, hub_cache
from ..photos.sets import PhotoList, SetPhoto
from .sources import HUB, SUFFIXES, evenly, one_label_is_none

NAME = re.compile(r"hub:(?P<repository>[\w-][\w.-]*/[\w-][\w.-]*?)(:(?P<split>[\w.-]+))?")
INSTEAD = "The embedded set and your own files need no hub."
COPY = "refs/convert/parquet"  # the branch on which the hub keeps its parquet copy
GENERIC = ("", "data", "images", "image", "train", "test", "validation", "val", "default")  # folders that are no label
LISTING_SECONDS = 30.0
logger = logging.getLogger("timmscope.hub")


def data_set(name: str, parameter: str = "photos") -> PhotoList:
    """List a data set of the hub at the revision it has now.

    Args:
        name: `hub:owner/name`, or `hub:owner/name:split`; without one, "train" where there is such a split.
        parameter: Name of the parameter, for messages.

    Raises:
        InvalidInput: No such form of name, or no such split.
        SetUnavailable: Switched off, unreachable, not found, too large, or without photos.
    """
    match = NAME.fullmatch(name)
    if not match:
        raise InvalidInput(parameter, name, f"{HUB}owner/name or {HUB}owner/name:split")
    if not settings().hub:
        raise SetUnavailable(f"{name}: the hub is switched off here (TIMMSCOPE_HUB). {INSTEAD}")
    repository, split = match["repository"], match["split"] or ""
    try:
        return _data_set(name, repository, split, parameter)
    except (InvalidInput, SetUnavailable, MissingExtra):
        raise
    except (hub_errors.RepositoryNotFoundError, hub_errors.GatedRepoError):
        raise SetUnavailable(f"{name}: the hub has no open data set {repository}. {INSTEAD}") from None
    except Exception as error:  # httpx, OSError, TimeoutError, OfflineModeIsEnabled
        logger.info("hub: %s: %s", repository, error)
        raise SetUnavailable(f"{name}: the Hugging Face hub cannot be reached or breaks off. {INSTEAD}") from None


def _data_set(name: str, repository: str, split: str, parameter: str) -> PhotoList:
    revision, sizes = _list(repository)
    images = [file for file in sizes if PurePosixPath(file).suffix.lower() in SUFFIXES - {""}]
    shards = [file for file in sizes if file.endswith(".parquet")]
    if not images and not shards:
        try:
            revision, sizes = _list(repository, COPY)
        except hub_errors.RevisionNotFoundError:
            raise SetUnavailable(f"{name}: it has neither image files nor parquet. {INSTEAD}") from None
        shards = [file for file in sizes if file.endswith(".parquet")]
    if sum(sizes[file] for file in shards) >= sum(sizes[file] for file in images):  # the rest are illustrations
        shards = _of_split(shards, split, parameter)
        shards = [file for file in shards if _top(file) == _top(shards[0])]  # of several configurations the first
        photos, of = _rows(name, repository, revision, {file: sizes[file] for file in shards})
    else:
        files = _of_split(images, split, parameter)
        photos, of = [_photo(repository, revision, file) for file in evenly(files, settings().max_photos)], len(files)
    return PhotoList(name, f"{repository} {split}".strip(), one_label_is_none(photos), None, of, settings().max_pixels)


def _list(repository: str, branch: str | None = None) -> tuple[str, dict[str, int]]:
    """The newest revision of a data set, and its files with their sizes in bytes."""
    # Without a token: names come from anyone, and the operator's own data sets are not theirs.
    api, patience = huggingface_hub.HfApi(token=False), settings().hub_patience
    ask = functools.partial(api.dataset_info, repository)
    revision = patiently(lambda: ask(revision=branch, timeout=patience, expand=["sha"]), patience).sha or ""
    listed = patiently(  # it can be reached, so that a long list may take its time
        lambda: ask(revision=revision, timeout=LISTING_SECONDS, files_metadata=True), LISTING_SECONDS
    )
    return revision, {f.rfilename: f.size or 0 for f in sorted(listed.siblings or [], key=lambda f: f.rfilename)}


def _of_split(files: list[str], split: str, parameter: str) -> list[str]:
    """The files of a split, found as the hub finds them: by a word of the path."""
    found = [file for file in files if (split or "train") in re.split(r"[/._-]", file)]
    if split and not found:
        raise InvalidInput(parameter, split, f"a split of the data set, which has files such as {files[0]}")
    return found or files


def _top(file: str) -> str:
    return file.rpartition("/")[0].partition("/")[0]


def _photo(repository: str, revision: str, file: str) -> SetPhoto:
    folder = PurePosixPath(file).parent.name
    load = functools.partial(_fetch, repository, revision, file)
    return SetPhoto(file, load, "" if folder.lower() in GENERIC else folder, f"{revision}:{file}")


def _fetch(repository: str, revision: str, file: str) -> Path:
    """A file of the data set, from the local cache or downloaded."""
    place = {"repo_type": "dataset", "revision": revision}
    try:
        return Path(hub_cache().find(repository, file, **place) or download(repository, file, token=False, **place))
    except NotFetched as error:
        raise SetUnavailable(f"{repository}: {file} {error}. {INSTEAD}") from None
    except Exception as error:
        logger.info("hub: %s: %s: %s", repository, file, error)
        raise SetUnavailable(f"{repository}: {file} cannot be fetched from the hub. {INSTEAD}") from None


def _rows(name: str, repository: str, revision: str, sizes: dict[str, int]) -> tuple[list[SetPhoto], int]:
    """Photos of parquet files, evenly spaced over those that fit the limit in bytes, and how many there are in all."""
    limit, count = settings().data_set_bytes, len(sizes)
    while count and sum(sizes[shard] for shard in evenly(list(sizes), count)) > limit:
        count -= 1
    if not count:
        allowed = f"at most {limit / 2**20:,.0f} MiB (TIMMSCOPE_DATA_SET_BYTES)"
        raise SetUnavailable(f"{name}: its first parquet file is too large; here {allowed} are fetched. {INSTEAD}")
    rows = []
    for file in evenly(list(sizes), count):
        shard = Shard(name, _fetch(repository, revision, file))
        for row, label in enumerate(shard.labels):
            load = functools.partial(shard.read, row)
            rows.append(SetPhoto(f"{file} {row}", load, label, f"{revision}:{file}:{row}"))
    return evenly(rows, settings().max_photos), len(rows) * len(sizes) // count


class Shard:
    """One parquet file of photos: its labels in memory, its pictures a row group at a time.

    Args:
        name: Name of the set, for messages.
        path: The file.

    Attributes:
        labels: The label of each row; empty where there is none.

    Raises:
        SetUnavailable: It is damaged, or has no column of pictures.
    """

    def __init__(self, name: str, path: Path) -> None:
        try:
            from pyarrow import ArrowException, parquet, types
        except ModuleNotFoundError as error:
            raise MissingExtra("pyarrow") from error
        try:
            self._file = parquet.ParquetFile(path)
            schema = self._file.schema_arrow
            features = (
                json.loads((schema.metadata or {}).get(b"huggingface", b"{}")).get("info", {}).get("features", {})
            )
            pictures = [f.name for f in schema if types.is_struct(f.type) and f.type.get_field_index("bytes") >= 0]
            self._column = next((name for name in pictures if features.get(name, {}).get("_type") != "Audio"), "")
            self.labels = self._read_labels(schema, features)
        except (ArrowException, OSError, ValueError) as error:
            logger.warning("damaged parquet file of %s: %s", name, error)
            path.resolve().unlink(missing_ok=True)
            path.unlink(missing_ok=True)
            raise SetUnavailable(
                f"{name}: a parquet file is damaged and was removed; run again to download it afresh. {INSTEAD}"
            ) from None
        if not self._column:
            raise SetUnavailable(f"{name}: it has no column of pictures. {INSTEAD}")
        ends = itertools.accumulate(self._file.metadata.row_group(g).num_rows for g in range(self._file.num_row_groups))
        self._ends = list(ends)
        self._source = name, path
        self._lock = threading.Lock()
        self._group = -1
        self._pictures: Any = None

    def __reduce__(self) -> tuple[Any, ...]:
        return Shard, self._source  # another process opens it anew

    def _read_labels(self, schema: Any, features: dict[str, Any]) -> list[str]:
        """Names of the classes where the file has them, else what its column of labels says."""
        column = next((name for name, f in features.items() if f.get("_type") == "ClassLabel"), "label")
        if column not in schema.names:
            return [""] * self._file.metadata.num_rows
        values = self._file.read([column]).column(column).to_pylist()
        if names := features.get(column, {}).get("names"):
            return [names[v] if isinstance(v, int) and 0 <= v < len(names) else "" for v in values]  # -1 is unknown
        return ["" if value is None else str(value) for value in values]

    def read(self, row: int) -> bytes:
        """The encoded picture of a row."""
        group = bisect.bisect_right(self._ends, row)
        with self._lock:
            if group != self._group:  # one at a time, for the memory's sake
                self._pictures = self._file.read_row_group(group, [self._column]).column(0)
                self._group = group
            first = self._ends[group - 1] if group else 0
            return (self._pictures[row - first].as_py() or {}).get("bytes") or b""
