"""ZeroGPU on this machine: the device API played by a small server, and the app under the real `spaces` package.

Started as a program it is the app. Without CUDA, two functions of `spaces` that only move tensors to the GPU are left
out; its emulation in the app, the forked workers, the queues between them and the pickling are the real ones.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

CGROUP = "1:devices:/test\n"


class DeviceApi:
    """What the device API was asked: path and parameters of each call."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, str]]] = []

    def asked(self, path: str) -> list[dict[str, str]]:
        return [parameters for called, parameters in self.calls if called == path]


@contextlib.contextmanager
def device_api() -> Iterator[tuple[str, DeviceApi]]:
    """Play the device API: one GPU, always free. Yields its address and its record."""
    api = DeviceApi()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            url = urlsplit(self.path)
            api.calls.append((url.path, {key: values[0] for key, values in parse_qs(url.query).items()}))
            answer = {"idle": True, "nvidiaIndex": 0, "nvidiaUUID": "GPU-0", "allowToken": f"token-{len(api.calls)}"}
            body = json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", api
    finally:
        server.shutdown()
        server.server_close()


def environment(url: str, folder: Path) -> dict[str, str]:
    """The variables of a ZeroGPU Space without a GPU."""
    cgroup = folder / "cgroup"
    cgroup.write_text(CGROUP)
    return {
        "SPACES_ZERO_GPU": "true",
        "SPACES_ZERO_DEVICE_API_URL": url,
        "ZEROGPU_PROC_SELF_CGROUP_PATH": str(cgroup),
        "ZEROGPU_OFFLOAD_DIR": str(folder / "tensors"),
        "TIMMSCOPE_DEVICE": "cpu",
        "HOME": str(folder),
    }


if __name__ == "__main__":
    import spaces.zero.torch

    spaces.zero.torch.init = lambda nvidia_uuid: None
    spaces.zero.torch.move = lambda callback=None: None

    import app

    app.main()
