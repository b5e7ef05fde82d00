"""gradio_client and MCP on a real server: threads that share a client, many calls at once, calls that are given up."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any

import httpx
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError

from benchmarks import clients
from timmscope.registry.web.gradio_fixes.streams import PATIENCE

from ..serving import Server, serving
from ..web.test_runs import DEADLINE, LONG, idle, until

SOON = 0.5  # seconds in which what waits for nothing is answered


@pytest.fixture
def fresh(tmp_path):
    """A server that nobody has called yet."""
    with serving(tmp_path, TIMMSCOPE_QUEUE_SIZE="200") as server:
        yield server


def picture(number: int) -> dict[str, Any]:
    """A photo that is none; the answer repeats its number."""
    return {"path": "photo", "url": f"data:,{number}"}


def refused(answer: str, number: int) -> bool:
    return answer.startswith(f"image: got 'data:,{number}', expected")


def by_client(client: Client, number: int) -> str:
    try:
        return f"complete: {client.predict(image=picture(number), api_name='/saliency')}"
    except AppError as error:
        return str(error)


def by_tool(server: Server, number: int) -> str:
    params = {"name": "saliency", "arguments": {"image": f"data:,{number}"}}
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    headers = {"Accept": "application/json, text/event-stream"}
    with httpx.Client(timeout=DEADLINE, trust_env=False) as http:
        text = http.post(f"{server.url}/gradio_api/mcp/", json=body, headers=headers).text
    (answer,) = [json.loads(line.removeprefix("data: ")) for line in text.splitlines() if line.startswith("data: ")]
    return answer["result"]["content"][0]["text"]


def at_once(call: Callable[[int], str], count: int) -> dict[int, str]:
    """What calls by as many threads give, where it is not the refusal."""
    with ThreadPoolExecutor(count) as pool:
        return {
            number: answer for number, answer in enumerate(pool.map(call, range(count))) if not refused(answer, number)
        }


@pytest.mark.slow
@pytest.mark.case(29)
def test_all_who_call_at_once_when_the_server_has_just_started_are_answered(fresh):
    with ThreadPoolExecutor(2) as pool:
        by_http = pool.submit(at_once, lambda number: by_client(clients.client(fresh.url), number), 8)
        by_mcp = pool.submit(at_once, lambda number: by_tool(fresh, number), 48)
    assert (by_http.result(), by_mcp.result()) == ({}, {})


@pytest.mark.case(26)
def test_threads_that_share_a_client_are_all_answered(server):
    with clients.late(server.url, 0.05) as url:
        client = clients.client(url)
        assert at_once(lambda number: by_client(client, number), 8) == {}


@pytest.mark.slow
@pytest.mark.case(26)
def test_threads_that_share_a_client_on_a_network_with_delays_lose_no_call(server):
    with clients.late(server.url, 0.03) as url:
        assert clients.calls(url, 300, threads=8, pause=0.5) == {"complete": 30, "refused": 270}


class Session:
    """The events of a session of the page, read as its script reads them."""

    def __init__(self, server: Server) -> None:
        self.http, self.hash = server.http, uuid.uuid4().hex
        config = httpx.get(f"{server.url}/config", trust_env=False).json()
        (self.function,) = [f["id"] for f in config["dependencies"] if f["api_name"] == "saliency"]

    def post(self, number: int) -> str:
        """Post a call, and the id of its event."""
        body = {"fn_index": self.function, "session_hash": self.hash, "data": [picture(number)]}
        return self.http.post("/queue/join", json=body).raise_for_status().json()["event_id"]

    def stream(self) -> Any:
        return self.http.stream("GET", "/queue/data", params={"session_hash": self.hash}, timeout=5 * PATIENCE)


def messages(stream: httpx.Response) -> Iterator[dict[str, Any]]:
    """What a stream says; it is hung up when nobody reads on."""
    for line in stream.iter_lines():
        if line.startswith("data: "):
            yield json.loads(line.removeprefix("data: "))


def until_end(said: Iterator[dict[str, Any]]) -> list[str]:
    """The events that a stream completes, when it has said that it ends."""
    completed = []
    for message in said:
        if message["msg"] == "close_stream":
            return completed
        if message["msg"] == "process_completed":
            completed.append(message["event_id"])
    raise AssertionError(f"no last message after {completed}")


@pytest.mark.case(26)
def test_a_call_posted_while_the_stream_ends_is_answered_when_its_client_has_hung_up(server):
    session = Session(server)
    with ThreadPoolExecutor(1) as pool:
        first = session.post(1)
        with session.stream() as stream:
            said = messages(stream)
            assert until_end(said) == [first]
            posted = pool.submit(session.post, 2)
            assert not wait([posted], SOON).done  # its client would take this stream for open
            said.close()
            second = posted.result(PATIENCE - 1.5 * SOON)
        with session.stream() as stream:
            assert until_end(messages(stream)) == [second]


@pytest.mark.case(26)
def test_a_call_posted_before_the_stream_ends_is_answered_at_once_and_keeps_it_open(server):
    session = Session(server)
    first = session.post(1)
    second = session.post(2)
    with session.stream() as stream:
        assert sorted(until_end(messages(stream))) == sorted([first, second])


def test_a_client_that_reads_on_after_the_last_message_is_not_kept_for_long(server):
    session = Session(server)
    session.post(1)
    with session.stream() as stream:
        assert [message["msg"] for message in messages(stream)][-1] == "close_stream"
    session.post(2)


@pytest.mark.case(27)
def test_a_stream_opened_for_a_call_that_is_over_ends_so_that_the_program_can(server):
    session = Session(server)
    session.post(1)
    with session.stream() as stream:
        until_end(messages(stream))
    with session.stream() as stream:
        assert until_end(messages(stream)) == []
    session.post(2)


@pytest.mark.case(27)
def test_a_hundred_calls_submitted_in_a_loop_all_end(server):
    client = clients.client(server.url)
    jobs = [client.submit(image=picture(number), api_name="/saliency") for number in range(100)]
    errors = [str(job.exception(timeout=DEADLINE)) for job in jobs]
    assert [error for number, error in enumerate(errors) if not refused(error, number)] == []


@pytest.mark.case(28)
def test_a_run_ends_when_its_job_is_cancelled(server, cat, tmp_path):
    (tmp_path / "cat.png").write_bytes(cat)
    job = clients.client(server.url).submit(image=handle_file(tmp_path / "cat.png"), **LONG, api_name="/texture")
    until(server, lambda found: found["runs"] == {"texture": 1})
    job.cancel()
    until(server, idle)
    ended = [line for line in server.log.read_text().splitlines() if " technique=texture " in line]
    assert "outcome=stopped" in ended[-1]
