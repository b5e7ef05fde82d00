"""Threads that share one gradio_client `Client`, over a network whose answers are late: calls that are lost.

    python -m benchmarks.clients [--calls 2000] [--threads 8] [--late 0.03] [--pause 0.5] [--plain | --own]

`--plain` is a Gradio app with one function and nothing of ours; with `--own` each thread has a Client of its own.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import io
import random
import socket
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import CancelledError, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import skimage.data
from gradio_client import Client
from gradio_client.exceptions import AppError
from PIL import Image

from tests.serving import serving

COMPUTED = 10  # of so many calls one is computed; the others are refused, so that streams end often
PLAIN = """
import os
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
import gradio as gr
with gr.Blocks() as page:
    inputs, output = [gr.JSON(), gr.Textbox(), gr.Textbox(), gr.Number()], gr.Textbox()
    def saliency(image, model, weights, samples):
        if samples == 0:
            raise gr.Error("none")
        yield "x"
    gr.Button().click(saliency, inputs, output, api_name="saliency", concurrency_limit=2)
page.queue(max_size=None).launch(mcp_server=True)
"""


@contextlib.contextmanager
def late(url: str, seconds: float, seed: int = 0) -> Iterator[str]:
    """The address of a server behind a network that holds back each piece of what it sends, for up to so long.

    Args:
        url: The server's own address.
        seconds: The longest that a piece is held back.
        seed: Of how long each is.
    """
    port, chance = int(url.rpartition(":")[2]), random.Random(seed)

    def pass_on(source: socket.socket, sink: socket.socket, seconds: float) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                time.sleep(seconds * chance.random())
                sink.sendall(data)
        for side in (source, sink):  # whoever hangs up ends both
            with contextlib.suppress(OSError):
                side.shutdown(socket.SHUT_RDWR)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = listening.accept()
                server = socket.create_connection(("127.0.0.1", port))
                for arguments in ((client, server, 0.0), (server, client, seconds)):
                    threading.Thread(target=pass_on, args=arguments, daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=accept, daemon=True).start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        listening.shutdown(socket.SHUT_RDWR)


def client(url: str) -> Client:
    """A Client that spends no time on certificates, and waits for a busy server."""
    options = {"verbose": False, "ssl_verify": False, "download_files": False, "analytics_enabled": False}
    return Client(url, **options, httpx_kwargs={"timeout": 60})


def call(client: Client, values: dict[str, Any]) -> str:
    """How a call of a saliency map ends: "complete", "refused" or "lost"."""
    try:
        client.predict(**values, api_name="/saliency")
    except AppError:
        return "refused"
    except CancelledError:
        return "lost"
    return "complete"


def calls(url: str, count: int, threads: int, pause: float, own: bool = False, seed: int = 0) -> Counter[str]:
    """How the calls of many threads end.

    Args:
        url: Address of a server.
        count: How many calls.
        threads: How many at once.
        pause: The longest that a thread waits before a call, in seconds.
        own: Whether each thread has a Client of its own instead of all sharing one.
        seed: Of the pauses.
    """
    buffer = io.BytesIO()
    Image.fromarray(skimage.data.chelsea()).resize((64, 48)).save(buffer, "PNG")
    photo = {"path": "cat.png", "url": "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()}
    values = {"image": photo, "model": "test_resnet", "weights": "random"}
    chance = random.Random(seed)
    pauses = [chance.random() * pause for _ in range(count)]
    shared, local = client(url), threading.local()

    def one(number: int) -> str:
        if own and not hasattr(local, "client"):
            local.client = client(url)
        time.sleep(pauses[number])
        samples = 0 if number % COMPUTED else 1
        return call(local.client if own else shared, values | {"samples": samples})

    with ThreadPoolExecutor(threads) as pool:
        return Counter(pool.map(one, range(count)))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=2000)
    parser.add_argument("--threads", type=int, default=8)
    parser.add_argument("--late", type=float, default=0.03)
    parser.add_argument("--pause", type=float, default=0.5)
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--plain", action="store_true")
    which.add_argument("--own", action="store_true")
    options = parser.parse_args()
    command = (sys.executable, "-c", PLAIN) if options.plain else (sys.executable, "app.py")
    begin = time.perf_counter()
    with (
        tempfile.TemporaryDirectory() as folder,
        serving(Path(folder), command, TIMMSCOPE_CACHE_FOLDER=folder) as server,
        late(server.url, options.late) as url,
    ):
        ends = calls(url, options.calls, options.threads, options.pause, options.own)
    print(f"{options.calls:,} calls in {time.perf_counter() - begin:.0f} s: {dict(ends)}")
    raise SystemExit(bool(ends["lost"]))


if __name__ == "__main__":
    main()
