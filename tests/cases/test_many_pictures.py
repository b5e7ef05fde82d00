"""Figures and notebooks of many pictures: quick, small and whole."""

from __future__ import annotations

import io
import re
import time

import numpy as np
import pytest
from PIL import Image

from timmscope.registry.declare.ports import Gallery, Heatmap, Heatmaps, Table
from timmscope.registry.pictures.values import Captioned, Outputs
from timmscope.registry.results.result import Result

from ..references import CHELSEA
from ..results.test_result import make


def numbered(count: int, height: int, width: int) -> np.ndarray:
    """Pictures of one colour each, no two alike, [count, height, width, 3]."""
    colours = np.stack([np.arange(count) // 256 * 16 + 64, np.arange(count) % 256, 255 - np.arange(count) % 256], -1)
    return np.broadcast_to(colours[:, None, None].astype(np.uint8), (count, height, width, 3))


@pytest.mark.case(22)
@pytest.mark.parametrize(
    ("count", "height", "width", "columns"), [(1024, 112, 112, 8), (576, 40, 90, 8), (100, 90, 40, 2), (13, 3, 3, 5)]
)
def test_a_figure_of_many_pictures_takes_seconds_and_shows_them_all(count, height, width, columns):
    pictures, captions = numbered(count, height, width), [f"caption number {i} of a picture" for i in range(count)]
    values = Outputs(patches=Captioned(pictures, captions))
    start = time.process_time()
    figure = Result(make((Gallery("patches", "Patches", columns=columns),)), values, {}).figure()
    figure.savefig(io.BytesIO(), dpi="figure" if count > 1000 else 20)
    assert time.process_time() - start < 12
    (ax,) = [ax for ax in figure.axes if ax.images]
    assert len(figure.axes) == 1
    assert f"{count:,} pictures" in ax.get_title()
    wall = np.asarray(ax.images[0].get_array())
    opaque = wall[..., 3] == 255
    rows, across = (np.diff(np.flatnonzero(np.diff(opaque.any(axis), prepend=0, append=0)))[::2] for axis in (1, 0))
    assert len(across) % columns == 0 or columns < 5
    assert len(rows) == -(-count // len(across))
    centres = [
        np.flatnonzero(np.diff(opaque.any(axis), prepend=0, append=0))[::2] + sizes // 2
        for axis, sizes in ((1, rows), (0, across))
    ]
    shown = wall[np.ix_(*centres)].reshape(-1, 4)
    assert np.array_equal(shown[:count, :3], pictures[:, 0, 0])
    assert not shown[count:, 3].any()
    assert abs(rows[0] / across[0] - height / width) < 0.05
    words = " ".join(ax.texts[i].get_text().replace("\n", " ") for i in range(len(ax.texts)))
    assert ("result.pictures" in ax.get_title()) == (not words)
    assert not words or words == " ".join(captions)
    assert bool(words) == (count <= 100)  # elsewhere they would be too small, or too many


@pytest.mark.case(22)
def test_captions_on_a_wall_are_as_wide_as_their_pictures_at_most():
    captions = [f"unit {i}: 0.{i} · birds/photo_{i}_with_a_long_name.png" for i in range(64)]
    values = Outputs(patches=Captioned(numbered(64, 50, 50), captions))
    figure = Result(make((Gallery("patches", "Patches", columns=8),)), values, {}).figure()
    figure.draw_without_rendering()
    (ax,) = figure.axes
    boxes = [text.get_window_extent() for text in ax.texts]
    assert len(boxes) == 64
    assert max(box.width for box in boxes) <= ax.get_window_extent().width / 8
    tops = sorted({round(box.y1) for box in boxes})
    assert max(box.height for box in boxes) < min(np.diff(tops)) / 2


@pytest.mark.case(22)
@pytest.mark.parametrize(("kind", "side"), [pytest.param(Gallery, 224, marks=pytest.mark.slow), (Heatmaps, 14)])
def test_a_notebook_of_many_pictures_is_quick_small_and_whole(kind, side):
    count, cat = 1024, np.asarray(Image.open(CHELSEA).resize((side, side)))
    pictures = np.stack([np.roll(cat, i, 0) for i in range(count)])
    values = pictures if kind is Gallery else pictures[..., 0].astype(np.float32)
    captions = [f"unit <{i}>" for i in range(count)]
    result = Result(make((kind("many", "Many"),)), Outputs(many=Captioned(values, captions)), {})
    start = time.process_time()
    text = result._repr_html_()
    assert time.process_time() - start < 15
    assert len(text) < 20 * 2**20
    assert re.findall(r"<figcaption>unit &lt;(\d+)&gt;</figcaption>", text) == [str(i) for i in range(count)]
    assert text.count("<img") == count
    assert ("as small copies" in text) == (side > 64)


@pytest.mark.case(22)
def test_a_large_table_says_how_much_of_it_is_shown_and_can_be_read():
    columns = ("photo", "unit", "rank", "number", "row", "column", "value")
    rows = [[f"birds/photo {i}.png", *range(i, i + 5), i / 7] for i in range(1500)]
    technique = make((Table("ranking", "Ranking", columns), Heatmap("heat", "Heat")))
    result = Result(technique, Outputs(ranking=rows, heat=np.eye(4)), {})
    figure = result.figure()
    figure.draw_without_rendering()
    (ax,) = [ax for ax in figure.axes if ax.tables]
    assert "12 of 1,500 rows" in ax.get_title()
    cells = ax.tables[0].get_celld()
    assert len(cells) == 13 * 7
    for (row, column), cell in cells.items():
        text = cell.get_text()
        assert text.get_fontsize() >= 7
        assert text.get_window_extent().width <= cell.get_window_extent().width
        expected = columns[column] if row == 0 else rows[row - 1][column]
        assert text.get_text() == (f"{expected:.4g}" if isinstance(expected, float) else str(expected))
    assert result._repr_html_().count("<tr>") == 1501
