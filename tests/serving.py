"""A real server in a process of its own, for the tests of the web face."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).parent.parent
STARTUP_SECONDS = 90


class Server:
    """A running app.

    Args:
        url: Its address, without a trailing slash.
        log: File that receives its log.
        process: Its process.
    """

    def __init__(self, url: str, log: Path, process: subprocess.Popen) -> None:
        self.url, self.log, self.process = url, log, process
        self.http = httpx.Client(base_url=f"{url}/gradio_api", timeout=90, trust_env=False)

    def upload(self, data: bytes, name: str = "photo.png") -> dict[str, Any]:
        """Upload a file and return its record."""
        path = self.http.post("/upload", files={"files": (name, data)}).json()[0]
        return {"path": path, "orig_name": name, "meta": {"_type": "gradio.FileData"}}

    def start(self, endpoint: str, values: Any) -> httpx.Response:
        """Post a call: a dict goes to the endpoint with named values, anything else is the raw body."""
        path = f"/call/v2/{endpoint}" if isinstance(values, dict) else f"/call/{endpoint}"
        body = values if isinstance(values, bytes) else json.dumps(values)  # writes NaN, as careless clients do
        return self.http.post(path, content=body, headers={"Content-Type": "application/json"})

    def finish(self, endpoint: str, event: str) -> tuple[str, Any]:
        """Wait for the last event of a call: its kind ("complete" or "error") and its data."""
        stream = self.http.get(f"/call/{endpoint}/{event}").text
        kind, data = stream.strip().split("\n\n")[-1].split("\n", 1)
        return kind.removeprefix("event: "), json.loads(data.removeprefix("data: "))

    def call(self, endpoint: str, values: dict[str, Any]) -> tuple[str, Any]:
        """Start a call and wait for its last event."""
        return self.finish(endpoint, self.start(endpoint, values).json()["event_id"])

    def get_file(self, record: dict[str, Any]) -> bytes:
        """The content of a file of a result."""
        return httpx.get(record["url"], trust_env=False).raise_for_status().content


@contextlib.contextmanager
def serving(
    folder: Path, command: Sequence[str] = (sys.executable, "app.py"), cwd: Path = ROOT, **environment: str
) -> Iterator[Server]:
    """Start the app on a free port, wait until it answers, and end it after the block.

    Args:
        folder: Where its temporary files and log go.
        command: What starts it.
        cwd: Where it is started.
        **environment: More environment variables.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = folder / "server.log"
    variables = os.environ | {"GRADIO_SERVER_PORT": str(port), "GRADIO_TEMP_DIR": str(folder / "gradio")} | environment
    with log.open("w") as output:
        process = subprocess.Popen(command, cwd=cwd, env=variables, stdout=output, stderr=subprocess.STDOUT)
    server = Server(f"http://127.0.0.1:{port}", log, process)
    try:
        deadline = time.monotonic() + STARTUP_SECONDS
        while True:
            with contextlib.suppress(httpx.TransportError):
                if server.http.get("/info").is_success:
                    break
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the server did not start:\n{log.read_text()}")
            time.sleep(0.2)  # between two questions whether it is up
        yield server
    finally:
        process.terminate()
        process.wait(10)
