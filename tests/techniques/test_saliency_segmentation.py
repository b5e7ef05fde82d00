"""Segmentation by GrabCut: it finds the object the map points to, repeats, and declines what has no object."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

import timmscope
from timmscope.techniques.gradients.saliency_segmentation import cut

from ..references import CHELSEA


def scene() -> tuple[np.ndarray, np.ndarray]:
    """A textured disc on another texture, and where it is."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:120, :120]
    disc = (rows - 50) ** 2 + (columns - 70) ** 2 < 30**2
    colours = np.where(disc[..., None], (200, 60, 40), (40, 90, 160)) + rng.normal(0, 12, (120, 120, 3))
    return colours.clip(0, 255).astype(np.uint8), disc


def test_a_rough_map_is_cut_to_the_object():
    pixels, disc = scene()
    rows, columns = np.mgrid[:120, :120]
    rough = np.exp(-((rows - 55) ** 2 + (columns - 62) ** 2) / (2 * 20**2))
    mask = cut(pixels, rough, iterations=5, seed=0)
    overlap = (mask & disc).sum() / (mask | disc).sum()
    assert overlap > 0.95
    assert np.array_equal(mask, cut(pixels, rough, iterations=5, seed=0))


def test_a_uniform_map_is_declined():
    with pytest.raises(timmscope.Declined, match="too uniform to tell object from background"):
        cut(scene()[0], np.ones((120, 120)), 5, 0)


def test_the_cut_out_is_the_photo_on_white():
    *previews, result = timmscope.stream("saliency_segmentation", image=CHELSEA, samples=16)
    mask, cutout = result.arrays["mask"], result.arrays["cutout"]
    assert set(np.unique(mask)) == {0, 1}
    assert 0.02 < mask.mean() < 0.9
    assert (cutout[mask == 0] == 1).all()
    whole = previews[0].outputs["cutout"]  # nothing is cut before the map is complete
    assert np.array_equal((cutout[mask == 1] * 255).round(), whole[mask == 1])


@pytest.mark.case(23)
@pytest.mark.parametrize(
    "picture", [Image.new("RGB", (64, 64), "grey"), Image.new("RGB", (1, 1)), Image.new("L", (90, 4))]
)
def test_a_photo_of_one_colour_is_declined(picture):
    with pytest.raises(timmscope.Declined, match="photo is too uniform to tell object from background"):
        timmscope.run("saliency_segmentation", image=picture, samples=2, iterations=1)
