"""DeepDream: more energy, the photo's aspect, octaves and frames."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

import timmscope
from timmscope.techniques.synthesis.deepdream import octave_sizes

from ..references import CHELSEA, EMBEDDED

TINY = {"model": "test_convnext", "weights": "random", "size": 96, "octaves": 2, "steps": 4}


def test_the_layer_sees_more_than_before():
    result = timmscope.run("deepdream", model=EMBEDDED, image=CHELSEA, size=120, octaves=2, steps=6)
    curve = result["objective"]["energy"]
    assert len(curve) == 12
    assert curve[5] > 1.5 * curve[0]
    assert curve[-1] > 1.1 * curve[6]
    assert result.notes[-1].startswith("Layer blocks.4")


def test_the_dream_has_the_photos_aspect_and_the_film_begins_with_it():
    result = timmscope.run("deepdream", image=CHELSEA, **TINY)
    assert result["image"].shape == (64, 96, 3)
    film = result["animation"]
    assert film.shape == (9, 64, 96, 3)
    assert np.array_equal(film[-1], result["image"])
    photo = np.asarray(Image.open(CHELSEA).resize((96, 64), Image.Resampling.LANCZOS), int)
    assert np.abs(film[0] - photo).max() <= 1


def test_octaves_grow_to_the_size_and_are_never_too_small():
    assert octave_sizes((300, 400), 3, 2) == [(75, 100), (150, 200), (300, 400)]
    assert octave_sizes((300, 400), 8, 2)[0] == (38, 50)
    assert octave_sizes((4, 100), 4, 1.4) == [(4, 100)]


@pytest.mark.parametrize("model", ["test_vit", "test_resnet"])
def test_other_networks_dream_too(model):
    result = timmscope.run("deepdream", image=CHELSEA, **TINY | {"model": model})
    assert result["objective"]["energy"][-1] > 0


def test_one_unit_and_bad_ones():
    assert timmscope.run("deepdream", image=CHELSEA, layer="stages.1", unit=2, **TINY)
    with pytest.raises(timmscope.InvalidInput, match="unit: got 100000, expected a channel"):
        timmscope.run("deepdream", image=CHELSEA, layer="stages.1", unit=100000, **TINY)


@pytest.mark.parametrize("shape", [(1, 1), (40, 40), (4, 100)])
def test_photos_without_content_are_taken(shape):
    assert timmscope.run("deepdream", image=np.zeros((*shape, 3), np.uint8), **TINY)["image"].size
