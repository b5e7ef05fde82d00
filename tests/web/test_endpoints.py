"""The endpoints as their callers use them: raw HTTP, gradio_client and MCP give what Python gives."""

from __future__ import annotations

import asyncio
import base64
import io
import json

import numpy as np
import pytest
from gradio_client import Client, handle_file
from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client
from PIL import Image

import timmscope


@pytest.fixture(scope="module")
def client(server):
    return Client(server.url, verbose=False)


@pytest.fixture(scope="module")
def cat_file(cat, tmp_path_factory):
    path = tmp_path_factory.mktemp("photos") / "cat.png"
    path.write_bytes(cat)
    return path


def outputs(technique) -> list[str]:
    return [*(port.name for port in technique.outputs), "arrays", "recipe"]


@pytest.mark.parametrize("name", timmscope.plugins().techniques)
def test_every_technique_has_an_endpoint_of_its_declaration(client, name):
    technique = timmscope.plugins().technique(name)
    endpoint = client.view_api(return_format="dict")["named_endpoints"][f"/{name}"]
    assert [p["parameter_name"] for p in endpoint["parameters"]] == [p.name for p in technique.parameters]
    assert [r["label"] for r in endpoint["returns"]] == outputs(technique)
    assert all(p["parameter_has_default"] for p in endpoint["parameters"])  # the registry asks for what is missing


def test_nothing_else_is_documented(client):
    documented = client.view_api(return_format="dict")["named_endpoints"]
    assert set(documented) == {f"/{name}" for name in timmscope.plugins().techniques}


def test_client_http_and_python_give_the_same_arrays(server, client, cat_file, cat):
    expected = timmscope.run("saliency", image=cat_file, target="tabby", samples=3, seed=5)

    *_, arrays, recipe = client.predict(
        image=handle_file(cat_file), target="tabby", samples=3, seed=5, api_name="/saliency"
    )
    with np.load(arrays) as found:
        assert set(found) == {"heatmap", "overlay", "scores"}
        for name, array in expected.arrays.items():
            np.testing.assert_array_equal(found[name], array)
            assert found[name].dtype == np.float32
    with open(recipe, encoding="utf-8") as file:
        assert json.load(file)["inputs"]["image"]["sha256"] == expected.recipe["inputs"]["image"]["sha256"]

    values = {"image": server.upload(cat), "target": "tabby", "samples": 3, "seed": 5}
    kind, data = server.call("saliency", values)
    assert kind == "complete"
    picture = np.asarray(Image.open(io.BytesIO(server.get_file(data[0]))))
    np.testing.assert_array_equal(picture, np.asarray(expected.pictures["heatmap"][0][0]))  # lossless
    with np.load(io.BytesIO(server.get_file(data[3]))) as found:
        np.testing.assert_array_equal(found["heatmap"], expected["heatmap"])
    assert data[2]["label"] == "tiger cat"


def test_mcp_lists_and_calls_the_tools(server, cat):
    expected = set(timmscope.plugins().techniques)
    data = "data:image/png;base64," + base64.b64encode(cat).decode()

    async def talk():
        async with (
            streamable_http_client(f"{server.url}/gradio_api/mcp/") as (read, write, _),
            ClientSession(read, write) as session,
        ):
            await session.initialize()
            tools = (await session.list_tools()).tools
            answer = await session.call_tool("saliency", {"image": data})
            refused = await session.call_tool("saliency", {"image": data, "samples": 0})
            return tools, answer, refused

    tools, answer, refused = asyncio.run(talk())
    assert expected <= {tool.name for tool in tools}
    tool = next(tool for tool in tools if tool.name == "saliency")
    assert "1 to 256" in tool.inputSchema["properties"]["samples"]["description"]
    assert not answer.isError
    assert any(part.type == "image" for part in answer.content)
    assert "1 to 256" in refused.content[0].text


@pytest.mark.case(25)
def test_data_urls_are_read_as_browsers_do_over_http_and_mcp(server, cat):
    text = base64.b64encode(cat + b"\0").decode()
    unusual = (
        "DATA:image/png;charset=utf-8;base64," + "\n".join(text[i : i + 76] for i in range(0, len(text), 76)),
        "data:image/png;base64," + text.rstrip("=").replace("+", "-").replace("/", "%2F"),
    )
    values = {"model": "test_convnext", "weights": "random", "samples": 1}
    kind, usual = server.call("saliency", {"image": server.upload(cat), **values})
    assert kind == "complete"
    pictures = [server.get_file(usual[0])]
    for url in unusual:
        for record in (url, {"url": url}):
            kind, data = server.call("saliency", {"image": record, **values})
            assert kind == "complete", data
            pictures.append(server.get_file(data[0]))

    async def talk():
        async with (
            streamable_http_client(f"{server.url}/gradio_api/mcp/") as (read, write, _),
            ClientSession(read, write) as session,
        ):
            await session.initialize()
            return [await session.call_tool("saliency", {"image": url, **values}) for url in unusual]

    for answer in asyncio.run(talk()):
        assert not answer.isError, answer
        shown = next(part for part in answer.content if part.type == "image")
        pictures.append(base64.b64decode(shown.data))
    assert len({np.asarray(Image.open(io.BytesIO(picture)).convert("RGB")).tobytes() for picture in pictures}) == 1


def test_sixteen_calls_at_once_give_their_serial_results(server, cat):
    names = ["saliency", "guided_backprop", "grad_cam", "saliency"] * 4
    inputs = {"image": server.upload(cat), "model": "test_convnext", "weights": "random"}

    def arrays(name, event):
        kind, data = server.finish(name, event)
        assert kind == "complete", data
        return server.get_file(data[-2])

    serial = {name: arrays(name, server.start(name, inputs).json()["event_id"]) for name in set(names)}
    events = [(name, server.start(name, inputs).json()["event_id"]) for name in names]
    for name, event in events:
        with np.load(io.BytesIO(arrays(name, event))) as found, np.load(io.BytesIO(serial[name])) as expected:
            for key in expected:
                np.testing.assert_array_equal(found[key], expected[key])
