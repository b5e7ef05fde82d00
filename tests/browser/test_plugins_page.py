"""A real server with plugins that misbehave: each is answered, named and counted, and everybody else is served."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from playwright.sync_api import expect

from timmscope.registry.plugins.discovery import PluginReport, Plugins
from timmscope.registry.web.plugins_page import table

from ..serving import ROOT, serving
from .test_page import browser  # noqa: F401

pytestmark = pytest.mark.slow

TOYS = ("rude", "newer", "newer_name", "fade")
BUDGET = 6  # seconds a run


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server with rude plugins, little time a run, and one plugin switched off."""
    folder = tmp_path_factory.mktemp("rude")
    offline = ["--no-deps", "--no-build-isolation", "--no-index", "--no-compile", "--quiet"]
    sources = [str(ROOT / "tests" / "toy_plugins" / name) for name in TOYS] + [str(ROOT / "examples" / "digits")]
    subprocess.run(
        [sys.executable, "-m", "pip", "install", *offline, "--target", str(folder / "site"), *sources], check=True
    )
    settings = {"TIME_BUDGET": str(BUDGET), "DISABLED_PLUGINS": "digits, style_transfer,no_such"}
    variables = {f"TIMMSCOPE_{name}": value for name, value in settings.items()}
    with serving(folder, PYTHONPATH=str(folder / "site"), **variables) as running:
        yield running


@pytest.fixture(scope="module")
def answers(server):
    """What the rude techniques answer, all called at once."""
    tiny = {"model": "test_convnext", "weights": "random"}
    assert server.call("saliency", {})[0] == "error"  # no photo; the server is warm now
    calls: dict[str, dict] = {
        "never_comes_back": {},
        "sleeps": {},
        "raises": {},
        "exits": {},
        "wrong_output": {},
        "not_finite": {},
        "prints": {},
        "warns": {},
        "leaves_a_hook": tiny,
        "writes": tiny,
    }
    with ThreadPoolExecutor(4) as threads:
        return dict(zip(calls, threads.map(lambda name: server.call(name, calls[name]), calls)))


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("never_comes_back", f"Never comes back took longer than the {BUDGET} s a run may take here."),
        ("sleeps", f"Sleeps took longer than the {BUDGET} s a run may take here."),
        ("raises", "Raises failed: ZeroDivisionError at timmscope_rude.py:"),
        ("exits", "Exits failed: SystemExit at timmscope_rude.py:"),
        ("wrong_output", "technique wrong_output (plugin rude) returned film, which it does not declare."),
        ("not_finite", "technique not_finite (plugin rude): output heatmap has values that are not finite."),
    ],
)
def test_a_run_that_goes_wrong_is_answered_with_what_and_who(answers, name, answer):
    kind, data = answers[name]
    assert kind == "error"
    assert answer in data["error"]
    assert "/" not in data["error"], "a path of the server"


@pytest.mark.parametrize("name", ["prints", "warns", "leaves_a_hook", "writes"])
def test_what_harms_no_result_gives_one(answers, name):
    assert answers[name][0] == "complete"


def test_a_sample_that_cannot_be_read_is_left_out(server):
    page = httpx.get(f"{server.url}/config", trust_env=False).json()
    buttons = [part["props"].get("elem_id") for part in page["components"]]
    assert buttons.count("sample-square") == buttons.count("sample-chelsea") == 1
    log = server.log.read_text()
    for name in ("not_there", "no_photo", "unreadable"):
        assert f"sample-{name}" not in buttons
        assert f"sample {name} cannot be shown" in log


def test_everything_else_works_beside_them(server, answers, cat):
    photo = server.upload(cat)
    assert server.call("fade", {"image": photo, "steps": 2})[0] == "complete"
    tiny = {"model": "test_convnext", "weights": "random"}
    again = [server.call("saliency", {"image": photo, **tiny})[1] for _ in range(2)]
    assert server.get_file(again[0][0]) == server.get_file(again[1][0])


def test_the_log_has_what_was_printed_and_why_it_failed(server, answers):
    log = server.log.read_text()
    assert "plugin rude: prints; write a note or to a logger instead: all my secrets" in log
    assert "plugin rude: warns: UserWarning at timmscope_rude.py" in log
    assert "ZeroDivisionError: integer division or modulo by zero" in log
    assert "TIMMSCOPE_DISABLED_PLUGINS: there is no plugin 'no_such'" in log


def test_the_page_names_every_one(server, answers, browser):  # noqa: F811
    page = browser.new_page()
    page.goto(server.url)
    page.get_by_role("tab", name="Plugins", exact=True).click()
    row = page.locator("table.plugins tr", has=page.get_by_role("cell", name="rude", exact=True))
    for incident in (
        "Raises failed: ZeroDivisionError",
        "Exits failed: SystemExit",
        "which it does not declare",
        "values that are not finite",
        f"Never comes back was stopped in the midst of a step, at the end of its {BUDGET} s",
        "runs that were given up and cannot be stopped, still running: 1",
        "prints; write a note",
        "warns: UserWarning",
        "leaves the network changed, hooks in stem",
        "writes into the weights of test_convnext",
    ):
        expect(row.locator(".incident", has_text=incident)).to_have_count(1)
    assert "secrets" not in row.inner_text()
    table = page.locator("table.plugins")
    expect(table.locator(".failed", has_text="it needs plugin API 99")).to_have_count(1)
    expect(table.locator(".failed", has_text="'Hologram'")).to_contain_text("pip install --upgrade timmscope")
    for name in ("digits", "style_transfer"):
        off = page.locator("table.plugins tr", has=page.get_by_role("cell", name=name, exact=True))
        expect(off).to_contain_text("switched off")
    page.close()


def test_a_plugin_that_is_switched_off_brings_nothing(server):
    assert server.http.post("/call/v2/style_transfer", json={}).status_code == 404


def test_texts_of_plugins_are_escaped():
    report = PluginReport("<b>", "<i>", techniques=["<u>"], failures=["<script>"])
    report.incidents.add("<img src=x>")
    html = table(Plugins(reports=[report]))
    for tag in ("<b>", "<i>", "<u>", "<script>", "<img"):
        assert tag not in html
    assert "&lt;img src=x&gt;" in html
