"""Odd pictures, sizes, weights and units to make pictures of: finite results, or a sentence why not."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

import timmscope
from timmscope import Declined
from timmscope.registry.plugins.discovery import plugins

from .. import toys
from ..references import CHELSEA, EMBEDDED
from .test_synthesis import CAT

TINY = {"model": "test_convnext", "weights": "random", "size": 64, "steps": 3}


def flat(value: int, height: int = 40, width: int = 60) -> np.ndarray:
    return np.full((height, width, 3), value, np.uint8)


ODD = {
    "black": flat(0),
    "white": flat(255),
    "grey": flat(128),
    "one pixel": flat(77, 1, 1),
    "30:1": CAT[:7, :210],
    "1:30": CAT[:210, :7],
}


@pytest.mark.case(44)
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name in ("white", "grey", "1:30") else ()) for name in ODD]
)
def test_odd_contents_styles_and_textures_give_finite_pictures(name):
    odd = ODD[name]
    results = [
        timmscope.run("style_transfer", content=content, style=style, start=start, **TINY)
        for content, style, start in ((odd, CAT, "content"), (CAT, odd, "content"), (odd, odd, "noise"))
    ]
    results.append(timmscope.run("texture", image=odd, **TINY))
    results.append(timmscope.run("feature_inversion", image=odd, model="test_convnext", weights="random", steps=3))
    for result in results:
        assert all(np.isfinite(array).all() for array in result.arrays.values())
    height, width = odd.shape[:2]
    size = (max(1, round(64 * height / max(height, width))), max(1, round(64 * width / max(height, width))), 3)
    assert results[0]["image"].shape == results[2]["image"].shape == size
    assert results[3]["texture"].shape == (64, 64, 3)


@pytest.mark.case(44)
@pytest.mark.parametrize(
    "weights",
    [
        {"content_weight": 10, "style_weight": 0},
        {"content_weight": 0, "style_weight": 10},
        {"content_weight": 1e-9, "style_weight": 1e-9, "tv": 10},
        {"content_weight": 10, "style_weight": 10, "tv": 10, "start": "noise"},
    ],
    ids=str,
)
def test_extreme_weights_give_finite_pictures(weights):
    result = timmscope.run("style_transfer", content=CAT, style=CHELSEA, **TINY | {"steps": 8}, **weights)
    assert all(np.isfinite(array).all() for array in result.arrays.values())
    totals = [sum(values) for values in zip(*result["losses"].values())]
    assert totals == sorted(totals, reverse=True)


@pytest.mark.case(45)
@pytest.mark.parametrize("shape", [(1, 1, 4), (33, 47, 4), (47, 33, 3), (3, 90, 3), (61, 61, 4)])
def test_dreams_of_any_size_and_of_four_channels(shape):
    photo = np.random.default_rng(0).integers(0, 255, shape, np.uint8)
    options = {"octaves": 8, "octave_scale": 2, "jitter": 64, "size": max(32, max(shape[:2]))}
    result = timmscope.run("deepdream", image=photo, **TINY | options)
    scale = options["size"] / max(shape[:2])
    assert result["image"].shape == (max(1, round(shape[0] * scale)), max(1, round(shape[1] * scale)), 3)
    assert all(np.isfinite(array).all() for array in result.arrays.values())


@pytest.mark.case(45)
def test_shifting_a_dream_leaves_no_seam():
    size = 97
    photo = np.asarray(Image.fromarray(CAT).resize((size, size), Image.Resampling.LANCZOS))
    inputs = {"model": EMBEDDED, "weights": "pretrained", "size": size, "steps": 8, "jitter": 64, "octaves": 2}
    change = timmscope.run("deepdream", image=photo, **inputs)["image"].astype(float) - photo
    for axis in (0, 1):  # a seam is a line across the picture along which the change jumps
        jumps = np.abs(np.diff(change, axis=axis)).mean((1 - axis, 2))
        assert jumps.max() < 3 * np.median(jumps)


@pytest.mark.case(46)
@pytest.mark.parametrize("canvas", ["maco", "fourier", "pixels"])
def test_a_neuron_that_is_dead_is_declined_or_noted(canvas, monkeypatch):
    def weights():
        state = toys.Tiny().state_dict()
        state["conv.weight"][0], state["conv.bias"][0] = 0, -1  # reads nothing
        state["conv.weight"][1], state["conv.bias"][1] = state["conv.weight"][2] / 1000, -1  # reads, but never enough
        return state

    source = timmscope.ModelSource("half_dead", weights, "test", build=toys.Tiny)
    monkeypatch.setitem(plugins().model_sources, "half_dead", source)
    inputs = {"model": "half_dead", "layer": "act", "canvas": canvas, "steps": 3, "size": 32, "second_model": ""}
    with pytest.raises(Declined, match="a unit that never fires"):
        timmscope.run("gradient_ascent", unit=0, **inputs)
    with pytest.raises(Declined, match="a unit that never fires"):  # without an activation, too
        timmscope.run("gradient_ascent", unit=0, **inputs | {"layer": "conv"})
    silent = timmscope.run("gradient_ascent", unit=1, **inputs)
    assert "act, unit 1 never fires: before its activation it stays below zero." in silent.notes


@pytest.mark.case(46)
@pytest.mark.parametrize("canvas", ["maco", "fourier", "pixels"])
@pytest.mark.parametrize("model", ["test_vit", "test_resnet"])
def test_a_canvas_of_32_pixels_is_painted(model, canvas):
    inputs = {"model": model, "weights": "random", "canvas": canvas, "steps": 3, "size": 32, "second_model": ""}
    result = timmscope.run("gradient_ascent", **inputs)
    assert result["image"].shape == (32, 32, 3)
    assert result["image"].std() > 1
    assert all(np.isfinite(array).all() for array in result.arrays.values())


@pytest.mark.case(46)
def test_a_canvas_on_which_a_network_sees_nothing_is_declined():  # ReLU6 lets nothing through of a single grey cell
    with pytest.raises(Declined, match="a picture too small for the network"):
        timmscope.run("gradient_ascent", model=EMBEDDED, canvas="pixels", steps=3, size=32, second_model="")
