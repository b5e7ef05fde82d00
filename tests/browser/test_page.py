"""The page in a real browser, as a newcomer uses it."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
from playwright.sync_api import expect, sync_playwright

import timmscope

from ..serving import ROOT

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
PATIENCE = 100_000  # milliseconds; nothing here measures time, and other tests run beside
HERE = os.environ | {"PYTHONPATH": str(ROOT)}


@pytest.fixture(scope="module")
def browser():
    if not CHROMIUM:
        if os.environ.get("CI"):
            pytest.fail("the browser tests need Chromium")
        pytest.skip("no Chromium on this machine")
    with sync_playwright() as playwright:
        expect.set_options(timeout=PATIENCE)
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield running
        running.close()


@contextlib.contextmanager
def opened(browser, server):
    """The opened page with the sample photo classified; a script error fails the test."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(server.url)
    expect(page.locator("#prediction")).to_contain_text("tiger cat")
    yield page
    assert errors == []
    context.close()


@pytest.fixture
def page(browser, server):
    """A page of this test alone."""
    with opened(browser, server) as page:
        yield page


@pytest.fixture(scope="module")
def shared_page(browser, server):
    """A page that several tests use one after the other, as people do: opening it takes longer than a run."""
    with opened(browser, server) as page:
        yield page


def open_tab(page, family, title):
    page.get_by_role("tab", name=family, exact=True).click()
    page.get_by_role("tab", name=title, exact=True).click()


def run(page, name):
    """Press Run and wait until the status says that it is done."""
    page.locator(f"#run-{name}").click()
    expect(page.locator(f"#status-{name}")).to_contain_text("Done in")


def expect_picture(page, part, width=0):
    """Wait until a picture inside `part` has loaded, in its full width where that is given."""
    script = (
        "([s, w]) => { const e = document.querySelector(s); return e && (w ? e.naturalWidth == w : e.naturalWidth) }"
    )
    page.wait_for_function(script, arg=[f"{part} img", width])


def choose(page, elem_id, text, known=True):
    """Type into a combobox and pick the entry of that name, or leave the text where there is none."""
    box = page.locator(f"#{elem_id} input")
    box.click()  # selects the old text
    box.press_sequentially(text)
    if known:
        page.get_by_role("option", name=text, exact=True).first.click()
    else:
        box.press("Enter")
    box.press("Tab")


def light_techniques():
    """All but synthesis; in the quick part maps and kernels, beside the saliency below.

    Those over photos read the embedded set first, which takes the server half a minute; tests/web/test_drawings.py has
    the embedding map, of a few photos.
    """
    for technique in timmscope.plugins().techniques.values():
        if technique.family != "Synthesis" and technique.name != "embedding_map":
            yield pytest.param(technique, marks=pytest.mark.slow, id=technique.name)


@pytest.mark.parametrize("technique", list(light_techniques()))
def test_every_light_technique_gives_its_pictures_at_a_click(shared_page, technique):
    page = shared_page
    open_tab(page, technique.family, technique.title)
    run(page, technique.name)
    for port in technique.outputs:
        part = page.locator(f"#{technique.name}-{port.name}")
        if isinstance(port, (timmscope.Picture, timmscope.Heatmap, timmscope.Gallery)):
            expect_picture(page, f"#{technique.name}-{port.name}")
        else:
            expect(part).not_to_be_empty()
    for section in technique.sections:
        expect(page.get_by_role("heading", name=section).locator("visible=true")).to_have_count(1)


@pytest.mark.slow
def test_a_long_run_shows_progress_and_stops(shared_page):
    page = shared_page
    open_tab(page, "Activations", "Occlusion")
    stride = page.get_by_label("number input for Stride")
    stride.fill("2")  # thousands of places: it is not over before it is stopped
    page.locator("#run-occlusion").click()
    expect(page.locator("#status-occlusion progress")).to_be_visible()
    expect_picture(page, f"#occlusion-{timmscope.plugins().techniques['occlusion'].outputs[0].name}")
    page.locator("#stop-occlusion").click()
    expect(page.locator("#status-occlusion")).to_contain_text("Stopped")
    stride.fill("56")
    run(page, "occlusion")  # a stopped run leaves nothing behind


@pytest.mark.slow
def test_a_synthesis_starts_with_samples_and_plots_its_losses(page, server):
    page.goto(f"{server.url}/?technique=style_transfer&steps=12&size=64&style=grass.png")
    expect(page.locator("img[src$='/grass.png']")).to_be_visible()
    page.route("**/gradio_api/**", lambda route: None)
    page.locator("#style_transfer-style-gravel").click()
    expect(page.locator("img[src$='/gravel.png']")).to_have_count(1)  # at once: a run right after it takes the new one
    page.unroute("**/gradio_api/**")  # what was held goes on
    run(page, "style_transfer")
    expect_picture(page, "#style_transfer-image", width=64)
    expect(page.locator("#style_transfer-losses .mark-line").first).to_be_visible()
    expect(page).to_have_url(re.compile("style=gravel.png"))


@pytest.mark.slow
def test_a_click_on_a_map_chooses_its_unit_and_runs_again(shared_page):
    page = shared_page
    open_tab(page, "Activations", "Activation maps")
    run(page, "activation_maps")
    maps = page.locator("#activation_maps-maps button.thumbnail-item")
    expect(maps).to_have_count(64)
    unit = page.get_by_label("Unit over the photo")
    for index, choose_it in ((5, lambda: maps.nth(5).click()), (7, lambda: maps.nth(7).press("Enter"))):
        choose_it()
        expect(page.locator(".notes").locator("visible=true")).to_contain_text(f"unit {index},")
        expect(unit).to_have_value(str(index))
        page.wait_for_url(re.compile(f"unit={index}"))


