"""A run as text that works when pasted: Python, curl and the command line.

A photo is Gradio's file record where this server has it, and is fetched from there; a text is the name of a file in
the working folder, as in the documentation.
"""

from __future__ import annotations

import json
import shlex
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote

from ..base.names import on_disk
from ..cli.describe import flag
from ..declare.technique import FILES, Technique


def given_values(technique: Technique, values: dict[str, Any]) -> dict[str, Any]:
    """The values that differ from their defaults, in the order of the parameters; no files are as good as none."""
    return {
        p.name: values[p.name]
        for p in technique.parameters
        if p.name in values and (values[p.name] if p == FILES else p.required or values[p.name] != p.default)
    }


def python_call(technique: Technique, values: dict[str, Any], url: str) -> str:
    """A call with gradio_client.

    Args:
        technique: The technique.
        values: Values as the page sent them; photos as file records, or as names of files.
        url: Address of this server.
    """
    photos = {p.name for p in technique.photos}
    fetched, lines = [], []
    for name, value in given_values(technique, values).items():
        if name == FILES.name:
            fetched += [f"{name} = [", *_fetched(value, url), "]"]
            lines.append(f"    {name}=[handle_file(file) for file in {name}],")
            continue
        if name in photos and isinstance(value, str):
            lines.append(f"    {name}=handle_file({quoted(value)}),")
            continue
        if name in photos:
            fetched.append(f'{name} = urlretrieve("{url}/gradio_api/file={quote(value["path"])}")[0]')
        lines.append(f"    {name}={f'handle_file({name})' if name in photos else quoted(_plain(value))},")
    results = ", ".join([*(port.name for port in technique.outputs), "arrays", "recipe"])
    return "\n".join(
        [
            *(["from urllib.request import urlretrieve", ""] if fetched else []),
            "from gradio_client import Client" + (", handle_file" if any("handle_file(" in x for x in lines) else ""),
            "",
            *fetched,
            f'client = Client("{url}")',
            f"{results} = client.predict(",
            *lines,
            f'    api_name="/{technique.name}",',
            ")",
        ]
    )


def curl_call(technique: Technique, values: dict[str, Any], url: str) -> str:
    """Two calls with curl: the first starts the run, the second waits for its result. Files are uploaded before."""
    photos = {p.name for p in technique.photos}
    body: dict[str, Any] = {}
    uploads: dict[str, str] = {}
    for name, value in given_values(technique, values).items():
        if name == FILES.name:
            body[name] = [_record(file) for file in value]
        else:
            if name in photos and isinstance(value, str):
                variable = f"{name}_file".upper()
                uploads[variable], value = value, {"path": f"${variable}"}
            body[name] = _record(value) if name in photos else _plain(value)
    data = shlex.quote(json.dumps(body, ensure_ascii=False))
    for variable in uploads:
        data = data.replace(f'"path": "${variable}"', f'"path": "\'${variable}\'"')
    return "".join(
        f"{variable}=$(curl -s {url}/gradio_api/upload -F {shlex.quote(f'files=@{file}')} | cut -d'\"' -f2)\n"
        for variable, file in uploads.items()
    ) + (
        f"EVENT=$(curl -s {url}/gradio_api/call/v2/{technique.name} -H 'Content-Type: application/json' \\\n"
        f"  -d {data} | cut -d'\"' -f4)\n"
        f"curl -sN {url}/gradio_api/call/{technique.name}/$EVENT"
    )


def cli_call(technique: Technique, values: dict[str, Any], url: str) -> str:
    """A call of `timmscope run` in a POSIX shell; photos are fetched from this server first."""
    photos = {p.name for p in technique.photos}
    fetched, words = [], [f"timmscope run {technique.name}"]
    for name, value in given_values(technique, values).items():
        if name in photos and isinstance(value, str):
            words.append(f"{flag(name)} {shlex.quote(value)}")
        elif name in photos or name == FILES.name:
            for place, file in _places([value] if name in photos else value, url):
                if name in photos:
                    file = f"{technique.name}-{name}{PurePosixPath(file).suffix}"
                fetched.append(f"curl -s {shlex.quote(place)} -o {shlex.quote(file)}")
                words.append(f"{flag(name)} {shlex.quote(file)}")
        elif isinstance(value, bool):
            words.append(flag(name, value))
        else:
            words.append(f"{flag(name)} {shlex.quote(str(_plain(value)))}")
    return "\n".join([*fetched, " \\\n  ".join(words)])


def quoted(value: Any) -> str:
    """A value as Python's source has it, text in double quotes."""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)


def _fetched(files: list[dict[str, Any]], url: str) -> list[str]:
    """Lines that fetch uploaded files into the working folder."""
    return [f"    urlretrieve({place!r}, {name!r})[0]," for place, name in _places(files, url)]


def _places(files: list[dict[str, Any]], url: str) -> list[tuple[str, str]]:
    """Where each uploaded file is on this server, and its name in the working folder: names are captions."""
    names = [PurePosixPath(file["path"]).name for file in files]
    if len({on_disk(name) for name in names}) < len(names):
        names = [f"{i} {name}" for i, name in enumerate(names, 1)]  # all: "1 a.png" may be the name of another
    return [(f"{url}/gradio_api/file={quote(file['path'])}", name) for file, name in zip(files, names)]


def _record(file: dict[str, Any]) -> dict[str, Any]:
    """An uploaded file as Gradio takes it again."""
    return {"path": file["path"], "meta": {"_type": "gradio.FileData"}}


def _plain(value: Any) -> Any:
    return "; ".join(str(item) for item in value) if isinstance(value, list) else value
