"""Feature inversion: fidelity falls with depth."""

from __future__ import annotations

import numpy as np
import pytest

import timmscope
from timmscope.techniques.synthesis.feature_inversion import psnr

from ..references import CHELSEA, EMBEDDED

TINY = {"model": "test_convnext", "weights": "random", "steps": 4}


@pytest.mark.slow  # 24 steps of three layers of a trained network
def test_fidelity_falls_from_layer_to_layer():
    result = timmscope.run("feature_inversion", model=EMBEDDED, image=CHELSEA, steps=24)
    original, *made = result["reconstructions"].items.astype(float) / 255
    values = [psnr(((picture - original) ** 2).mean()) for picture in made]
    assert [caption.split(":")[0] for caption in result["reconstructions"].captions[1:]] == [
        "blocks.0",
        "blocks.2",
        "blocks.4",
    ]
    assert values[0] > values[1] + 3 > values[2] + 3
    assert values[0] > 25
    for caption, value in zip(result["reconstructions"].captions[1:], values):
        assert float(caption.split()[1]) == pytest.approx(value, abs=0.6)
    assert all(curve[-1] < 0.5 * curve[0] for curve in result["objective"].values())


def test_total_variation_smooths():
    rough, smooth = (
        timmscope.run("feature_inversion", image=CHELSEA, layers="stages.0", tv=tv, **TINY | {"steps": 12})
        for tv in (0, 10)
    )
    bumps = [np.abs(np.diff(r["reconstructions"].items[1].astype(float), axis=0)).mean() for r in (rough, smooth)]
    assert bumps[1] < bumps[0]


def test_layers_without_place_and_twice_and_tokens():
    result = timmscope.run("feature_inversion", image=CHELSEA, layers=["head.fc", "stages.0", "stages.0"], **TINY)
    assert len(result["reconstructions"].items) == 3
    assert timmscope.run("feature_inversion", image=CHELSEA, **TINY | {"model": "test_vit"})


@pytest.mark.parametrize("beta", [1, 2, 3])
def test_photos_without_content_are_taken(beta):
    black = np.zeros((1, 1, 3), np.uint8)
    assert np.isfinite(timmscope.run("feature_inversion", image=black, beta=beta, **TINY).arrays["objective"]).all()
