"""What the web face costs: a request over its technique alone, and the app's start over a bare Gradio page.

python -m benchmarks.serving [repeats]
"""

from __future__ import annotations

import io
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx
import skimage.data
from PIL import Image

import timmscope
from tests.serving import serving

ROOT = Path(__file__).parent.parent
# Imports what the app imports and shows one text box.
BARE = """
import os
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
import captum.attr, huggingface_hub, matplotlib, pandas, pluggy, pydantic_settings, safetensors.torch, timm, torch
import gradio as gr
with gr.Blocks() as page:
    gr.Textbox()
page.launch(mcp_server=True)
"""


def start(command: list[str], port: int) -> float:
    """Seconds until a command's server answers."""
    environment = os.environ | {"GRADIO_SERVER_PORT": str(port)}
    begin = time.perf_counter()
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while True:
            try:
                if httpx.get(f"http://127.0.0.1:{port}/config", trust_env=False).is_success:
                    return time.perf_counter() - begin
            except httpx.TransportError:
                time.sleep(0.02)
    finally:
        process.terminate()
        process.wait()


def main(repeats: int) -> None:
    """Print both comparisons."""
    buffer = io.BytesIO()
    picture = Image.fromarray(skimage.data.chelsea())
    picture.save(buffer, "PNG")
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder)) as server:
        for name in ("saliency", "grad_cam"):
            function = timmscope.plugins().technique(name)
            values = {"image": server.upload(buffer.getvalue())}
            photo = timmscope.PhotoInput(picture)
            with timmscope.lend("tf_efficientnet_lite0") as model:
                arguments = {"layer": model.default_layer} if name == "grad_cam" else {}
                requests, alone = [], []
                for _ in range(repeats + 1):  # the first of each warms up
                    begin = time.perf_counter()
                    server.call(name, values)
                    requests.append(time.perf_counter() - begin)
                    begin = time.perf_counter()
                    result = function(model, photo, **arguments)
                    list(result) if function.streams else None
                    alone.append(time.perf_counter() - begin)
            a, b = statistics.median(requests[1:]), statistics.median(alone[1:])
            print(f"{name}: request {a * 1e3:.0f} ms, technique alone {b * 1e3:.0f} ms: {(a - b) * 1e3:.0f} ms on top")

    pairs = [
        (start([sys.executable, "app.py"], 17860), start([sys.executable, "-c", BARE], 17861))
        for _ in range(max(3, repeats // 6))
    ]
    a, b = (statistics.median(side) for side in zip(*pairs))
    print(f"start: app {a:.2f} s / bare page with the same libraries {b:.2f} s = {a / b:.2f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 30)
