"""Runs on a real server: fair and bounded queues, runs that end with their clients, health, and the log."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import sys
import time

import httpx
import pytest
from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client

import timmscope
from timmscope.registry.web import runs

from ..serving import serving

WAITING = 2  # runs that may wait
LONG = {"steps": 2000, "size": 32, "model": "test_convnext", "weights": "random"}  # a texture of many seconds
DEADLINE = 60
# Gradio asks its own page at the start, and ends where the answer takes longer than 3 s, as on a busy machine.
BUSY = "import gradio.networking, app; gradio.networking.url_ok = lambda url: False; app.main()"


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A server with short queues that logs JSON, started on a busy machine."""
    folder = tmp_path_factory.mktemp("small")
    with serving(
        folder, (sys.executable, "-c", BUSY), TIMMSCOPE_QUEUE_SIZE=str(WAITING), TIMMSCOPE_LOG_FORMAT="json"
    ) as server:
        yield server


@pytest.fixture
def photo(small, cat):
    return small.upload(cat)


def health(server) -> dict:
    return httpx.get(f"{server.url}/health", trust_env=False).raise_for_status().json()


def until(server, condition) -> dict:
    """The server's health as soon as it is as it should be."""
    deadline = time.monotonic() + DEADLINE
    while not condition(found := health(server)):
        assert time.monotonic() < deadline, found
        time.sleep(0.05)
    return found


def idle(found) -> bool:
    return not found["runs"] and not any(found["waiting"].values())


def lines(server) -> list[dict]:
    """The runs in the log."""
    entries = [json.loads(line) for line in server.log.read_text().splitlines() if line.startswith("{")]
    return [entry for entry in entries if entry["logger"] == "timmscope.runs"]


@contextlib.contextmanager
def listening(server, name, values):
    """A client that waits for its run in the block and is gone after it."""
    event = server.start(name, values).json()["event_id"]
    with (
        httpx.Client(base_url=f"{server.url}/gradio_api", timeout=DEADLINE, trust_env=False) as http,
        http.stream("GET", f"/call/{name}/{event}") as answer,
    ):
        yield event, answer


@pytest.mark.slow
def test_health_says_what_goes_on(small, photo):
    assert small.call("grad_cam", {"image": photo})[0] == "complete"
    found = until(small, idle)
    assert (found["status"], found["version"]) == ("ok", timmscope.__version__)
    assert found["device"] == "cpu"
    assert "tf_efficientnet_lite0 (pretrained)" in found["models"]
    assert found["waiting"] == {"light": 0, "heavy": 0}


@pytest.mark.slow
def test_a_light_run_passes_heavy_ones_and_each_ends_with_its_client(small, photo):
    with listening(small, "texture", {"image": photo, **LONG}) as (first, _):
        until(small, lambda found: found["runs"] == {"texture": 1})
        with listening(small, "texture", {"image": photo, **LONG}):
            until(small, lambda found: found["waiting"]["heavy"] == 1)
            assert small.call("grad_cam", {"image": photo})[0] == "complete"
            found = health(small)
            assert (found["runs"], found["waiting"]["heavy"]) == ({"texture": 1}, 1)
        until(small, lambda found: found["waiting"]["heavy"] == 0)  # one that waits goes with its client
    until(small, idle)
    (line,) = [line for line in lines(small) if line["request"] == first[:8]]
    assert (line["outcome"], line["technique"], line["model"]) == ("stopped", "texture", "'test_convnext'")
    assert line["seconds"] > 0


@pytest.mark.slow
def test_too_many_are_turned_away_with_a_message_and_light_ones_are_not(small, photo):
    with contextlib.ExitStack() as clients:
        clients.enter_context(listening(small, "texture", {"image": photo, **LONG}))
        until(small, lambda found: found["runs"] == {"texture": 1})
        for _ in range(WAITING):
            clients.enter_context(listening(small, "texture", {"image": photo, **LONG}))
        until(small, lambda found: found["waiting"]["heavy"] == WAITING)
        answer = small.start("deepdream", {"image": photo})
        assert answer.status_code == 503
        assert answer.json()["detail"] == f"Too many runs are waiting here: {WAITING}. Try again in a minute."
        assert small.call("grad_cam", {"image": photo})[0] == "complete"
    until(small, idle)


@pytest.mark.slow
def test_a_run_of_an_mcp_client_ends_when_it_is_cancelled(small, cat):
    picture = f"data:image/png;base64,{base64.b64encode(cat).decode()}"

    async def call_and_leave():
        async with (
            streamable_http_client(f"{small.url}/gradio_api/mcp/") as (read, write, _),
            ClientSession(read, write) as session,
        ):
            await session.initialize()
            call = asyncio.create_task(session.call_tool("texture", {"image": picture, **LONG}))
            while health(small)["runs"] != {"texture": 1}:
                assert not call.done(), call.result()
                await asyncio.sleep(0.05)
            call.cancel()

    asyncio.run(asyncio.wait_for(call_and_leave(), DEADLINE))
    until(small, idle)
    assert lines(small)[-1]["outcome"] == "stopped"


@pytest.mark.slow
def test_a_failed_run_is_named_in_the_log(small, photo):
    event = small.start("grad_cam", {"image": photo, "layer": "nonsense\nrun outcome=done"}).json()["event_id"]
    assert small.finish("grad_cam", event)[0] == "error"
    (line,) = [line for line in lines(small) if line["request"] == event[:8]]
    assert line["outcome"] == "InvalidInput"


def test_what_runs_is_noted_and_can_be_stopped():
    technique = timmscope.plugins().technique("grad_cam")
    with runs.noted("id", technique, "resnet18", session="page") as run:
        assert run in runs.going()
        assert run.wanted()
        runs.stop("another page", "grad_cam")
        runs.stop("page", "saliency")
        assert run.wanted()
        runs.stop("page", "grad_cam")
        assert not run.wanted()
    assert run not in runs.going()


def test_one_heavy_run_at_a_time_where_there_is_a_gpu(monkeypatch):
    monkeypatch.setattr(runs, "settings", lambda: runs_settings)
    runs_settings = type("Limits", (), {"parallel_runs": 3, "heavy_runs": 4})
    assert (runs.limit(runs.LIGHT), runs.limit(runs.HEAVY)) == (3, 4)
    monkeypatch.setattr(runs.loading, "default_device", lambda: type("Device", (), {"type": "cuda"}))
    assert (runs.limit(runs.LIGHT), runs.limit(runs.HEAVY)) == (3, 1)
