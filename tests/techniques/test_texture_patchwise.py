"""Efros and Leung's texture: it continues a pattern without an error, and copies nothing but the sample's pixels."""

from __future__ import annotations

import time

import numpy as np
import pytest

import timmscope


def checkerboard(side: int, cell: int = 4, shift: tuple[int, int] = (0, 0)) -> np.ndarray:
    rows, columns = np.indices((side, side))
    board = ((rows + shift[0]) // cell + (columns + shift[1]) // cell) % 2 * 255
    return np.repeat(board[..., None], 3, 2).astype(np.uint8)


def test_a_checkerboard_goes_on_without_an_error():
    start = time.monotonic()
    result = timmscope.run("texture_patchwise", image=checkerboard(32), size=64)
    assert time.monotonic() - start < 10
    wanted = [checkerboard(64, shift=(y, x)) for y in range(8) for x in range(8)]
    assert any(np.array_equal(result["texture"], board) for board in wanted)


def test_only_pixels_of_the_sample_are_used():
    sample = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
    made = timmscope.run("texture_patchwise", image=sample, sample=16, size=24, window=5)["texture"]
    colors = {tuple(color) for color in sample.reshape(-1, 3)}
    assert {tuple(color) for color in made.reshape(-1, 3)} <= colors


def test_it_uses_no_model_and_grows_line_by_line():
    assert not timmscope.plugins().technique("texture_patchwise").uses_model
    *previews, _ = timmscope.stream("texture_patchwise", image="sample:brick", sample=24, size=40, window=7)
    assert previews[0].outputs["texture"][-1].sum() == 0
    assert [preview.total for preview in previews] == [40] * len(previews)


@pytest.mark.parametrize(("window", "sample", "size"), [(31, 20, 64), (31, 64, 20)])
def test_a_window_too_large_is_refused(window, sample, size):
    with pytest.raises(timmscope.InvalidInput, match=f"window: got {window}, expected less than"):
        timmscope.run("texture_patchwise", image="sample:brick", window=window, sample=sample, size=size)


def test_a_single_pixel_gives_its_colour():
    made = timmscope.run("texture_patchwise", image=np.full((1, 1, 3), 77, np.uint8), size=32)["texture"]
    assert (made == 77).all()
