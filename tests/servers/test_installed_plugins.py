"""Plugins installed with pip, on the web: tab, endpoint and MCP tool, and the broken ones reported."""

from __future__ import annotations

import asyncio
import base64
import io
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from gradio_client import Client, handle_file
from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client
from PIL import Image
from playwright.sync_api import expect

from timmscope.registry.web import calls, links

from ..browser.test_page import browser  # noqa: F401
from ..references import CHELSEA
from ..serving import ROOT, serving
from ..toy_plugins.sheet import timmscope_sheet

pytestmark = pytest.mark.slow

TOYS = ("fade", "sheet", "dropper", "broken_import", "broken_declaration", "clash")


@pytest.fixture(scope="module")
def with_toys(tmp_path_factory):
    """A server with the toy plugins installed."""
    folder = tmp_path_factory.mktemp("toys")
    offline = ["--no-deps", "--no-build-isolation", "--no-index", "--quiet"]
    sources = [str(ROOT / "tests" / "toy_plugins" / name) for name in TOYS]
    subprocess.run(
        [sys.executable, "-m", "pip", "install", *offline, "--target", str(folder / "site"), *sources], check=True
    )
    with serving(folder, PYTHONPATH=str(folder / "site")) as server:
        yield server


def test_an_installed_technique_is_an_endpoint_and_a_tool(with_toys, cat):
    kind, data = with_toys.call("fade", {"image": with_toys.upload(cat)})
    assert kind == "complete"
    assert data[0]["path"].endswith("faded.png")
    tools = {tool["name"]: tool for tool in with_toys.http.get("/mcp/schema").json()}
    assert set(tools["fade"]["inputSchema"]["properties"]) == {"image", "steps"}


def test_a_technique_over_photos_takes_uploads_and_nothing_else(with_toys, cat, tmp_path):
    def names(data):
        return [item["caption"] for item in data[0]]

    kind, data = with_toys.call("sheet", {})
    assert kind == "complete"
    assert names(data) == ["red (colour)", "green (colour)", "blue (colour)"]
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("cats/one.png", cat)
        file.writestr("../two.png", cat)
    uploads = [with_toys.upload(cat, "cat.png"), with_toys.upload(archive.getvalue(), "more.zip")]
    kind, data = with_toys.call("sheet", {"files": uploads})
    assert kind == "complete"
    assert names(data) == ["cat.png ()", "cats/one.png (cats)", "two.png ()"]

    path = tmp_path / "cat.png"
    path.write_bytes(cat)
    found = Client(with_toys.url, verbose=False).predict(files=[handle_file(path)], side=16, api_name="/sheet")
    assert [item["caption"] for item in found[0]] == ["cat.png ()"]

    folder = str(Path(uploads[0]["path"]).parent.parent)  # of everybody's uploads
    for given in ({"path": str(CHELSEA)}, {"path": folder}, {"path": f"{folder}/none.png"}, "/etc", 3, {}):
        for files in (given, [uploads[0], given]):
            if files:
                kind, data = with_toys.call("sheet", {"files": files})
                assert kind == "error"
                assert data["error"].startswith("files: got ")
                assert "/tmp" not in data["error"]
    assert "folder:tmp" in with_toys.call("sheet", {"photos": "folder:tmp"})[1]["error"]


