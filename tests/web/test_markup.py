"""HTML in names: everywhere the page shows one, it is text. One walk through all of these places in a real browser."""

from __future__ import annotations

import io
import re
import zipfile
from urllib.parse import urlencode

import pytest
from playwright.sync_api import expect

from ..browser.test_page import PATIENCE, browser, choose, open_tab, run  # noqa: F401
from ..photos.test_sets import photo

TAG = "<img src=x onerror=window.hacked=1>"
DEFUSED = re.compile("[<‹]img src=x onerror=window.hacked=1[>›]")  # messages replace the brackets
HACKED = "() => window.hacked"


def zipped() -> bytes:
    """Photos of several classes, the names of all of which are markup, and a file that is no photo."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for i, colour in enumerate(("red", "tan", "blue", "lime", "navy", "pink")):
            archive.writestr(f"{TAG}{i % 2}/{TAG}{i}.png", photo(colour, (40 + i, 40)))
        archive.writestr(f"{TAG}.txt", "text")
    return buffer.getvalue()


@pytest.fixture
def page(browser, server):  # noqa: F811
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    context.set_default_timeout(PATIENCE)
    opened = context.new_page()
    opened.on("dialog", lambda dialog: pytest.fail("markup was run"))
    opened.goto(f"{server.url}/?{urlencode({'technique': 'saliency', 'target': TAG, 'sample': TAG, 'model': TAG})}")
    yield opened
    assert opened.evaluate(HACKED) is None
    context.close()


@pytest.mark.slow
def test_markup_in_names_is_text_wherever_it_is_shown(page, server, cat):
    toast = page.get_by_test_id("toast-body").first
    expect(toast).to_contain_text(DEFUSED)  # from the address
    page.goto(server.url)
    expect(page.locator("#prediction")).to_contain_text("tiger cat")

    # a photo: its name in the call, the address, and the page that the address opens
    page.locator("#photo").get_by_label(re.compile("[Cc]lear|Remove")).first.click()
    page.locator("#photo input[type=file]").set_input_files(
        {"name": f"{TAG}.png", "mimeType": "image/png", "buffer": cat}
    )
    expect(page.locator("#line")).to_contain_text("tiger cat")
    open_tab(page, "Gradients", "Saliency")
    run(page, "saliency")
    page.get_by_role("button", name=re.compile("as Python, curl")).locator("visible=true").click()
    expect(page.locator(".cm-content").locator("visible=true").first).to_contain_text("client.predict")
    assert page.evaluate(HACKED) is None

    # a class and a model: the line of the prediction, the status and the toast
    choose(page, "target", TAG, known=False)
    expect(page.locator("#line")).to_contain_text(TAG)
    page.locator("#run-saliency").click()
    expect(page.locator("#status-saliency")).to_contain_text(DEFUSED)
    choose(page, "model", TAG, known=False)
    expect(toast).to_contain_text(DEFUSED)
    assert page.evaluate(HACKED) is None

    # photos: captions, notes, the table, the points and the card of one of them
    page.goto(server.url)
    expect(page.locator("#prediction")).to_contain_text("tiger cat")
    archive = {"name": f"{TAG}.zip", "mimeType": "application/zip", "buffer": zipped()}
    for title, technique, shown in (
        ("Nearest neighbours", "nearest_neighbors", ".caption-label"),
        ("Embedding map", "embedding_map", ".scatter-legend"),
    ):
        open_tab(page, "Activations", title)
        tab = page.locator(f"[role=tabpanel]:has(#run-{technique})").last
        tab.locator("input[type=file][multiple]").set_input_files(archive)
        expect(tab.locator(".file-preview")).to_contain_text("img src=x")
        run(page, technique)
        expect(tab.locator(shown).filter(has_text="onerror").first).to_contain_text(TAG)
        expect(tab.locator(".notes")).to_contain_text(f"{TAG}.txt")
        assert page.evaluate(HACKED) is None
    plot = page.locator("svg.scatter-plot").locator("visible=true")
    plot.focus()
    plot.press("ArrowRight")
    expect(page.locator(".scatter-card .scatter-name").locator("visible=true")).to_contain_text(TAG)
    expect(page.locator(".scatter-card .scatter-label").locator("visible=true")).to_contain_text(TAG)
