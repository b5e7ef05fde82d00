"""Speed of indexing a photo set against timm's bare forward pass, and memory by the number of photos.

    python -m benchmarks.index [folder of photos]

Without a folder the photos are synthetic JPEG files of 320 x 240 pixels. The two sides of a ratio are run in turn, so
that a drifting machine slows both; medians are compared. The bare side has its pixels ready in memory and the fastest
of several batches; the index reads, decodes and scales its photos, and writes its file.
"""

from __future__ import annotations

import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image

import timmscope
from timmscope import PhotoList, SetPhoto
from timmscope.registry.photo_sets.index import index_key
from timmscope.registry.photo_sets.index_store import default_store

MODELS = {"tf_efficientnet_lite0": "pretrained", "resnet18": "random", "vit_tiny_patch16_224": "random"}
BATCHES = (1, 4, 8, 16, 32)
PHOTOS, ROUNDS = 64, 3
COUNTS = (500, 2_000, 10_000)


def cost(run: Callable[[], object]) -> tuple[float, float]:
    """Seconds, and seconds of processor time."""
    start, start_work = time.perf_counter(), time.process_time()
    run()
    return time.perf_counter() - start, time.process_time() - start_work


def synthetic(folder: Path) -> None:
    """Write photos that cost as much to decode as real ones: smooth shapes with some noise."""
    rng = np.random.default_rng(0)
    for i in range(PHOTOS):
        coarse = Image.fromarray(rng.integers(0, 255, (8, 10, 3), dtype=np.uint8)).resize((320, 240), Image.BICUBIC)
        noisy = np.asarray(coarse) + rng.normal(0, 6, (240, 320, 3))
        Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(folder / f"{i:03}.jpg", quality=90)


def listed(folder: Path, salt: str) -> PhotoList:
    """The photos of a folder, as a set that no other round has indexed."""
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png"))[:PHOTOS]
    return PhotoList("folder", "Folder", [SetPhoto(str(file), lambda file=file: file, "", salt) for file in files])


def index(model, photos: PhotoList, layer: str = "") -> timmscope.Index:
    """Index to the end."""
    for step in timmscope.index_photos(model, photos, layer):
        last = step
    return last.index


def speed(folder: Path) -> None:
    """Print images a second, ours over timm's bare forward, and the same of processor time, which load moves less."""
    count = len(listed(folder, ""))
    print(f"{count} photos, {torch.get_num_threads()} threads, load {os.getloadavg()[0]:.1f}")
    for name, weights in MODELS.items():
        with timmscope.lend(name, weights) as model:
            compare(model, folder, count)


def compare(model, folder: Path, count: int) -> None:
    """One model: features, then its default layer."""
    pixels = torch.randn(max(BATCHES), *model.config["input_size"]).to(memory_format=torch.channels_last)

    def bare(batch: int, images: int) -> None:
        with torch.no_grad():
            for _ in range(images // batch):
                model.module(pixels[:batch])

    bare(4, 8)
    rounds = [{batch: 32 / cost(lambda b=batch: bare(b, 32))[0] for batch in BATCHES} for _ in range(ROUNDS)]
    rates = {batch: statistics.median(found[batch] for found in rounds) for batch in BATCHES}
    best = max(rates, key=rates.get)
    print(f"{model.name}: bare images/s by batch " + ", ".join(f"{b}: {rate:.1f}" for b, rate in rates.items()))
    for layer in ("", model.default_layer):
        sides = []
        for i in range(ROUNDS):
            photos = listed(folder, f"{model.name} {layer} {i}")
            sides.append((cost(lambda p=photos, layer=layer: index(model, p, layer)), cost(lambda: bare(best, 64))))
        ours, theirs = (
            [statistics.median(costs[k] / images for costs in side) for k in range(2)]
            for side, images in zip(zip(*sides), (count, 64))
        )
        print(
            f"  {f'layer {layer}' if layer else 'features':22} {1 / ours[0]:6.1f} / {1 / theirs[0]:6.1f} images/s "
            f"= {theirs[0] / ours[0]:.2f}; of processor time {theirs[1] / ours[1]:.2f}   (aim 0.9 or more)"
        )
    again = listed(folder, f"{model.name}  0")
    print(f"  from disk              {cost(lambda: index(model, again))[0] * 1e3:6.1f} ms")


def peak() -> float:
    """Most memory this process has had at once, in MiB."""
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) / 1024


def memory(count: int) -> None:
    """Index `count` photos of 640 x 480, made when they are loaded, and print the peak of the resident memory."""

    def photo(i: int) -> SetPhoto:
        return SetPhoto(f"{i}", lambda: Image.new("RGB", (640, 480), (i % 256, i // 256, 90)), "", "1")

    with timmscope.lend("test_efficientnet", "random") as model:
        index(model, PhotoList("few", "Few", [photo(i) for i in range(20)]))
        before = peak()
        photos = PhotoList("many", "Many", [photo(i) for i in range(count)])
        took, _ = cost(lambda: index(model, photos))
        after, file = peak(), default_store().path(index_key(model, photos))
        print(
            f"{count:6,} photos: peak {after:5.0f} MiB, {after - before:4.0f} more than after 20 photos; "
            f"on disk {file.stat().st_size / 2**20:.1f} MiB; {took:.0f} s"
        )


def main(arguments: list[str]) -> None:
    """Print speed, then memory: each count in a process of its own."""
    if arguments[:1] == ["--memory"]:
        return memory(int(arguments[1]))
    with tempfile.TemporaryDirectory() as scratch:
        environment = os.environ | {"TIMMSCOPE_CACHE_FOLDER": scratch}
        if os.environ.get("TIMMSCOPE_CACHE_FOLDER") is None:  # settings are read once: start again with them
            subprocess.run([sys.executable, "-m", "benchmarks.index", *arguments], env=environment, check=True)
            return None
        folder = Path(arguments[0]) if arguments else Path(scratch)
        if not arguments:
            synthetic(folder)
        speed(folder)
        for count in COUNTS:
            subprocess.run([sys.executable, "-m", "benchmarks.index", "--memory", str(count)], check=True)
    return None


if __name__ == "__main__":
    main(sys.argv[1:])
