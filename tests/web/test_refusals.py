"""What is refused before a function sees it: a status, a sentence, one line in the log, and no broken connection."""

from __future__ import annotations

import json

import httpx
import pytest

HEADERS = {"Content-Type": "application/json"}


def functions(server) -> list[dict]:
    return httpx.get(f"{server.url}/config", trust_env=False, timeout=90).json()["dependencies"]


def join(server, function: int, data, **more) -> dict:
    """Call any function of the page, as its browser does, and return the last message."""
    session = f"session{function}"
    body = {"data": data, "fn_index": function, "session_hash": session, **more}
    assert server.http.post("/queue/join", json=body).is_success
    messages = server.http.get(f"/queue/data?session_hash={session}").text.strip().split("\n\n")
    parsed = [json.loads(message.removeprefix("data: ")) for message in messages]
    return next(message for message in parsed if message["msg"] == "process_completed")


def test_an_upload_without_a_file_name(server):
    answer = server.http.post("/upload", files={"files": (None, b"photo")})
    assert answer.status_code == 422
    assert "without a file name" in answer.json()["detail"]


@pytest.mark.case(55)
def test_an_upload_that_is_too_large(server):
    answer = server.http.post("/upload", files={"files": ("large.png", bytes(26 * 2**20))})
    assert answer.status_code == 413
    assert f"{25 * 2**20} bytes" in answer.text


@pytest.mark.parametrize("body", [{"data": "\ud800"}, {"data": "x" * 100_000}, "\ud812", [], None, {}])
def test_a_malformed_body_is_not_repeated(server, body):
    for path in ("/call/saliency", "/call/v2/saliency", "/queue/join"):
        if path != "/call/saliency" and body == {}:
            continue
        answer = server.http.post(path, content=json.dumps(body), headers=HEADERS)
        assert answer.status_code in (400, 422), path
        assert 0 < len(answer.json()["detail"]) < 700


@pytest.mark.parametrize("where", ["path", "orig_name", "model", "layer", "photos"])
def test_half_a_character_is_refused_at_the_door_and_a_whole_one_is_not(server, cat, where):
    """An answer that repeats a half could not be written: over MCP there came none at all."""
    tiny = {"model": "test_convnext", "weights": "random"}
    photo, half = server.upload(cat), {where: "\ud83d"}
    values = {"image": photo, **tiny} | (half if where not in photo else {"image": photo | half})
    params = {"name": "nearest_neighbors", "arguments": values}
    tool = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    for path, body in (("/call/v2/nearest_neighbors", values), ("/mcp/", tool)):
        both = {**HEADERS, "Accept": "application/json, text/event-stream"}
        answer = server.http.post(path, content=json.dumps(body), headers=both)
        assert (answer.status_code, answer.json()["detail"][:27]) == (422, "body: got lone surrogates (")
    whole = server.upload(cat) | {"orig_name": "\U0001f408.png"}  # in JSON two halves
    kind, data = server.call("saliency", {"image": whole, **tiny})
    assert kind == "complete", data


def test_a_run_cannot_go_past_the_queue(server):
    """A direct call would know no limit of runs at once."""
    answer = server.http.post("/run/saliency", json={"data": [None] * 8})
    assert answer.status_code == 404
    assert "join the queue" in answer.json()["detail"]


def test_a_direct_call_that_is_refused_is_no_fault_of_the_server(server):
    picker = next(f["id"] for f in functions(server) if f["targets"] and f["targets"][0][1] == "select" and f["inputs"])
    answer = server.http.post("/run/x", json={"data": [None], "fn_index": picker, "session_hash": "direct"})
    assert answer.status_code == 422
    assert "The call was refused" in answer.json()["error"]


@pytest.mark.slow
def test_functions_of_the_browser_and_events_that_do_not_fit_are_answered(server):
    browser_only = next(f["id"] for f in functions(server) if not f["backend_fn"])
    assert "only a browser has" in join(server, browser_only, [])["output"]["error"]
    picker = next(f["id"] for f in functions(server) if f["targets"] and f["targets"][0][1] == "select" and f["inputs"])
    for event in (None, 3, {}, {"index": "x", "value": 1}, {"index": [10**9], "value": 1}, {"index": -1, "value": 1}):
        message = join(server, picker, [None], event_data=event)
        assert message["success"] or message["output"]["error"]


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ([None, "test_resnet", "wrong", False, ""], "weights"),
        ([None, "test_resnet", ["random"], False, ""], "weights"),
        ([None, "test_resnet", "random", "yes", ""], "fit"),
        ([None, "test_resnet", "random", False, {"a": 1}], "target"),
        ([None, ["test_resnet"], "random", False, ""], "model"),
    ],
)
def test_the_functions_behind_the_shared_controls_check_them(server, values, name):
    look = next(f["id"] for f in functions(server) if len(f["inputs"]) == 5 and len(f["outputs"]) == 2)
    message = join(server, look, values)
    assert not message["success"]
    assert message["output"]["error"].startswith(f"{name}: got ")


def test_a_name_that_no_disk_can_hold(server):
    for path in ("static/", "assets/", "gradio_api/file=", "gradio_api/file=/tmp/"):
        answer = httpx.get(f"{server.url}/{path}{'x' * 600}", trust_env=False, timeout=90)
        assert answer.status_code in (403, 404), path


def test_an_address_to_fetch_that_is_none(server):
    answer = httpx.get(f"{server.url}/gradio_api/proxy=a%00b", trust_env=False, timeout=90)
    assert answer.status_code == 400
    assert "control characters" in answer.json()["detail"]


@pytest.mark.parametrize("path", ["/queue/data?session_hash=nobody", "/call/saliency/nobody"])
def test_events_nobody_waits_for_end_with_a_reason(server, path):
    answer = server.http.get(path)  # raises when the connection breaks
    assert "404: Not Found" in answer.text


def test_nothing_that_is_given_starts_a_line_of_the_log(server):
    server.http.post("/call/v2/saliency", json={"a\nFORGED LINE\x1b[31m": 1})
    server.http.post("/call/v2/FORGED%0ALINE", json={})
    log = server.log.read_text()
    assert "FORGED" in log
    assert not [line for line in log.splitlines() if line.startswith(("FORGED", "LINE")) or "\x1b[31m" in line]
