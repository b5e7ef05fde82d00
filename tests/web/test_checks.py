"""What a caller gets wrong is answered with 4xx at every door, also where Gradio itself would stumble."""

from __future__ import annotations

import httpx
import pytest

from timmscope.registry.web.page import build

DOORS = ("call/v2", "call", "run", "api")
FORM = "multipart/form-data; boundary="


def details(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["detail"]


@pytest.mark.parametrize("door", DOORS)
def test_a_wrong_name(server, door):
    expected = "endpoint: got 'salience', expected one of those of /gradio_api/info. Did you mean saliency"
    for end in ("", "/"):
        status, detail = details(server.http.post(f"/{door}/salience{end}", json={"data": []}))
        assert status == 404
        assert detail.startswith(expected)


def test_a_function_that_there_is_not(server):
    body = {"data": [], "fn_index": 10**6, "session_hash": "nobody"}
    for path in ("queue/join", "run/saliency"):
        assert server.http.post(f"/{path}", json=body).status_code == 404, path


def test_a_wrong_parameter(server):
    names = "image, target, samples, noise, seed, fit, model, weights"
    answer = server.http.post("/call/v2/saliency", json={"sampels": 1, "image": None, "x": 1})
    assert details(answer) == (422, f"parameters: got 'sampels', 'x', expected {names}.")
    assert server.http.post("/call/v2/saliency", json={"oauth_token": "none of ours"}).is_success


def test_a_form_for_a_component_that_answers_none(server):
    page = build()
    names = {(type(block), name) for block in page.blocks.values() for name in dir(type(block))}
    assert [pair for pair in names if getattr(getattr(*pair), "_is_server_fn", False)] == []
    for more in (
        {"files": {"f": ("a.png", b"x")}},
        {"json": {"data": 1, "component_id": -1, "session_hash": "s", "fn_name": "x"}},
    ):
        assert server.http.post("/component_server", **more).status_code == 404


def test_a_boundary_that_no_parser_takes(server):
    for path in ("upload", "process_recording", "component_server"):
        answer = server.http.post(f"/{path}", content=b"x", headers={"Content-Type": FORM + "z" * 300})
        assert details(answer) == (400, "boundary: got 300 bytes, expected at most 256.")


@pytest.mark.parametrize("path", ["%0A", "config%0A", "gradio_api/info%0A", "gradio_api/file=http://xn--/"])
def test_an_address_that_is_none(server, path):
    answer = httpx.get(f"{server.url}/{path}", trust_env=False, timeout=90)
    assert answer.status_code in (400, 403)
    assert answer.json()["detail"].startswith(("address: got '/", "File not allowed: 'http://xn--/'"))


@pytest.mark.parametrize("record", [{"meta": 3}, {"path": "x" * 300}, {"path": "a\0b"}, {"size": "large"}])
def test_a_record_that_gradio_cannot_read(server, cat, record):
    photo = server.upload(cat)
    kind, data = server.call("saliency", {"image": photo | record, "model": "test_resnet", "weights": "random"})
    assert kind == "error"
    assert data["error"].startswith("image: got a file record that names no uploaded file")


def test_none_of_this_is_an_incident(server):
    assert "incident" not in server.log.read_text()