@pytest.mark.slow
def test_the_address_opens_the_same_settings_again(page, browser):
    open_tab(page, "Activations", "Occlusion")
    page.get_by_label("number input for Window").fill("100")
    page.get_by_label("number input for Stride").fill("50")
    page.locator("#sample-coffee").click()
    expect(page.locator("#prediction")).to_contain_text("espresso")
    choose(page, "target", "cup")
    expect(page.locator("#line")).to_contain_text("explains: cup")
    run(page, "occlusion")
    page.wait_for_url(re.compile("window=100"))

    again = browser.new_page()
    again.goto(page.url)
    expect(again.locator("#line")).to_contain_text("explains: cup")
    expect(again.get_by_label("number input for Window")).to_have_value("100")
    expect(again.locator("#prediction")).to_contain_text("espresso")
    again.close()


@pytest.mark.slow
def test_a_link_cannot_set_what_is_refused_or_inject_markup(browser, server):
    opened = browser.new_page()
    opened.goto(f"{server.url}/?technique=occlusion&window=99999&stride=-1&model=%3Cimg+src%3Dx+onerror%3Dalert(1)%3E")
    opened.on("dialog", lambda dialog: pytest.fail("markup of a link was run"))
    expect(opened.get_by_label("number input for Window")).to_have_value("56")
    expect(opened.get_by_test_id("toast-body").first).to_contain_text("img src=x")
    opened.close()


@pytest.mark.slow
def test_the_shown_calls_work_when_pasted(shared_page, tmp_path):
    page = shared_page
    open_tab(page, "Gradients", "Saliency")
    run(page, "saliency")
    page.get_by_role("button", name=re.compile("as Python, curl")).locator("visible=true").click()
    shown = page.locator(".cm-content").locator("visible=true")
    expect(shown).to_have_count(3)
    python, curl, shell = ("\n".join(block.locator(".cm-line").all_inner_texts()) for block in shown.all())
    script = f"{python}\nimport numpy\nprint(sorted(numpy.load(arrays)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, cwd=tmp_path)
    assert done.stdout.strip().endswith("['heatmap', 'overlay', 'scores']"), done.stderr
    done = subprocess.run(["bash", "-c", curl], capture_output=True, text=True, timeout=60)
    assert "event: complete" in done.stdout
    assert "heatmap.png" in done.stdout
    command = f'timmscope() {{ {sys.executable} -m timmscope "$@"; }}\n{shell}'
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60, cwd=tmp_path, env=HERE)
    assert "out/arrays.npz" in done.stdout.splitlines(), done.stderr


@pytest.mark.slow
def test_the_files_can_be_downloaded(shared_page, tmp_path):
    page = shared_page
    open_tab(page, "Gradients", "Saliency")
    run(page, "saliency")
    with page.expect_download() as download:
        page.get_by_role("button", name="Arrays (.npz)").locator("visible=true").click()
    download.value.save_as(tmp_path / "arrays.npz")
    with np.load(tmp_path / "arrays.npz") as arrays:
        assert arrays["heatmap"].shape == (224, 224)


@pytest.mark.slow
def test_the_phone_page_starts_with_the_side_bar_closed_and_nothing_overflows(browser, server):
    phone = browser.new_page(viewport={"width": 390, "height": 844})
    phone.goto(f"{server.url}/?technique=saliency")
    expect(phone.locator("#run-saliency")).to_be_visible()
    expect(phone.locator("#side")).not_to_have_class(re.compile(r"\bopen\b"))
    assert phone.evaluate("document.documentElement.scrollWidth") <= 390
    phone.locator("#run-saliency").click()
    expect(phone.locator("#saliency-heatmap img")).to_be_visible()
    phone.close()


def test_the_plugins_page_names_what_is_installed(shared_page):
    page = shared_page
    page.get_by_role("tab", name="Plugins", exact=True).click()
    expect(page.locator("table.plugins")).to_contain_text("efficientnet_lite")
    expect(page.locator("table.plugins .failed")).to_have_count(0)


def test_open_run_change_the_class_run_again_and_read_an_error(shared_page):
    """Last in this file: the shared page keeps a model that there is not."""
    page = shared_page
    open_tab(page, "Gradients", "Saliency")
    run(page, "saliency")
    picture = page.locator("#saliency-heatmap img")
    expect_picture(page, "#saliency-heatmap", width=224)
    first = picture.get_attribute("src")

    page.locator("#sample-coffee").click()
    expect(page.locator("#prediction")).to_contain_text("espresso")
    choose(page, "target", "cup")
    expect(page.locator("#line")).to_contain_text("explains: cup")
    page.locator("#run-saliency").click()
    expect(picture).not_to_have_attribute("src", first)
    expect(page.locator("#saliency-scores")).to_contain_text("cup")

    choose(page, "model", "resnet5O", known=False)
    toast = page.get_by_test_id("toast-body")
    expect(toast.first).to_contain_text("Did you mean")
    expect(toast.first).to_contain_text("resnet50")
    page.locator("#run-saliency").click()
    expect(page.locator("#status-saliency")).to_contain_text("Did you mean")
