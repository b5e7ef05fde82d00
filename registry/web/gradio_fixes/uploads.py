"""Uploads without what makes a part of a form a file, and records of files that name none."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fastapi import HTTPException
from gradio import processing_utils, route_utils
from gradio.data_classes import FileData
from gradio.exceptions import InvalidPathError
from gradio_client.utils import is_http_url_like
from pydantic import ValidationError
from starlette.datastructures import FormData

MARK = "gradio.FileData"
PROBLEM = "files: got a part of a form without a file name, expected files."


class Files(route_utils.GradioMultiPartParser):
    """The parser of an upload, all of whose files are files."""

    async def parse(self) -> FormData:
        """Read the form; a part without a file name is text to Gradio, and no file."""
        form = await super().parse()
        if any(isinstance(part, str) for part in form.getlist("files")):
            raise HTTPException(422, PROBLEM)
        return form


def mend() -> None:
    """Let `/upload` refuse what is no file. Other forms have a parser of their own."""
    route_utils.GradioMultiPartParser = Files  # type: ignore[misc]


def askable(path: str) -> bool:
    """Whether `Path.exists` answers: it raises for a name that is too long, has a zero in it or lies behind a door."""
    try:
        Path(path).exists()
    except (OSError, ValueError):
        return False
    return "\0" not in path


async def wrong_record(value: Any, block: Any) -> str:
    """Why Gradio would stumble over the records of files in a value; empty when it would not.

    Args:
        value: What came for one input.
        block: The component of the input.
    """
    for record in records(value):
        if "meta" in record and (why := await _wrong(record, block)):
            return why
    return ""


def records(value: Any) -> Iterator[dict[str, Any]]:
    """Whatever has a path in a value from JSON. Without recursion, since it may be nested deeper than that goes."""
    left = [value]
    while left:
        value = left.pop()
        if isinstance(value, dict):
            if isinstance(value.get("path"), str):
                yield value
            left.extend(value.values())
        elif isinstance(value, list):
            left.extend(value)


async def _wrong(record: dict[str, Any], block: Any) -> str:
    if not isinstance(record["meta"], dict):
        return "meta that is no object"
    if record["meta"].get("_type") != MARK:
        return ""  # not read here; the registry looks at it
    try:
        file = FileData(**record)
    except ValidationError:
        return "values that a record of a file does not have"
    if not askable(file.path):
        return "a path that no disk can hold"
    if is_http_url_like(file.path):
        return "" if file.is_stream else await _fetched(file.path, block)
    try:
        processing_utils._check_allowed(file.path, True)
    except InvalidPathError:
        return "a path that was not uploaded"
    return ""


async def _fetched(address: str, block: Any) -> str:
    """Fetch a photo from an address, as Gradio would do next; it finds it in its cache then."""
    try:
        await block.async_move_resource_to_block_cache(address)
    except Exception as error:  # of any kind: the caller chose who answers there
        return f"an address that gave nothing, {type(error).__name__}"
    return ""
