"""One run through every face: page server, MCP, Python, command line and a recipe give the same arrays."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import os
import re
import subprocess
import sys

import httpx
import numpy as np
import pytest
from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client

import timmscope

from ..serving import ROOT

pytestmark = pytest.mark.slow  # a server and processes of its own

TECHNIQUE = "grad_cam"
VALUES = {"targets": "tiger cat; 285", "layer": "", "guided": True, "fit": True}


@pytest.fixture(scope="module")
def python(cat):
    return timmscope.run(TECHNIQUE, image=cat, **VALUES)


def over_http(server, cat, folder):
    kind, data = server.call(TECHNIQUE, {"image": server.upload(cat), **VALUES})
    assert kind == "complete", data
    return server.get_file(data[-2]), json.loads(server.get_file(data[-1]))


def over_mcp(server, cat, folder):
    async def talk():
        async with (
            streamable_http_client(f"{server.url}/gradio_api/mcp/") as (read, write, _),
            ClientSession(read, write) as session,
        ):
            await session.initialize()
            photo = "data:image/png;base64," + base64.b64encode(cat).decode()
            return await session.call_tool(TECHNIQUE, {"image": photo, **VALUES})

    answer = asyncio.run(talk())
    assert not answer.isError, answer
    text = " ".join(part.text for part in answer.content if part.type == "text")
    urls = re.findall(r"http\S+?\.(?:npz|json)", text)
    arrays, recipe = (httpx.get(url, trust_env=False).raise_for_status().content for url in urls)
    return arrays, json.loads(recipe)


def command_line(server, cat, folder):
    (folder / "cat.png").write_bytes(cat)
    options = [f"--targets={VALUES['targets']}", "--layer", "", "--guided", "--fit", "--out", "out"]
    command = [sys.executable, "-m", "timmscope", "run", TECHNIQUE, "--image", "cat.png", *options]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return (folder / "out" / "arrays.npz").read_bytes(), json.loads((folder / "out" / "recipe.json").read_text())


@pytest.mark.parametrize("face", [over_http, over_mcp, command_line])
def test_every_face_gives_the_arrays_of_python(face, server, cat, python, tmp_path):
    archive, recipe = face(server, cat, tmp_path)
    with np.load(io.BytesIO(archive)) as arrays:
        assert set(arrays) == set(python.arrays)
        for name, array in python.arrays.items():
            np.testing.assert_array_equal(arrays[name], array)
    expected = json.loads(json.dumps(python.recipe))
    for found in (recipe, expected):
        found["inputs"]["image"].pop("name")  # a file's name is known to some faces only
    assert recipe == expected

    again = timmscope.rerun(recipe, image=cat)
    assert all(np.array_equal(again.arrays[name], array) for name, array in python.arrays.items())
