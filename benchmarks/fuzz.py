"""Hostile calls of every endpoint of a real server, and what they are answered.

python -m benchmarks.fuzz [--calls 10000] [--seed 0] [--minutes 30] [--workers 4] [--log FILE]

Counts calls, distinct answers and defects. A defect is: a 5xx, a traceback, a path or an internal error in an answer,
an error without a text, no answer in time, a server that does not serve afterwards, or one whose memory grows or is
more than what bounds it.
"""

from __future__ import annotations

import argparse
import base64
import collections
import io
import json
import re
import sys
import tempfile
import threading
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import skimage.data
from PIL import Image

from tests.serving import ROOT, Server, serving

from . import fuzz_calls, memory
from .fuzz_calls import Call, Photo

SECONDS = 60.0  # longest answer: the time budget of a run, and the queue before it
BUDGET = 20  # seconds of one run
SETTLING = 20  # seconds without a run, in which the server sweeps its memory at least once
ENOUGH = 2_000  # calls from which growth is told: models and caches fill up during the first hundreds
LIMITS = {
    "TIMMSCOPE_TIME_BUDGET": str(BUDGET),
    "TIMMSCOPE_HUB": "0",
    "TIMMSCOPE_CACHE_BYTES": str(memory.CACHE),
    "TIMMSCOPE_PARALLEL_RUNS": "2",
    "OMP_NUM_THREADS": "1",
}
INTERNAL = re.compile(
    r"Traceback|Internal error|File \"|site-packages|\b[A-Z]\w*(Error|Exception)\b(?!\W*\))|0x[0-9a-f]{8,}|\.py\b:\d"
)

ECHO = re.compile(r"got .*?, expected", re.DOTALL)  # answers repeat what was given


@dataclass
class Answer:
    """What a call was answered: its status, the kind of its last event, and the text of its refusal."""

    status: int
    kind: str = ""
    text: str = ""
    seconds: float = 0
    empty: bool = False


@dataclass
class Tally:
    """Counts of calls and answers, and the defects with an example each."""

    calls: collections.Counter[str] = field(default_factory=collections.Counter)
    kinds: collections.Counter[tuple[str, str]] = field(default_factory=collections.Counter)
    answers: set[str] = field(default_factory=set)
    defects: dict[str, tuple[Call, str]] = field(default_factory=dict)
    slowest: float = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, call: Call, answer: Answer, secrets: Iterable[str]) -> None:
        """Count an answer and judge it."""
        what = judge(call, answer, secrets)
        with self.lock:
            self.calls[call.form] += 1
            self.kinds[call.form, answer.kind or str(answer.status)] += 1
            self.answers.add(template(answer))
            self.slowest = max(self.slowest, answer.seconds)
            if what:
                self.defects.setdefault(f"{call.form}: {what}", (call, answer.text[:400]))


def template(answer: Answer) -> str:
    """The answer without what it repeats, so that answers can be told apart."""
    text = ECHO.sub("got ..., expected", answer.text)
    text = re.sub(r"'[^']*'|\"[^\"]*\"|\d[\d.,]*", "_", text)
    return f"{answer.status} {answer.kind} {text[:120]}"


def judge(call: Call, answer: Answer, secrets: Iterable[str]) -> str:
    """What is wrong with an answer; empty when nothing is."""
    if answer.seconds > SECONDS:
        return "no answer in time"
    if answer.status >= 500:
        return f"status {answer.status}: {template(answer)}"
    if answer.empty:
        return "an error without a text"
    if answer.kind == "complete":
        return ""
    given, text = repr(call), ECHO.sub("", answer.text)
    for found in INTERNAL.finditer(text):
        if found.group() not in given:
            return f"internals in an answer: {template(answer)}"
    # The protocol's own check of a tool repeats what was given, which may be the path of the upload.
    if call.form not in ("get", "tool") and any(secret in text for secret in secrets):
        return f"a path in an answer: {template(answer)}"
    return ""


