"""Plugins installed with pip, on the web: tab, endpoint and MCP tool, and the broken ones reported."""

from __future__ import annotations

import subprocess
import sys

import pytest
from playwright.sync_api import expect

from .serving import ROOT, serving
from .test_page import PATIENCE, browser  # noqa: F401

TOYS = ("fade", "broken_import", "broken_declaration", "clash")


@pytest.fixture(scope="module")
def with_toys(tmp_path_factory):
    """A server with the toy plugins installed."""
    folder = tmp_path_factory.mktemp("toys")
    offline = ["--no-deps", "--no-build-isolation", "--no-index", "--quiet"]
    sources = [str(ROOT / "tests" / "plugins" / name) for name in TOYS]
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


def test_its_tab_runs_and_the_plugins_page_names_the_broken_ones(with_toys, browser):  # noqa: F811
    page = browser.new_page()
    page.goto(f"{with_toys.url}/?technique=fade")
    page.locator("#run-fade").click(timeout=PATIENCE)
    expect(page.locator("#status-fade")).to_contain_text("Done in", timeout=PATIENCE)
    expect(page.locator("#fade-faded img")).to_be_visible()
    page.get_by_role("tab", name="Plugins", exact=True).click()
    table = page.locator("table.plugins")
    for reason in ("a_library_that_is_not_there", "no port declared", "is refused"):
        expect(table.locator(".failed", has_text=reason)).to_have_count(1)
    page.close()
