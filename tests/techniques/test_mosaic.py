"""Photos laid out: the grid is the optimal assignment, places are where they belong, labels have a legend."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from PIL import Image

from timmscope.registry.pictures import render
from timmscope.techniques.shared import mosaic

POINTS = np.random.default_rng(3).normal(size=(5, 2))


def test_the_grid_moves_five_points_the_least_of_all_assignments():
    cells, rows, columns = mosaic.grid_cells(POINTS)
    assert (rows, columns) == (2, 3)
    where = mosaic.stretched(POINTS) * (rows - 1, columns - 1)
    every = np.array(list(itertools.product(range(rows), range(columns))))
    costs = [((every[list(order)] - where) ** 2).sum() for order in itertools.permutations(range(6), 5)]
    assert ((cells - where) ** 2).sum() == pytest.approx(min(costs))
    assert min(costs) < np.median(costs)


@pytest.mark.parametrize("count", [1, 2, 3, 9, 50])
def test_every_photo_has_a_cell_of_its_own(count):
    cells, rows, columns = mosaic.grid_cells(np.random.default_rng(count).normal(size=(count, 2)))
    assert len({tuple(cell) for cell in cells.tolist()}) == count
    assert rows * columns - count < columns
    assert (cells >= 0).all()
    assert (cells < (rows, columns)).all()


def test_points_that_lie_on_a_grid_stay_where_they_are():
    x, y = np.meshgrid(range(4), range(4))
    cells, _, _ = mosaic.grid_cells(np.stack([x.ravel(), y.ravel()], axis=1))
    assert np.array_equal(cells, np.stack([3 - y.ravel(), x.ravel()], axis=1))  # y points up


@pytest.mark.parametrize("layout", ["scatter", "grid"])
@pytest.mark.parametrize("count", [1, 2, 30])
def test_photos_lie_inside_the_map_and_the_map_is_as_large_as_asked(layout, count):
    positions = np.random.default_rng(count).normal(size=(count, 2)) * (3, 1)
    side = mosaic.side(count, layout, 600)
    places, size = mosaic.plan(positions, layout, 600, side)
    assert (places >= 0).all()
    assert (places + side <= size).all()
    assert max(size) <= 600
    if count == 30:
        assert max(size) >= 595
    if layout == "scatter" and count > 1:
        assert places[positions[:, 1].argmax(), 0] == 0, "the largest y is at the top"
        assert places[positions[:, 0].argmin(), 1] == 0, "the smallest x is at the left"
        scale = (places[:, 1].max() - places[:, 1].min()) / np.ptp(positions[:, 0])
        assert np.ptp(places[:, 0]) == pytest.approx(scale * np.ptp(positions[:, 1]), abs=2)  # one scale for both axes


def test_photos_are_framed_in_the_colour_of_their_label_and_the_legend_names_it():
    photos = [Image.new("RGB", (40, 40), color) for color in ("red", "lime", "blue")]
    places = np.array([[0, 0], [0, 60], [60, 0]])
    drawn = mosaic.draw(places, (100, 100), photos, ["cat", "dog", ""])
    colors = {name: tuple(bytes.fromhex(color[1:])) for name, color in render.label_colors(["cat", "dog"]).items()}
    assert tuple(drawn[0, 0]) == (*colors["cat"], 255)
    assert tuple(drawn[0, 99]) == (*colors["dog"], 255)
    assert tuple(drawn[60, 0]) == (*bytes.fromhex(render.NO_LABEL[1:]), 255)
    assert tuple(drawn[20, 20]) == (255, 0, 0, 255)
    assert drawn[70, 70, 3] == 0, "what is empty is see-through"
    legend = drawn[100:, :, :3].reshape(-1, 3)
    assert all((legend == color).all(1).any() for color in colors.values())


def test_without_labels_there_are_neither_frames_nor_a_legend():
    drawn = mosaic.draw(np.array([[0, 0]]), (40, 40), [Image.new("RGB", (40, 40), "red")], [""])
    assert drawn.shape == (40, 40, 4)
    assert (drawn == (255, 0, 0, 255)).all()


def test_a_long_label_and_other_scripts_fit_the_legend():
    colors = render.label_colors(["x" * 300, "кошка", "猫", "a\nb"])
    legend = mosaic.legend_picture(colors, 300)
    assert legend.width == 300
    assert np.asarray(legend)[..., 3].any()
