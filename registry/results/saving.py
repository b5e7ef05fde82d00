"""A result on disk: written whole or not at all, and alone in its place."""

from __future__ import annotations

import contextlib
import json
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ..base.errors import TimmscopeError, excerpt
from ..base.names import on_disk, readable
from ..declare.technique import Technique

if TYPE_CHECKING:
    from .result import Result

ARRAYS, RECIPE = "arrays.npz", "recipe.json"
PHOTOS = "photos"  # folder of the photos beside a recipe
FILES = ".timmscope.json"  # names of the files that a result has written into a folder


class FolderTaken(TimmscopeError):
    """A folder with files of a result's names that no former result has written."""


def save(result: Result, folder: Path) -> list[Path]:
    """Write a result into a folder, in the place of a former one; `Result.save` says what.

    All is written beside its place first, so that a disk that is full leaves the folder as it was.

    Raises:
        FolderTaken: As for `refuse_taken`.
    """
    refuse_taken(folder, result.technique)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".timmscope-", dir=folder) as unfinished:
        new, former = list(_written(result, Path(unfinished))), _former(folder)
        _note(folder, [*former, *new])  # so that the next result finds all, wherever this one is cut off
        for name in [RECIPE, *(set(former) - set(new))]:  # no recipe lies beside another result
            (folder / name).unlink(missing_ok=True)
        if any(name.startswith(f"{PHOTOS}/") for name in former):
            with contextlib.suppress(OSError):  # somebody has something else in it
                (folder / PHOTOS).rmdir()
        for name in new:
            (folder / name).parent.mkdir(exist_ok=True)
            os.replace(Path(unfinished, name), folder / name)
    _note(folder, new)
    return [folder / name for name in new]


def refuse_taken(folder: Path, technique: Technique) -> None:
    """Refuse a folder in which results of a technique would be mixed up with other files.

    Files of other names are no obstacle, and a former result is none, whatever technique it is of.

    Raises:
        FolderTaken: It has files with names of this technique's results that belong to no former result.
    """
    outputs = "|".join(re.escape(on_disk(port.name)) for port in technique.outputs)
    endings = "|".join({"png", "webp", "json", *(re.escape(end) for port in technique.outputs for end in port.endings)})
    photos = "|".join(on_disk(p.name) for p in technique.photos)
    names = re.compile(
        rf"({outputs})(_\d+)?\.({endings})|{PHOTOS}/({photos})\.png|{re.escape(ARRAYS)}|{re.escape(RECIPE)}"
    )
    former = {on_disk(name) for name in _former(folder)}
    there = (path.relative_to(folder).as_posix() for pattern in ("*", f"{PHOTOS}/*") for path in folder.glob(pattern))
    if taken := sorted(name for name in there if names.fullmatch(on_disk(name)) and on_disk(name) not in former):
        some = readable(", ".join(taken[:3])) + ", ..." * (len(taken) > 3)
        raise FolderTaken(
            f"The folder {excerpt(str(folder))} has files that a result would overwrite or be taken for, and no former "
            f"result has written them: {some}. Choose another folder, or move them."
        )


def _written(result: Result, place: Path) -> Iterator[str]:
    """Write all files of a result, the recipe last, and yield their names."""
    for name, pictures in result.pictures.items():
        for i, (picture, _) in enumerate(pictures):
            file = f"{name}.png" if len(pictures) == 1 else f"{name}_{i}.png"
            picture.save(place / file)
            yield file
    for port in result.present:
        for ending, data in port.files(result.outputs[port.name]):
            (place / f"{port.name}.{ending}").write_bytes(data)
            yield f"{port.name}.{ending}"
    for name, photo in result.photos.items():
        if not photo.name.startswith("sample:"):  # those are found by their name
            (place / PHOTOS).mkdir(exist_ok=True)
            photo.picture.save(place / PHOTOS / f"{name}.png")
            yield f"{PHOTOS}/{name}.png"
    (place / ARRAYS).write_bytes(result.npz())
    yield ARRAYS
    _write_json(place / RECIPE, result.recipe, indent=2)
    yield RECIPE


def _write_json(path: Path, value: object, indent: int | None = None) -> None:
    path.write_text(json.dumps(value, indent=indent, ensure_ascii=False) + "\n", encoding="utf-8")


def _former(folder: Path) -> list[str]:
    """The files that a former result has written into a folder."""
    try:
        names = json.loads((folder / FILES).read_text(encoding="utf-8"))
    except (OSError, ValueError):  # there is none
        return []
    ours = re.compile(rf"({PHOTOS}/)?\w+\.\w+")  # whatever the list says, nothing else is deleted
    return [name for name in names if ours.fullmatch(str(name))] if isinstance(names, list) else []


def _note(folder: Path, names: list[str]) -> None:
    unfinished = folder / f"{FILES}.new"
    _write_json(unfinished, names)
    os.replace(unfinished, folder / FILES)
