"""Points that show their photo, and pictures to zoom into: what the page receives and does with it."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from timmscope import Placed
from timmscope.registry.web import drawings

from ..browser.test_page import browser, open_tab, page, run  # noqa: F401

MARKUP = "<img src=x onerror=alert(1)>"  # as the name of a folder: a label
COLORS = [(220, 30, 30), (30, 200, 40), (40, 60, 220), (230, 210, 20), (20, 200, 210), (200, 30, 190)]
# The colour in the middle of the card's photo: its place in the picture of all photos is a style of the card.
SHOWN = """async card => {
  const style = getComputedStyle(card.querySelector('.scatter-thumb')), all = new Image();
  all.src = style.backgroundImage.slice(5, -2);
  await all.decode();
  const scale = all.naturalWidth / parseFloat(style.backgroundSize);
  const [x, y] = style.backgroundPosition.split(' ').map(part => (64 - parseFloat(part)) * scale);
  const canvas = Object.assign(document.createElement('canvas'), { width: 1, height: 1 });
  const brush = canvas.getContext('2d');
  brush.drawImage(all, x, y, 1, 1, 0, 0, 1, 1);
  return [...brush.getImageData(0, 0, 1, 1).data.slice(0, 3)];
}"""


def archive() -> bytes:
    """A zip of plain photos in two folders."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for i, color in enumerate(COLORS):
            photo = io.BytesIO()
            Image.new("RGB", (64, 64), color).save(photo, "PNG")
            file.writestr(f"{'plain' if i % 2 else MARKUP}/{i}.png", photo.getvalue())
    return buffer.getvalue()


@pytest.mark.slow
def test_pointing_at_a_point_shows_its_photo_and_markup_in_names_stays_text(page):  # noqa: F811
    page.on("dialog", lambda dialog: pytest.fail("markup of a name was run"))
    open_tab(page, "Activations", "Embedding map")
    tab = page.get_by_role("tabpanel").filter(has=page.locator("#run-embedding_map"))
    tab.locator("input[type=file]").last.set_input_files(
        {"name": "set.zip", "mimeType": "application/zip", "buffer": archive()}
    )
    expect(tab.get_by_role("cell", name="set.zip")).to_be_visible()
    run(page, "embedding_map")
    points, card = page.locator("#embedding_map-points"), page.locator("#embedding_map-points .scatter-card")
    expect(points.locator(".scatter-plot path")).to_have_count(len(COLORS))
    expect(card).to_be_hidden()
    points.locator(".scatter-plot").scroll_into_view_if_needed()
    seen = {}
    for place in points.locator(".scatter-plot path").evaluate_all(
        "marks => marks.map(m => m.getBoundingClientRect()).map(b => [b.x + b.width / 2, b.y + b.height / 2])"
    ):
        page.mouse.move(*place)
        expect(card).to_be_visible()
        seen[card.locator(".scatter-name").inner_text()] = card.evaluate(SHOWN)
    assert sorted(seen) == sorted(f"{'plain' if i % 2 else MARKUP}/{i}.png" for i in range(len(COLORS)))
    for name, color in seen.items():
        assert np.allclose(color, COLORS[int(name[-5])], atol=25), name

    expect(points.get_by_role("button", name=MARKUP, exact=True)).to_be_visible()
    assert points.locator("img").count() == 0
    points.get_by_role("button", name="plain", exact=True).click()
    expect(points.locator("path.faint")).to_have_count(3)
    points.locator(".scatter-plot").focus()
    page.keyboard.press("+")
    page.keyboard.press("ArrowRight")
    expect(card.locator(".scatter-label")).to_have_text("plain")
    expect(page.locator("#embedding_map-map a")).to_contain_text("Open the whole picture")


def test_the_page_gets_a_reduced_copy_of_a_large_picture(tmp_path):
    def cached(data: bytes, name: str) -> str:
        (tmp_path / name).write_bytes(data)
        return str(tmp_path / name)

    picture = Image.new("RGBA", (3_000, 1_500), "teal")
    picture.save(tmp_path / "map.png")
    value = drawings.large_value(picture, str(tmp_path / "map.png"), cached)
    assert value["whole"]["path"] == str(tmp_path / "map.png")
    assert Image.open(value["reduced"]["path"]).size == (drawings.REDUCED, drawings.REDUCED // 2)
    assert "3,000 x 1,500 pixels" in value["size"]


def test_points_are_sent_with_one_picture_of_all_photos(tmp_path):
    photos = np.stack([np.full((48, 48, 3), color, np.uint8) for color in COLORS[:5]])
    placed = Placed(np.arange(10.0).reshape(5, 2), list("abcde"), ["x", "y", "x", "", "x"], photos)

    def cached(data: bytes, name: str) -> str:
        (tmp_path / name).write_bytes(data)
        return str(tmp_path / name)

    value = drawings.scatter_value(placed, cached)
    assert value["columns"] == 3
    assert value["points"][1] == {"x": 2.0, "y": 3.0, "label": "y", "name": "b"}
    assert set(value["colors"]) == {"x", "y"}
    sprite = np.asarray(Image.open(value["sprite"]["path"]))
    assert sprite.shape == (96, 144, 3)
    for i, color in enumerate(COLORS[:5]):
        assert np.allclose(sprite[i // 3 * 48 + 24, i % 3 * 48 + 24], color, atol=12)
