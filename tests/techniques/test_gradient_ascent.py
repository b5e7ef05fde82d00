"""Gradient ascent: canvases, units, neurons, facets and the second opinion."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import timmscope
from timmscope.registry.base.settings import Settings
from timmscope.registry.models.loading import lend

from ..references import EMBEDDED
from ..toys import Tiny

TINY = {"model": "test_convnext", "weights": "random", "size": 64, "steps": 6, "second_model": "test_convnext"}


@pytest.mark.parametrize("canvas", ["maco", "fourier", "pixels"])
@pytest.mark.parametrize("model", ["test_convnext", "test_vit", "test_resnet"])
def test_every_canvas_paints_for_every_kind_of_network(canvas, model):
    result = timmscope.run("gradient_ascent", **TINY | {"model": model}, canvas=canvas, target=3)
    curve = result.arrays["objective"][0]
    assert len(curve) == 6
    assert result["image"].shape == (64, 64, 3)
    assert result["image"].std() > 1


@pytest.mark.slow  # 64 steps
def test_the_second_model_recognises_the_picture():
    options = {"target": "koala", "canvas": "fourier", "steps": 64, "size": 160, "seed": 0}
    result = timmscope.run("gradient_ascent", model=EMBEDDED, **options)
    koala = result["second_opinion"].target
    assert result["second_opinion"].labels[koala] == "koala"
    assert result.arrays["objective"][0][-1] > result.arrays["objective"][0][0] + 5
    assert result["second_opinion"].values[koala] > 0.01  # a thousandth is chance


def test_several_seeds_come_best_first():
    result = timmscope.run("gradient_ascent", **TINY | {"second_model": EMBEDDED}, target=3, seeds=3)
    assert len(result["images"].items) == 3
    assert np.array_equal(result["image"], result["images"].items[0])
    assert not np.array_equal(result["images"].items[0], result["images"].items[1])
    best = result["second_opinion"].values[3]
    assert all(best >= float(caption.split()[-1].rstrip("%")) / 100 - 0.01 for caption in result["images"].captions)


def test_facets_start_from_different_crops():
    result = timmscope.run("gradient_ascent", **TINY, target=3, facets=2, canvas="fourier")
    first, second = (items.astype(float) for items in result["images"].items)
    assert abs(first - second).mean() > 2
    assert first.std() > 5  # a mean of crops shines through


def test_regularizers_are_for_pixels():
    plain, all_four = (
        timmscope.run("gradient_ascent", **TINY, target=3, canvas="pixels", regularizers=chosen)
        for chosen in ([], "l2; blur; clip_pixels; clip_gradients")
    )
    assert list(plain["objective"]) == ["S"]
    assert not np.array_equal(plain["image"], all_four["image"])
    assert np.abs(np.diff(all_four["image"].astype(float), axis=0)).mean() < (
        np.abs(np.diff(plain["image"].astype(float), axis=0)).mean()
    )


def test_a_unit_a_neuron_and_a_feature_without_place():
    unit = timmscope.run("gradient_ascent", **TINY, layer="stages.1", unit=3)
    assert "stages.1, unit 3" in unit.notes[0]
    neuron = timmscope.run("gradient_ascent", **TINY, layer="stages.1", unit=3, position="1, 2")
    assert "at row 1, column 2" in neuron.notes[0]
    free = timmscope.run("gradient_ascent", **TINY, layer="stages.1")
    assert "unit " in free.notes[0]
    vector = timmscope.run("gradient_ascent", **TINY, layer="head.fc", unit=7)
    assert "head.fc, unit 7" in vector.notes[0]


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"layer": "stages.1", "unit": 10**6}, "unit: got 1000000, expected a channel of stages.1"),
        ({"layer": "stages.1", "unit": 0, "position": "99, 0"}, "position: got '99, 0', expected row below"),
        ({"size": 0}, "size: got 0"),
        ({"size": 100000}, "size: got 100000"),
        ({"steps": 0}, "steps: got 0"),
        ({"steps": 10**9}, "steps: got 1000000000"),
        ({"canvas": "maso"}, "Did you mean maco"),
        ({"second_model": "no_such_model"}, "no_such_model"),
    ],
)
def test_bad_input_is_answered(inputs, message):
    with pytest.raises(timmscope.InvalidInput, match=message):
        timmscope.run("gradient_ascent", **TINY | inputs)


def test_a_unit_that_never_fires_is_said_so():
    result = timmscope.run(
        "gradient_ascent", model=EMBEDDED, layer="blocks.0.0.bn1", unit=-1, steps=1, size=64, canvas="fourier"
    )
    assert all("never fires" not in note for note in result.notes)
    silent = [
        any(
            "never fires" in note
            for note in timmscope.run(
                "gradient_ascent", model=EMBEDDED, layer="bn2", unit=unit, steps=1, size=64, canvas="fourier"
            ).notes
        )
        for unit in (3, 17, 22)
    ]
    assert any(silent)


@pytest.mark.parametrize("goal", [{}, {"layer": "stages.2", "unit": 3}], ids=["class", "unit"])
def test_more_pictures_at_once_than_the_memory_holds_go_through_in_turn(goal, monkeypatch):
    inputs = TINY | goal | {"canvas": "pixels", "seeds": 3, "steps": 2}
    free = timmscope.run("gradient_ascent", **inputs)
    with lend("test_convnext", "random", {}) as model:
        one = model.activation_bytes * 64**2 / model.size[0] ** 2
    monkeypatch.setattr("timmscope.registry.base.settings.settings", lambda: Settings(activation_bytes=int(2.5 * one)))
    batches, convolve = set(), torch.nn.functional.conv2d

    def counted(inputs, *more, **named):
        if torch.is_grad_enabled():
            batches.add(len(inputs))
        return convolve(inputs, *more, **named)

    monkeypatch.setattr(torch.nn.functional, "conv2d", counted)
    result = timmscope.run("gradient_ascent", **inputs)
    assert batches == {1, 2}
    assert result.arrays["objective"] == pytest.approx(free.arrays["objective"], rel=1e-3)
    np.testing.assert_allclose(result.arrays["images"].astype(float), free.arrays["images"], atol=2)
    monkeypatch.setattr("timmscope.registry.base.settings.settings", lambda: Settings(activation_bytes=int(0.5 * one)))
    with pytest.raises(timmscope.Declined, match="A backward pass through test_convnext"):
        timmscope.run("gradient_ascent", **inputs)


class Narrow(Tiny):
    """A network that can take no picture of fewer than 53 pixels: it pads nothing."""

    def __init__(self):
        super().__init__(size=(96, 96))
        del self.pretrained_cfg["fixed_input_size"]
        self.conv = nn.Sequential(*(nn.Conv2d(a, b, 5, 3) for a, b in ((3, 8), (8, 8), (8, 8))))

    def forward(self, x):
        return self.classifier(self.act(self.conv(x)).mean((2, 3)))


@pytest.mark.parametrize("model", ["narrow", pytest.param("inception_v3", marks=pytest.mark.slow)])  # 5 s to make
def test_a_picture_smaller_than_the_network_can_take_is_scored_at_the_size_of_its_crops(model, monkeypatch):
    source = timmscope.ModelSource("narrow", lambda: Narrow().state_dict(), "test", build=Narrow)
    monkeypatch.setitem(timmscope.plugins().model_sources, "narrow", source)
    with pytest.raises(RuntimeError), timmscope.lend(model, "random") as small:
        small.module(torch.zeros(1, 3, 32, 32))
    inputs = {"model": model, "weights": "random", "second_model": "test_resnet", "steps": 1, "size": 32}
    result = timmscope.run("gradient_ascent", **inputs)
    assert result["image"].shape == (32, 32, 3)