class Fuzzer:
    """Sends calls to a server.

    Args:
        server: The server.
    """

    def __init__(self, server: Server) -> None:
        self.server = server
        limits = httpx.Limits(max_keepalive_connections=0)  # a broken connection is then never one that was idle
        self.http = httpx.Client(base_url=server.http.base_url, timeout=SECONDS, trust_env=False, limits=limits)
        buffer = io.BytesIO()
        Image.fromarray(skimage.data.chelsea()).resize((64, 48)).save(buffer, "PNG")
        self.data_url = "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
        self.photo = server.upload(buffer.getvalue(), "cat.png")
        self.secrets = [str(ROOT), str(Path(self.photo["path"]).parent.parent), sys.prefix, str(Path.home()) + "/"]
        self.tally = Tally()

    def functions(self) -> dict[int, int]:
        """Every function of the page by its index, also the private ones, with its number of inputs."""
        config = httpx.get(f"{self.server.url}/config", trust_env=False, timeout=SECONDS).json()
        return {function["id"]: len(function["inputs"]) for function in config["dependencies"]}

    def send(self, call: Call, deadline: float) -> None:
        """Send a call, wait for its answer and count it, unless it is later than the deadline."""
        if time.monotonic() > deadline:
            return
        begin = time.perf_counter()
        try:
            answer = getattr(self, f"_{call.form}")(call)
        except httpx.TimeoutException:
            answer = Answer(0, "timeout", "", SECONDS + 1)
        except httpx.TransportError as error:
            answer = Answer(599, "broken", f"{type(error).__name__}")
        answer.seconds = answer.seconds or time.perf_counter() - begin
        self.tally.add(call, answer, self.secrets)

    def _named(self, call: Call) -> Answer:
        return self._event(f"call/v2/{_quoted(call.target)}", call, self._plain(call.body))

    def _listed(self, call: Call) -> Answer:
        return self._event(f"call/{call.target}", call, {"data": self._plain(call.body)})

    def _event(self, path: str, call: Call, body: Any) -> Answer:
        response = self._posted(path, body)
        if not response.is_success:
            return _refused(response)
        event = response.json()["event_id"]
        stream = self._stream(f"call/{_quoted(call.target)}/{event}")
        last = stream.strip().split("\n\n")[-1]
        kind, _, data = last.partition("\n")
        return _ended(kind.removeprefix("event: "), data.removeprefix("data: "))

    def _join(self, call: Call) -> Answer:
        session = f"fuzz{time.monotonic_ns()}"
        body = self._plain(call.body) | {"fn_index": call.target, "session_hash": session}
        response = self._posted("queue/join", body)
        if not response.is_success:
            return _refused(response)
        stream = self._stream(f"queue/data?session_hash={session}", '"process_completed"')
        messages = [json.loads(part.removeprefix("data: ")) for part in stream.strip().split("\n\n") if part]
        done = next((m for m in messages if m.get("msg") == "process_completed"), None)
        if done is None:
            return Answer(200, "error", stream[-300:], empty=True)
        if done["success"]:
            return Answer(200, "complete")
        return _ended("error", json.dumps(done["output"]))

    def _run(self, call: Call) -> Answer:
        response = self._posted(f"run/{call.target}", {"data": self._plain(call.body)})
        return Answer(200, "complete") if response.is_success else _refused(response)

    def _tool(self, call: Call) -> Answer:
        params = {"name": call.target, "arguments": self._plain(call.body, self.data_url)}
        body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
        response = self._posted("mcp/", body, Accept="application/json, text/event-stream")
        if not response.is_success:
            return _refused(response)
        answer = json.loads(response.text.rpartition("data: ")[2] or "{}")
        if "error" in answer:
            text = str(answer["error"].get("message", ""))
            return Answer(200, "error", text, empty=not text)
        if "result" not in answer:
            return Answer(200, "lost", response.text[-300:], empty=True)
        texts = [part.get("text", "") for part in answer["result"]["content"]]
        failed = answer["result"].get("isError")
        return Answer(200, "error" if failed else "complete", " ".join(texts), empty=bool(failed) and not any(texts))

    def _upload(self, call: Call) -> Answer:
        name = call.target.encode("utf-8", "replace").decode()
        response = self.http.post("/upload", files={"files": (name, call.body)})
        if not response.is_success:
            return _refused(response)
        (path,) = response.json()
        inside = Path(path).resolve().is_relative_to(Path(self.photo["path"]).parent.parent.resolve())
        if not inside:
            return Answer(500, "error", f"written outside: {path}")
        record = {"path": path, "orig_name": name, "meta": {"_type": "gradio.FileData"}}
        return self._event("call/v2/saliency", Call("named", "saliency", None), {"image": record, **CHEAP_RUN})

    def _get(self, call: Call) -> Answer:
        value = quote(call.body[:2000].encode("utf-8", "replace"), safe="/:")
        text, status = "", 0
        with self.http.stream("GET", f"{self.server.url}/gradio_api/" + call.target.replace("{}", value)) as response:
            status = response.status_code
            for chunk in response.iter_bytes():
                text += chunk.decode("utf-8", "replace")
                if len(text) > 100_000 or "heartbeat" in text:
                    break
        # What is served is not judged but for the files that must not be.
        leaked = re.search(r"root:x:0|^PATH=|^def main\(", text, re.MULTILINE) is not None
        return Answer(500 if leaked else status, "leak" if leaked else "", text[:300] if status >= 400 else "")

    def _post(self, call: Call) -> Answer:
        response = self.http.post(f"/{call.target}", content=call.body, headers={"Content-Type": "application/json"})
        return Answer(200, "complete") if response.is_success else _refused(response)

    def _posted(self, path: str, body: Any, **headers: str) -> httpx.Response:
        content = json.dumps(body).encode()  # writes NaN and surrogates, as careless clients do
        return self.http.post(f"/{path}", content=content, headers={"Content-Type": "application/json", **headers})

    def _stream(self, path: str, last: str = "") -> str:
        deadline, text = time.monotonic() + SECONDS, ""
        with self.http.stream("GET", f"/{path}") as response:
            for chunk in response.iter_text():
                text += chunk
                if last and last in text[-100_000:] and text.endswith("\n\n"):
                    break
                if time.monotonic() > deadline:
                    raise httpx.ReadTimeout("too long")
        return text

    def _plain(self, value: Any, url: str = "") -> Any:
        """The values with the uploaded photo's record in its place, or its `data:` URL."""
        if isinstance(value, Photo):
            return url if url and not value.more else self.photo | dict(value.more)
        if isinstance(value, list):
            return [self._plain(item, url) for item in value]
        if isinstance(value, dict):
            return {key: self._plain(item, url) for key, item in value.items()}
        return value


