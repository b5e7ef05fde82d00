"""A run as text that works when pasted: Python and curl."""

from __future__ import annotations

import json
import shlex
from typing import Any
from urllib.parse import quote

from ..ports import Photo
from ..technique import Technique


def given_values(technique: Technique, values: dict[str, Any]) -> dict[str, Any]:
    """The values that differ from their defaults, in the order of the parameters."""
    return {
        p.name: values[p.name]
        for p in technique.parameters
        if p.name in values and (p.required or values[p.name] != p.default)
    }


def python_call(technique: Technique, values: dict[str, Any], url: str) -> str:
    """A call with gradio_client.

    Args:
        technique: The technique.
        values: Values as the page sent them; photos as Gradio's file records.
        url: Address of this server.
    """
    photos = {p.name for p in technique.parameters if isinstance(p.port, Photo)}
    fetched, lines = [], []
    for name, value in given_values(technique, values).items():
        if name in photos:
            fetched.append(f'{name} = urlretrieve("{url}/gradio_api/file={quote(value["path"])}")[0]')
        lines.append(f"    {name}={f'handle_file({name})' if name in photos else repr(_plain(value))},")
    results = ", ".join([*(port.name for port in technique.outputs), "arrays", "recipe"])
    return "\n".join(
        [
            *(["from urllib.request import urlretrieve", ""] if fetched else []),
            "from gradio_client import Client, handle_file",
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
    """Two calls with curl: the first starts the run, the second waits for its result."""
    photos = {p.name for p in technique.parameters if isinstance(p.port, Photo)}
    body = {
        name: {"path": value["path"], "meta": {"_type": "gradio.FileData"}} if name in photos else _plain(value)
        for name, value in given_values(technique, values).items()
    }
    data = shlex.quote(json.dumps(body, ensure_ascii=False))
    return (
        f"EVENT=$(curl -s {url}/gradio_api/call/v2/{technique.name} -H 'Content-Type: application/json' \\\n"
        f"  -d {data} | cut -d'\"' -f4)\n"
        f"curl -sN {url}/gradio_api/call/{technique.name}/$EVENT"
    )


def _plain(value: Any) -> Any:
    return "; ".join(str(item) for item in value) if isinstance(value, list) else value
