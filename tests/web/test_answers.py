"""Bad input over the raw HTTP API: every answer names the parameter, what was given and what is expected."""

from __future__ import annotations

import io
import json

import pytest
from PIL import Image

REFUSED = [
    ("saliency", {"samples": float("nan")}, ["samples", "nan", "1 to 256"]),
    ("saliency", {"samples": True}, ["samples", "True", "1 to 256"]),
    ("saliency", {"samples": None}, ["samples", "None", "1 to 256"]),
    ("saliency", {"samples": "3"}, ["samples", "'3'", "whole number"]),
    ("saliency", {"samples": 0}, ["samples", "got 0", "1 to 256"]),
    ("saliency", {"samples": 10**9}, ["samples", "1000000000", "1 to 256"]),
    ("saliency", {"samples": 10**400}, ["samples", "1 to 256"]),
    ("saliency", {"samples": 2.5}, ["samples", "2.5", "whole number"]),
    ("saliency", {"noise": float("inf")}, ["noise", "inf", "0 to 1"]),
    ("saliency", {"target": "x" * 5_000_000}, ["target", "5,000,000 characters"]),
    ("saliency", {"target": "tiger cart"}, ["target", "tiger cart", "tiger cat"]),
    ("saliency", {"target": 1_000_000}, ["target", "1000000", "0 to 999"]),
    ("saliency", {"target": -1}, ["target", "-1", "0 to 999"]),
    ("saliency", {"target": ["a"]}, ["target", "['a']", "class index or a label"]),
    ("saliency", {"model": "resnet51"}, ["model", "resnet51", "resnet50"]),
    ("saliency", {"model": "local-dir:/etc"}, ["model", "local-dir:/etc", "timm model"]),
    ("saliency", {"model": "hf-hub:owner/name"}, ["model", "hf-hub:owner/name", "timm model"]),
    ("saliency", {"model": None}, ["model", "None", "timm model"]),
    ("saliency", {"weights": ["random"]}, ["weights", "['random']", "pretrained, random"]),
    ("saliency", {"fit": "no"}, ["fit", "'no'", "true or false"]),
    ("grad_cam", {"layer": "blocks.66"}, ["layer", "blocks.66", "blocks.6"]),
    ("grad_cam", {"targets": "a;b;c;d;e;f;g"}, ["targets", "at most 6"]),
    ("guided_backprop", {"layer": "blocks.3", "unit": 80}, ["unit", "80", "0 to 79"]),
    ("guided_backprop", {"layer": "blocks.3", "position": "3, 99"}, ["position", "3, 99", "below 14"]),
    ("guided_backprop", {"rule": "guide"}, ["rule", "guide", "guided"]),
    ("occlusion", {"fill": ["mean"]}, ["fill", "['mean']", "mean, black, blur"]),
    ("occlusion", {"window": 300}, ["window", "300", "at most 224"]),
]


def refusal(server, endpoint, values) -> str:
    """The message of a call that must fail; nothing internal is in it."""
    kind, data = server.call(endpoint, values)
    assert kind == "error"
    message = data["error"]
    assert message
    assert "Traceback" not in message
    assert "Internal error" not in message
    assert "/" not in message.replace("/gradio_api", "").replace("local-dir:/etc", "").replace("owner/name", "")
    return message


@pytest.mark.parametrize(("endpoint", "values", "parts"), REFUSED, ids=lambda v: str(v)[:50])
def test_refused_value(server, cat, endpoint, values, parts):
    message = refusal(server, endpoint, {"image": server.upload(cat), **values})
    assert [part for part in parts if part not in message] == []


def bomb() -> bytes:
    buffer = io.BytesIO()
    Image.new("1", (30_000, 30_000)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("name", "data", "part"),
    [
        ("text.jpg", b"hello", "none of these"),
        ("empty.png", b"", "none of these"),
        ("drawing.svg", b"<svg xmlns='http://www.w3.org/2000/svg'></svg>", "export a PNG"),
        ("bomb.png", bomb(), "pixels"),
    ],
)
def test_refused_file(server, name, data, part):
    message = refusal(server, "saliency", {"image": server.upload(data, name)})
    assert message.startswith("image:")
    assert name in message
    assert part in message


def test_truncated_file_is_named(server, cat):
    message = refusal(server, "saliency", {"image": server.upload(cat[:2000], "half.png")})
    assert "half.png" in message
    assert "damaged or cut off" in message


@pytest.mark.parametrize(
    "image",
    [
        None,
        "text",
        3,
        [1],
        "data:image/png;base64,AAAA",
        {"path": None},
        {"path": "/etc/hostname"},
        {"path": "/etc/hostname", "meta": {"_type": "gradio.FileData"}},
        {"path": "\0", "meta": {"_type": "gradio.FileData"}},
        {"path": "http://127.0.0.1:1/x.png", "meta": {"_type": "gradio.FileData"}},
    ],
    ids=lambda v: str(v)[:50],
)
def test_refused_image_value(server, image):
    kind, data = server.call("saliency", {"image": image})
    assert kind == "error"
    assert data["error"].startswith("image: got")
    assert "etc" not in data["error"]


def test_missing_photo_is_asked_for(server):
    assert "Upload a photo" in refusal(server, "saliency", {})


def test_too_few_values_name_all_parameters(server):
    event = server.start("saliency", json.dumps({"data": [None]}).encode()).json()["event_id"]
    _, data = server.finish("saliency", event)
    assert "got 1 values, expected 8: image, target, samples" in data["error"]


@pytest.mark.parametrize(
    ("endpoint", "values", "status", "part"),
    [
        ("saliency", {"sampels": 3}, 422, "'sampels'"),
        ("salience", {}, 404, "Did you mean saliency"),
        ("saliency", b"{broken", 422, "JSON"),
        ("saliency", b'{"data": "text"}', 422, "list"),
    ],
)
def test_malformed_call(server, endpoint, values, status, part):
    answer = server.start(endpoint, values)
    assert answer.status_code == status
    assert part in answer.text


def test_markup_in_a_message_is_defused(server, cat):
    message = refusal(server, "saliency", {"image": server.upload(cat), "model": "<b>x<b>"})
    assert "<" not in message


def test_the_server_is_unharmed(server, cat):
    """Last in this file: after all of the above a run still works, and no bug was hit on the way."""
    assert server.call("saliency", {"image": server.upload(cat)})[0] == "complete"
    assert "incident" not in server.log.read_text()