CHEAP_RUN = {"model": "test_resnet", "weights": "random"}


def _quoted(name: str) -> str:
    return quote(name.encode("utf-8", "replace"), safe="")


def _refused(response: httpx.Response) -> Answer:
    return Answer(response.status_code, "refused", response.text, empty=not response.text.strip())


def _ended(kind: str, data: str) -> Answer:
    if kind != "error":
        return Answer(200, kind, "" if kind == "complete" else data, empty=kind != "complete")
    value = json.loads(data)
    text = value.get("error") if isinstance(value, dict) else None
    return Answer(200, "error", str(text or ""), empty=not text)


def settled(server: Server) -> int:
    """Memory of the server when nothing runs and it has handed back what nobody uses, in bytes."""
    deadline, values = time.monotonic() + SECONDS, []
    while not values or (len(values) < SETTLING and time.monotonic() < deadline):
        now = httpx.get(f"{server.url}/health", trust_env=False, timeout=SECONDS).json()
        idle = not now["runs"] and not any(now["waiting"].values())
        values = [*values, memory.resident(server.process.pid)] if idle or time.monotonic() > deadline else []
        time.sleep(1)  # between two looks
    return min(values)


def fuzz(server: Server, count: int, start: int, minutes: float = 30, workers: int = 4) -> tuple[Tally, list[int]]:
    """Send `count` calls; the tally, and the server's memory in bytes before them and after each tenth of them."""
    fuzzer = Fuzzer(server)
    calls = fuzz_calls.generate(fuzz_calls.endpoints(fuzzer.http), fuzzer.functions(), count, start)
    deadline, sizes = time.monotonic() + minutes * 60, [memory.resident(server.process.pid)]
    tenth = max(1, len(calls) // 10)
    with ThreadPoolExecutor(workers) as pool:
        for first in range(0, len(calls), tenth):
            sent = [pool.submit(fuzzer.send, call, deadline) for call in calls[first : first + tenth]]
            for future in sent:
                future.result()
            sizes.append(memory.resident(server.process.pid) if count < ENOUGH else settled(server))
            print(
                f"{fuzzer.tally.calls.total():,} calls, {sizes[-1] / 2**20:,.0f} MiB, "
                f"{len(fuzzer.tally.defects)} kinds of defect",
                file=sys.stderr,
                flush=True,
            )
            if time.monotonic() > deadline:
                break
    try:
        serves = httpx.get(f"{server.url}/config", trust_env=False, timeout=SECONDS).is_success
    except httpx.TransportError:
        serves = False
    if not serves:
        fuzzer.tally.defects["the server does not serve any more"] = (Call("get", "../config", ""), "")
    if count >= ENOUGH and (what := memory.judge(sizes[0], sizes[1:])):
        fuzzer.tally.defects[what] = (Call("get", "", ""), str(sizes))
    return fuzzer.tally, sizes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--log", type=Path, help="where the server's log is kept")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        serving(Path(folder), TIMMSCOPE_CACHE_FOLDER=folder, **LIMITS) as server,
    ):
        tally, sizes = fuzz(server, options.calls, options.seed, options.minutes, options.workers)
        log, parts = server.log.read_text(errors="replace"), memory.held(server.process.pid)
    if options.log:
        options.log.write_text(log)
    print("| form | calls | complete | refused |\n|---|---|---|---|")
    for form, count in sorted(tally.calls.items()):
        complete = tally.kinds[form, "complete"] + tally.kinds[form, "200"]
        print(f"| {form} | {count:,} | {complete:,} | {count - complete:,} |")
    print(
        f"\n{tally.calls.total():,} calls, {len(tally.answers)} distinct answers, {len(tally.defects)} kinds of "
        f"defect; slowest answer {tally.slowest:.1f} s; {log.count('Traceback')} tracebacks and "
        f"{log.count('incident ')} incidents in the log; memory in MiB "
        f"{', '.join(f'{size / 2**20:,.0f}' for size in sizes)}, "
        f"of the last {', '.join(f'{size / 2**20:,.0f} {kind}' for kind, size in parts.items())}"
    )
    for what, (call, text) in tally.defects.items():
        print(f"\n{what}\n  {repr(call)[:600]}\n  {text}")
    sys.exit(bool(tally.defects))


if __name__ == "__main__":
    main()