def test_its_calls_as_text_give_the_same_again(with_toys, cat, tmp_path):
    technique = timmscope_sheet.sheet
    values = {
        "photos": "squares",
        "side": 16,
        "files": [with_toys.upload(cat, "a b.png"), with_toys.upload(cat[:-1] + b"!", "a b.png")],
    }
    python = calls.python_call(technique, values, with_toys.url)
    done = subprocess.run(
        [sys.executable, "-c", f"{python}\nprint([item['caption'] for item in thumbnails])"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "['1 a b.png ()', '2 a b.png ()']" in done.stdout
    curl = calls.curl_call(technique, values, with_toys.url)
    done = subprocess.run(["bash", "-c", curl], capture_output=True, text=True, check=True)
    assert "event: complete" in done.stdout
    assert "files" not in calls.python_call(technique, values | {"files": None}, with_toys.url)
    assert links.query(technique, values) == "?technique=sheet&side=16"


def test_its_tool_takes_data_urls(with_toys, cat):
    data = "data:image/png;base64," + base64.b64encode(cat).decode()

    async def talk():
        async with (
            streamable_http_client(f"{with_toys.url}/gradio_api/mcp/") as (read, write, _),
            ClientSession(read, write) as session,
        ):
            await session.initialize()
            return await session.call_tool("sheet", {"files": [data, data]}), await session.call_tool("sheet", {})

    own, registered = asyncio.run(talk())
    assert not own.isError
    assert "photo 2 ()" in own.content[0].text
    assert "green (colour)" in registered.content[0].text


def test_photos_dropped_on_the_page_are_used(with_toys, cat, browser):  # noqa: F811
    page = browser.new_page()
    page.goto(f"{with_toys.url}/?technique=sheet&side=16")
    with page.expect_file_chooser() as chooser:
        page.locator("button:has-text('Drop File Here')").locator("visible=true").first.click()
    files = [{"name": name, "mimeType": "", "buffer": data} for name, data in (("a cat.png", cat), ("b.txt", b"text"))]
    chooser.value.set_files(files)
    expect(page.get_by_text("Uploading")).to_have_count(0)
    expect(page.get_by_text(re.compile("KB")).first).to_be_visible()
    page.locator("#run-sheet").click()
    expect(page.locator("#status-sheet")).to_contain_text("Done in")
    expect(page.locator("#sheet-thumbnails")).to_contain_text("a cat.png ()")
    expect(page.get_by_text("1 of 2 files: b.txt")).to_be_visible()
    assert page.url.endswith("/?technique=sheet&side=16")
    page.close()


def test_a_place_and_a_file_cross_http_and_mcp(with_toys, cat):
    kind, data = with_toys.call("dropper", {"image": with_toys.upload(cat), "place": "0.25, 0.75"})
    assert kind == "complete"
    ((where, *colour),) = data[0]
    picture = Image.open(io.BytesIO(cat))
    assert where == f"{int(0.75 * picture.width)}, {picture.height // 4}"
    assert tuple(colour) == picture.getpixel(tuple(map(int, where.split(", "))))
    assert with_toys.get_file(data[1]) == "GIMP Palette\n{} {} {} {}\n".format(*colour, where.replace(",", "")).encode()
    assert data[1]["orig_name"] == "palette.gpl"
    kind, data = with_toys.call("dropper", {"image": with_toys.upload(cat), "place": "0.25, 7"})
    assert data["error"].startswith("place: got '0.25, 7', expected row and column as shares")
    tools = {tool["name"]: tool for tool in with_toys.http.get("/mcp/schema").json()}
    assert "row and column as shares" in tools["dropper"]["inputSchema"]["properties"]["place"]["description"]


def test_a_click_on_the_photo_chooses_the_place(with_toys, browser):  # noqa: F811
    page = browser.new_page(viewport={"width": 1400, "height": 900})
    page.goto(f"{with_toys.url}/?technique=dropper")
    photo = page.locator("#photo img")
    expect(photo).to_be_visible()
    box = photo.bounding_box()
    photo.click(position={"x": box["width"] * 0.75, "y": box["height"] * 0.25})
    place = page.get_by_label("Place")
    expect(place).to_have_value(re.compile(r"^0\.\d+, 0\.\d+$"))
    row, column = map(float, place.input_value().split(", "))
    assert (row, column) == pytest.approx((0.25, 0.75), abs=0.02)
    page.locator("#run-dropper").click()
    expect(page.locator("#status-dropper")).to_contain_text("Done in")
    expect(page.locator("#dropper-palette")).to_contain_text(re.compile(r"palette\s*\.gpl"))
    page.close()


def test_its_tab_runs_and_the_plugins_page_names_the_broken_ones(with_toys, browser):  # noqa: F811
    page = browser.new_page()
    page.goto(f"{with_toys.url}/?technique=fade")
    page.locator("#run-fade").click()
    expect(page.locator("#status-fade")).to_contain_text("Done in")
    expect(page.locator("#fade-faded img")).to_be_visible()
    page.get_by_role("tab", name="Plugins", exact=True).click()
    table = page.locator("table.plugins")
    for reason in ("a_library_that_is_not_there", "no port declared", "is refused"):
        expect(table.locator(".failed", has_text=reason)).to_have_count(1)
    page.close()
