"""Where photo sets come from: plugins, photos that are brought along, folders of the server, the hub."""

from __future__ import annotations

import functools
import hashlib
import io
import os
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import IO, Any, TypeVar

from ..base.errors import InvalidInput, did_you_mean
from ..base.names import distinct
from ..base.settings import settings
from ..photos.decoding import PhotoInput, decode, from_data_url, is_data_url
from ..photos.sets import PhotoList, SetPhoto
from ..plugins.discovery import plugins

SUFFIXES = {".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".webp", ".gif", ".bmp", ".tif", ".tiff"}
SUFFIXES |= {".avif", ".avifs", ".ppm", ".pgm", ".pbm", ".pnm", ".pfm", ""}  # a file without one may be a photo too
FOLDER, HUB = "folder:", "hub:"
NO_PHOTO = "not a photo by its name"
UPLOADED = "uploaded"
UTF_8 = 0x800  # flag of a zip entry
T = TypeVar("T")


def resolve(name: str, files: Sequence[Any] = (), parameter: str = "photos") -> PhotoList:
    """List the photo set called `name`, or the one made of `files`, which are used instead when there are any.

    Args:
        name: The name of a plugin's set, `folder:NAME` or `hub:owner/name[:split]`.
        files: Paths of photos, zips or folders; bytes of a photo or zip; `data:` URLs, PIL images, arrays.
        parameter: Name of the parameter, for messages.

    Raises:
        InvalidInput: No such set, one that may not be used here, too many photos, or none.
        SetUnavailable: A data set of the hub that cannot be had.
    """
    sets = plugins().photo_sets
    if files:
        found = uploaded(files)
    elif name.startswith(FOLDER):
        found = folder(name, parameter)
    elif name.startswith(HUB):
        from . import hub_photos

        found = hub_photos.data_set(name, parameter)
    elif name in sets:
        found = _listed(name, sets[name].title, sets[name].photos())
    else:
        known = set_names()
        expected = f"one of {', '.join(known)}, or {HUB}owner/name"
        raise InvalidInput(parameter, name, expected, did_you_mean(name, known))
    found.require_some("files" if files else parameter)
    return found


def set_names() -> dict[str, str]:
    """The sets to choose from, names to titles: those of plugins, then the folders of this server."""
    folders = {f"{FOLDER}{name}": f"Folder {name}" for name in settings().folders}
    return {name: group.title for name, group in plugins().photo_sets.items()} | folders


def evenly(items: Sequence[T], count: int) -> list[T]:
    """At most `count` of the items, evenly spaced: sorted sets would else lose their last classes."""
    return [items[i * len(items) // count] for i in range(count)] if len(items) > count else list(items)


def folder(name: str, parameter: str = "photos") -> PhotoList:
    """A folder that the operator allows.

    Raises:
        InvalidInput: It is not among the allowed ones.
    """
    folders = settings().folders
    root = folders.get(name.removeprefix(FOLDER))
    if root is None:
        names = ", ".join(FOLDER + known for known in folders)
        expected = f"a folder that is allowed here: {names}" if names else "no folder: none is allowed here"
        raise InvalidInput(parameter, name, expected, did_you_mean(name, [FOLDER + known for known in folders]))
    photos, skipped = _separate(_walk(root))
    chosen = evenly(photos, settings().max_photos)
    return _listed(name, f"Folder {name.removeprefix(FOLDER)}", chosen, skipped, of=len(photos))


def uploaded(files: Iterable[Any]) -> PhotoList:
    """A set of photos that are brought along; zips are opened, entries are read only when needed.

    Raises:
        InvalidInput: More photos than allowed, or a zip that is damaged or too large unpacked.
    """
    found: list[SetPhoto] = []
    for number, item in enumerate(files, 1):
        found += _expand(item, number)
        if len(found) > (limit := settings().max_photos):
            raise InvalidInput("files", f"more than {limit:,} files", f"at most {limit:,} photos", "Bring fewer.")
    photos, skipped = _separate(found)
    return _listed(UPLOADED, "Own photos", photos, skipped)


def _expand(item: Any, number: int) -> Iterator[SetPhoto]:
    """The photos of one thing that is brought along."""
    if isinstance(item, SetPhoto):
        yield item
    elif is_data_url(item):
        yield from _expand(from_data_url(item, "files"), number)
    elif isinstance(item, (str, os.PathLike)):
        path = Path(item)
        if path.is_dir():
            yield from _walk(path)
        elif path.suffix.lower() == ".zip":
            yield from _unzip(path, path.name)
        elif path.is_file():
            yield SetPhoto(path.name, functools.partial(_read_file, path), version=_hash_file(path))
        else:
            raise InvalidInput("files", path.name, "a photo, a zip or a folder", "There is no such file.")
    elif isinstance(item, bytes) and item.startswith(b"PK"):
        yield from _unzip(item, f"zip {number}")
    elif isinstance(item, bytes):
        yield SetPhoto(f"photo {number}", functools.partial(_same, item), version=hashlib.sha256(item).hexdigest())
    else:
        photo = item if isinstance(item, PhotoInput) else PhotoInput(decode(item, "files", settings().max_pixels))
        yield SetPhoto(f"photo {number}", functools.partial(_same, photo.picture), version=photo.sha256)


def _same(item: T) -> T:
    """What is loaded already. Named, as all that loads photos, so that a list of them can go to another process."""
    return item


class _Zip(zipfile.ZipFile):
    """A zip that is read; another process opens it anew."""

    def __init__(self, source: Path | bytes) -> None:
        super().__init__(io.BytesIO(source) if isinstance(source, bytes) else source)
        self._source = source

    def __reduce__(self) -> tuple[Any, ...]:
        return _Zip, (self._source,)


def _unzip(source: Path | bytes, name: str) -> Iterator[SetPhoto]:
    """The entries of a zip. Nothing is unpacked to paths; a name is only a caption."""
    try:
        archive = _Zip(source)
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError):
        raise InvalidInput("files", name, "a zip of photos", "It is damaged, cut off or no zip.") from None
    version = _hash_file(source) if isinstance(source, Path) else hashlib.sha256(source).hexdigest()
    entries = [entry for entry in archive.infolist() if not entry.is_dir()]
    limit, total = settings().max_photos, sum(entry.file_size for entry in entries)
    if len(entries) > limit:
        raise InvalidInput("files", f"{name} with {len(entries):,} entries", f"at most {limit:,}", "Bring fewer.")
    if total > settings().unpacked_bytes:
        allowed = f"at most {settings().unpacked_bytes / 2**20:,.0f} MiB (TIMMSCOPE_UNPACKED_BYTES)"
        raise InvalidInput("files", f"{name} with {total / 2**20:,.0f} MiB unpacked", allowed)
    for position, entry in enumerate(entries):
        parts = [part for part in _entry_name(entry).replace("\\", "/").split("/") if part not in ("", ".", "..")]
        load = functools.partial(_read_entry, archive, entry)
        yield _in_folder(PurePosixPath(*parts or [f"entry {position + 1}"]), load, f"{version}:{position}")


def _entry_name(entry: zipfile.ZipInfo) -> str:
    """The name of an entry. Many systems write UTF-8 without the flag that says so: it is read as code page 437."""
    try:
        return entry.filename if entry.flag_bits & UTF_8 else entry.filename.encode("cp437").decode()
    except UnicodeError:  # it is in that code page indeed
        return entry.filename


def _read_entry(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    try:
        with archive.open(entry) as file:
            return _read(file)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError):
        raise InvalidInput("files", entry.filename, "a photo", "The entry is damaged.") from None
    except (RuntimeError, NotImplementedError):  # what zipfile raises for a password or an unknown compression
        raise InvalidInput("files", entry.filename, "an entry without a password, packed as usual") from None


def _read_file(path: Path) -> bytes:
    with path.open("rb") as file:
        return _read(file)


def _read(file: IO[bytes]) -> bytes:
    """The content of one photo, of which never more than the limit is unpacked."""
    limit = settings().upload_bytes
    data = file.read(limit + 1)
    if len(data) > limit:
        raise InvalidInput("files", f"more than {limit / 2**20:,.0f} MiB", f"at most {limit / 2**20:,.0f} MiB a photo")
    return data


def _walk(root: Path) -> Iterator[SetPhoto]:
    """The files below a folder, sorted. Links that leave it are not followed, hidden files not looked at."""
    home = root.resolve()
    for place, folders, files in os.walk(home):  # does not enter linked folders
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(name for name in files if not name.startswith(".")):
            path = Path(place, name)
            if path.is_symlink() and not path.resolve().is_relative_to(home):
                continue
            try:
                state = path.stat()
            except OSError:  # gone, or a broken link
                continue
            inside = PurePosixPath(path.relative_to(home).as_posix())
            version = f"{state.st_size}:{state.st_mtime_ns}"
            yield _in_folder(inside, functools.partial(_read_file, path), version)


def _in_folder(path: PurePosixPath, load: Callable[[], Any], version: str) -> SetPhoto:
    """A photo named by its path, whose folder is its label."""
    return SetPhoto(str(path), load, path.parent.name, version)


def _separate(found: Iterable[SetPhoto]) -> tuple[list[SetPhoto], dict[str, str]]:
    """What may be a photo by its name, under unique names, and what is none with the reason."""
    given = [photo for photo in found if not _is_added(PurePosixPath(photo.name))]
    photos: list[SetPhoto] = []
    skipped: dict[str, str] = {}
    for photo, name in zip(given, distinct(photo.name for photo in given)):
        if PurePosixPath(photo.name).suffix.lower() in SUFFIXES:
            photos.append(replace(photo, name=name))
        else:
            skipped[name] = NO_PHOTO
    return one_label_is_none(photos), skipped


def _is_added(path: PurePosixPath) -> bool:
    """Whether it is what systems add to folders and zips, and nobody has put there."""
    return "__MACOSX" in path.parts or path.name.startswith(".")


def one_label_is_none(photos: list[SetPhoto]) -> list[SetPhoto]:
    """The photos without their label when all have the same: one folder around all says nothing."""
    if len({photo.label for photo in photos}) > 1:
        return photos
    return [replace(photo, label="") for photo in photos]


def _listed(
    name: str, title: str, photos: Sequence[SetPhoto], skipped: dict[str, str] | None = None, of: int = 0
) -> PhotoList:
    return PhotoList(name, title, photos, skipped, of, settings().max_pixels)


def _hash_file(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(2**20):
            digest.update(block)
    return digest.hexdigest()
