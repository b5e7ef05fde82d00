"""Many clients at once on a real server: nothing wrong, nothing lost, flat memory, and no slower than one by one.

    python -m benchmarks.load [--clients 16] [--requests 1000] [--minutes 10] [--seed 0]

Clients call every technique at small settings on several models over raw HTTP. Each result is compared bit for bit
with that of the same call alone. It ends at whichever comes first, the requests or the minutes.
"""

from __future__ import annotations

import argparse
import io
import itertools
import json
import os
import random
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import skimage.data
from PIL import Image

import timmscope
from tests.serving import Server, serving
from timmscope import testing
from timmscope.registry.declare.ports import Files, Photo

from . import memory

MODELS = ("", "test_convnext", "test_vit", "resnet10t")  # the embedded one; the others have random weights
EVERY = 0.5  # seconds between two looks at the server
PATIENCE = 600.0  # seconds that a client waits for an answer


@dataclass
class Case:
    """One call, and what it gives alone.

    Args:
        technique: Name of the technique.
        values: Its inputs as JSON values.
        arrays: Its arrays alone.
        seconds: How long it takes alone.
    """

    technique: str
    values: dict[str, Any]
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    seconds: float = 0.0


@dataclass
class Watch:
    """What is seen of the server from outside while clients call it."""

    pid: int
    url: str
    memory: list[float] = field(default_factory=list)  # MiB
    health: list[float] = field(default_factory=list)  # seconds
    over: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Look until it is over."""
        with httpx.Client(trust_env=False, timeout=60) as http:
            while not self.over.wait(EVERY):
                start = time.perf_counter()
                http.get(f"{self.url}/health").raise_for_status()
                self.health.append(time.perf_counter() - start)
                self.memory.append(memory.resident(self.pid) / 2**20)


def cases(server: Server, techniques: list[str], models: tuple[str, ...]) -> list[Case]:
    """Every technique on every model, as calls to this server."""
    buffer = io.BytesIO()
    Image.fromarray(skimage.data.chelsea()).save(buffer, "PNG")
    photo = server.upload(buffer.getvalue())
    photos = [server.upload(data, f"{i}.png") for i, data in enumerate(testing.generated_photos())]
    found = []
    for name in techniques:
        technique = timmscope.plugins().technique(name)
        for model in models if technique.uses_model else ("",):
            values = testing.smallest(technique, None, model)
            for parameter in technique.parameters:
                if isinstance(parameter.port, Photo):
                    values[parameter.name] = photo
                elif isinstance(parameter.port, Files):
                    values[parameter.name] = photos
            found.append(Case(name, values))
    return found


class Client:
    """One client, with a connection of its own."""

    def __init__(self, url: str) -> None:
        self.http = httpx.Client(base_url=f"{url}/gradio_api", timeout=PATIENCE, trust_env=False)

    def call(self, case: Case) -> tuple[str, Any]:
        """ "complete" and the arrays, "error" and the message, "turned away" and the message, or "lost" and why."""
        try:
            answer = self.http.post(f"/call/v2/{case.technique}", json=case.values)
            if answer.status_code != 200:
                message = answer.json().get("detail")
                return ("turned away", message) if message else ("lost", f"status {answer.status_code}")
            text = self.http.get(f"/call/{case.technique}/{answer.json()['event_id']}").text
            kind, data = text.strip().split("\n\n")[-1].split("\n", 1)
            kind, value = kind.removeprefix("event: "), json.loads(data.removeprefix("data: "))
            if kind == "error":
                return ("error", value["error"]) if value and value.get("error") else ("lost", "an error without text")
            if kind != "complete":
                return "lost", f"the stream ended with {kind}"
            with np.load(io.BytesIO(self.http.get(value[-2]["url"]).raise_for_status().content)) as file:
                return "complete", dict(file)
        except (httpx.HTTPError, ValueError, KeyError, OSError) as error:
            return "lost", f"{type(error).__name__}: {error}"


def alone(server: Server, calls: list[Case], times: int = 3) -> list[Case]:
    """Make each call alone, for its arrays and its time, the first of several to warm up; what declines is left out."""
    client, kept = Client(server.url), []
    for case in calls:
        seconds = []
        for _ in range(times):
            start = time.perf_counter()
            kind, value = client.call(case)
            seconds.append(time.perf_counter() - start)
            if kind != "complete":
                break
        if kind == "complete":
            case.arrays, case.seconds = value, statistics.median(seconds[1:] or seconds)
            kept.append(case)
        else:
            print(
                f"left out: {case.technique} on {case.values.get('model') or 'the default'}: {value}", file=sys.stderr
            )
    return kept


def measure(
    server: Server, calls: list[Case], clients: int = 16, requests: int = 1000, minutes: float = 10.0, seed: int = 0
) -> dict[str, Any]:
    """Let clients make the calls in random order.

    Args:
        server: The server.
        calls: From `alone`.
        clients: How many at once.
        requests: Most requests.
        minutes: Most minutes; requests under way are waited for.
        seed: Of the order.

    Returns:
        Counts of answers by kind, with "wrong" for those that differ from the call alone; texts of what was not
        complete; seconds; the ratio of throughput to that of one client; memory and times of `/health`.
    """
    order = random.Random(seed).choices(calls, k=requests)
    numbers, lock, end = itertools.count(), threading.Lock(), time.monotonic() + 60 * minutes
    kinds, texts, work = Counter[str](), Counter[str](), 0.0
    watch = Watch(server.process.pid, server.url)
    watching = threading.Thread(target=watch.run, daemon=True)

    def work_on(_: int) -> None:
        nonlocal work
        client = Client(server.url)
        while time.monotonic() < end and (number := next(numbers)) < len(order):
            case = order[number]
            kind, value = client.call(case)
            if kind == "complete" and not same(value, case.arrays):
                kind, value = "wrong", case.technique
            with lock:
                kinds[kind] += 1
                if kind == "complete":
                    work += case.seconds
                else:
                    texts[f"{kind}: {value}"] += 1

    watching.start()
    start = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        list(pool.map(work_on, range(clients)))
    seconds = time.perf_counter() - start
    watch.over.set()
    watching.join()
    half = len(watch.memory) // 2
    return {
        "kinds": kinds,
        "texts": texts,
        "seconds": seconds,
        "throughput": work / seconds,
        "memory": (mean(watch.memory[:half]), mean(watch.memory[half:]), max(watch.memory, default=0.0)),
        "growth": slope(watch.memory) / max(1, sum(kinds.values())) * len(watch.memory) * 100,
        "health": sorted(watch.health) or [0.0],
    }


def same(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> bool:
    """Whether all arrays are equal bit for bit."""
    return found.keys() == expected.keys() and all(np.array_equal(found[name], expected[name]) for name in expected)


def mean(values: list[float]) -> float:
    return statistics.fmean(values) if values else 0.0


def slope(values: list[float]) -> float:
    """Of the line through the second half of the values, a step: the first fills caches."""
    rest = values[len(values) // 2 :]
    return float(np.polyfit(range(len(rest)), rest, 1)[0]) if len(rest) > 1 else 0.0


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--requests", type=int, default=1000)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    names = list(timmscope.plugins().techniques)
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder), TIMMSCOPE_CACHE_FOLDER=folder) as server:
        begun = time.perf_counter()
        calls = alone(server, cases(server, names, MODELS))
        different = len({case.technique for case in calls})
        print(f"{len(calls)} calls of {different} techniques alone: {time.perf_counter() - begun:.0f} s", flush=True)
        found = measure(server, calls, options.clients, options.requests, options.minutes, options.seed)
    kinds, health = found["kinds"], found["health"]
    first, second, most = found["memory"]
    rows = {
        "clients": options.clients,
        "requests": sum(kinds.values()),
        "minutes": f"{found['seconds'] / 60:.1f}",
        "equal to the call alone, bit for bit": kinds["complete"],
        "different": kinds["wrong"],
        "answered with an error": kinds["error"],
        "turned away with a message": kinds["turned away"],
        "lost without a message": kinds["lost"],
        "throughput / one client": f"{found['throughput']:.2f}",
        "memory, first half / second half / most": f"{first:.0f} / {second:.0f} / {most:.0f} MiB",
        "growth in the second half, by 100 requests": f"{found['growth']:+.1f} MiB",
        "/health, median / 99 % / slowest": " / ".join(
            f"{health[int(share * (len(health) - 1))] * 1e3:.0f}" for share in (0.5, 0.99, 1)
        )
        + " ms",
    }
    print("\n| figure | measured |\n|---|---|")
    for name, value in rows.items():
        print(f"| {name} | {value} |")
    for text, count in found["texts"].most_common(20):
        print(f"{count} x {text[:200]}")
    raise SystemExit(bool(kinds["wrong"] or kinds["lost"] or kinds["error"]))


if __name__ == "__main__":
    main()
