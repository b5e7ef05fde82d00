"""Pictures: what is clipped, where zero lies, and that an overlay covers its region only."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from timmscope.registry.pictures import render

RNG = np.random.default_rng(0)


def test_a_heat_map_is_clipped_at_its_quantiles():
    heat = np.arange(10_000.0).reshape(100, 100)
    heat[0, 0] = 1e9
    shown = render.normalize(heat)
    assert (shown.min(), shown.max()) == (0, 1)
    assert shown[50, 0] == pytest.approx(0.5, abs=0.01)
    assert (shown == 1).mean() == pytest.approx(0.01, abs=0.001)


def test_a_signed_heat_map_keeps_zero_in_the_middle():
    heat = RNG.normal(size=(50, 50)) + 3
    heat[0, 0] = 0
    shown = render.normalize(heat, signed=True)
    assert shown[0, 0] == 0.5
    assert shown.max() == 1
    assert np.allclose(render.normalize(-heat, signed=True), 1 - shown)


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("heat", [np.zeros((8, 8)), np.ones((8, 8)), np.eye(200), np.array([[5.0]])])
def test_even_a_uniform_or_sparse_map_is_drawn(heat, signed):
    shown = render.normalize(heat, signed)
    assert np.isfinite(shown).all()
    assert 0 <= shown.min() <= shown.max() <= 1
    if heat.max() > heat.min():
        assert shown[0, 0] > shown[0, 1]
    assert render.colored(heat, "turbo", signed).shape == (*heat.shape, 3)


def test_the_last_bits_of_a_constant_map_are_not_drawn():
    bits = RNG.integers(-3, 4, (20, 20)) * 2.0**-23
    for level in (1e-9, 0.3, 1e6):
        heat = (level * (1 + bits)).astype(np.float32)
        assert np.ptp(heat) > 0
        assert not render.normalize(heat).any()
        assert len(set(render.cells(heat).ravel())) == 1
        heat[3, 4] *= 1 + 1e-4  # a value of its own, in few pixels
        assert render.normalize(heat)[3, 4] == 1
        assert render.normalize(heat).sum() < 10
        assert render.cells(heat, side=20)[3, 4, 0] == 255


def test_a_gradient_is_grey_where_it_is_zero():
    gradient = RNG.normal(size=(3, 20, 30))
    gradient[:, :10] = 0
    picture = render.gradient_picture(gradient)
    assert picture.dtype == np.uint8
    assert set(picture[:10].ravel()) == {128}
    assert picture[10:, :, 1].astype(int).std() > 20
    above = gradient[:, 10:] > 0
    assert ((picture[10:] >= 128) == above.transpose(1, 2, 0)).all()
    assert render.gradient_picture(gradient[:1]).shape == (20, 30, 3)


@pytest.mark.parametrize(
    ("size", "expected"), [((100, 50), (320, 640)), ((2000, 3000), (640, 427)), ((1, 1), (640, 640))]
)
def test_an_overlay_has_the_aspect_of_the_photo(size, expected):
    overlay = render.overlay(Image.new("RGB", size), (0, 0, *size), np.eye(4))
    assert overlay.shape == (*expected, 3)
    assert overlay.dtype == np.uint8


def test_an_overlay_colours_its_region_and_dims_the_rest():
    photo = Image.new("RGB", (640, 320), (200, 200, 200))
    overlay = render.overlay(photo, (160, 0, 480, 320), RNG.random((7, 7)))
    inside, outside = overlay[:, 160:480], np.concatenate([overlay[:, :160], overlay[:, 480:]], 1)
    assert len(set(outside.ravel())) == 1
    assert 0 < outside[0, 0, 0] < 150
    assert np.ptp(inside.astype(int), axis=2).max() > 50
    assert (inside != outside[0, 0]).any(axis=2).all()


@pytest.mark.case(33)
def test_an_overlay_puts_the_heat_where_it_belongs():
    heat = np.zeros((8, 8))
    heat[1, 6] = 1
    overlay = render.overlay(Image.new("RGB", (640, 640)), (0, 0, 640, 640), heat).astype(int)
    redness = overlay[..., 0] - overlay[..., 2]
    row, column = np.unravel_index(redness.argmax(), redness.shape)
    assert (row // 80, column // 80) == (1, 6)


def test_a_region_may_reach_over_the_photo():
    overlay = render.overlay(Image.new("RGB", (100, 50)), (0, -25, 100, 75), np.eye(8))
    assert overlay.shape == (320, 640, 3)


def test_png_and_animation_are_lossless():
    picture = RNG.integers(0, 256, (9, 7, 3), np.uint8)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(render.png(Image.fromarray(picture))))), picture)
    frames = RNG.integers(0, 256, (3, 9, 7, 3), np.uint8)
    film = Image.open(io.BytesIO(render.animation(frames)))
    for i, frame in enumerate(frames):
        film.seek(i)
        assert np.array_equal(np.asarray(film.convert("RGB")), frame)


def test_cells_are_squares_between_the_extremes():
    picture = render.cells([[0.0, 1.0], [3.0, 4.0]], side=4)
    assert picture.shape == (4, 4, 3)
    assert picture[::2, ::2, 0].tolist() == [[0, 64], [191, 255]]
    assert np.array_equal(picture[::2], picture[1::2])
    assert not render.cells(np.zeros((2, 2))).any()
    assert (render.cells(np.full((2, 2), 7.0)) == 128).all()
    assert render.cells([[2.0]], extremes=(0, 4), side=1).tolist() == [[[128] * 3]]


def test_a_wall_has_its_pictures_in_rows_and_gaps_to_see_through():
    pictures = [np.full((2, 3, 3), value, np.uint8) for value in (10, 20, 30)]
    wall = render.wall(pictures, columns=2, gap=1)
    assert wall.shape == (5, 7, 4)
    assert [wall[0, 0, 0], wall[0, 4, 0], wall[3, 0, 0]] == [10, 20, 30]
    assert not wall[2].any()
    assert not wall[3:, 3:].any()
    assert wall[:2, :3, 3].min() == 255


def test_smaller_pictures_get_see_through_borders():
    small, large = (np.full((side, side, 3), 9, np.uint8) for side in (2, 4))
    padded = render.same_size([small, large])
    assert [picture.shape for picture in padded] == [(4, 4, 4)] * 2
    assert padded[0][..., 3].sum() == 4 * 255
    assert render.same_size([small])[0] is small
