"""What techniques receive: the photo as the network sees it, scores, and no blank gradient."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from PIL import Image
from timm.data import create_transform, resolve_data_config

import timmscope
from timmscope import ClassScore, ClassScores, Declined, PhotoInput, require_gradient
from timmscope.registry.base.settings import Settings
from timmscope.registry.models.loading import lend
from timmscope.registry.plugins.discovery import plugins

from ..references import CHELSEA, EMBEDDED, plain, transformed
from ..toys import source

CAT = Image.open(CHELSEA).convert("RGB")


@pytest.fixture(scope="module")
def model():
    with lend(EMBEDDED, "pretrained", plugins().model_sources) as model:
        yield model


def test_the_input_is_timms(model):
    assert torch.equal(model.see(PhotoInput(CAT)).input, transformed(EMBEDDED))
    config = dict(resolve_data_config(pretrained_cfg=plain(EMBEDDED).pretrained_cfg), crop_pct=1.0, crop_mode="squash")
    assert torch.equal(model.see(PhotoInput(CAT, fit=True)).input, create_transform(**config)(CAT)[None])


@pytest.mark.parametrize("name", [EMBEDDED, "test_vit", "tiny"])  # crop 0.875, crop 0.95, an oblong input
@pytest.mark.parametrize("fit", [False, True])
@pytest.mark.parametrize("size", [(500, 300), (300, 500), (224, 224), (40, 30), (1, 1)])
def test_the_box_is_the_region_that_is_seen(name, fit, size):
    sources = plugins().model_sources | {"tiny": source(size=(24, 40))}
    columns, rows = np.meshgrid(np.arange(size[0]), np.arange(size[1]))
    ramps = np.stack([columns * 255 / max(1, size[0] - 1), rows * 255 / max(1, size[1] - 1), rows * 0], -1)
    photo = PhotoInput(Image.fromarray(ramps.round().astype(np.uint8)), fit=fit)
    with lend(name, "random", sources) as model:
        seen = model.see(photo)
    left, top, right, bottom = seen.box
    assert seen.pixels.shape == (*model.size, 3)
    if fit:
        assert (left, top, right, bottom) == pytest.approx((0, 0, *size))
    for axis, low, high, channel in ((1, left, right, 0), (0, top, bottom, 1)):
        length, side = size[channel], seen.pixels.shape[axis]
        means = seen.pixels[..., channel].mean(1 - axis)
        for cell in (side // 4, side // 2, 3 * side // 4):  # the ramp tells which place a pixel shows
            place = low + (cell + 0.5) / side * (high - low) - 0.5
            value = np.clip(place, 0, length - 1) * 255 / max(1, length - 1)
            pixel = (high - low) / side * 255 / length
            assert means[cell] == pytest.approx(value, abs=3 + max(pixel, 510 / length))


def test_a_photo_with_borders_is_seen_whole():
    bordered = dataclasses.replace(source("bordered"), preprocessing={"crop_mode": "border", "crop_pct": 1.0})
    with lend("bordered", "random", {"bordered": bordered}) as model:
        seen = model.see(PhotoInput(Image.new("RGB", (200, 100), "white")))
    left, top, right, bottom = seen.box
    assert (left, top, right, bottom) == pytest.approx((0, -50, 200, 150))
    white = (seen.pixels > 250).all(axis=2)
    assert white[8:24].all()
    assert not white[:7].any()
    assert not white[25:].any()


def test_pixels_are_what_people_see_of_the_input(model):
    seen = model.see(PhotoInput(CAT, fit=True))
    expected = np.asarray(CAT.resize((224, 224), Image.Resampling.BICUBIC))
    assert np.abs(seen.pixels.astype(int) - expected).mean() < 3


def test_a_network_of_one_channel_sees_grey():
    with lend("grey", "random", {"grey": source("grey", channels=1)}) as model:
        seen = model.see(PhotoInput(CAT))
    assert seen.input.shape == (1, 1, 32, 32)
    assert seen.pixels.shape == (32, 32, 3)
    assert np.ptp(seen.pixels.astype(int), axis=2).max() == 0


def test_class_score_takes_the_top_prediction_of_its_first_image(model):
    image = transformed(EMBEDDED)
    logits = plain(EMBEDDED)(image)[0]
    score = ClassScore(model, None)
    with pytest.raises(ValueError, match="no image"):
        score.scores  # noqa: B018
    assert score(image)[0] == pytest.approx(float(logits.max()), rel=1e-4)
    top = score.target
    assert top == int(logits.argmax())
    score(-image)
    assert score.target == top
    assert score.label == model.labels[top]
    assert ClassScore(model, 7)(image)[0] == pytest.approx(float(logits[7]), rel=1e-3)


def test_the_best_classes_and_the_target_are_shown(model):
    values = np.linspace(0, 1, 1000, dtype=np.float32)
    top = ClassScores(values, model.labels, target=0).top(3)
    assert list(top) == [model.labels[i] for i in (999, 998, 997, 0)]
    assert list(top.values()) == pytest.approx([values[i] for i in (999, 998, 997, 0)])
    assert len(ClassScores(values, model.labels, target=999).top(3)) == 3


@pytest.mark.parametrize(
    ("gradient", "message"),
    [
        (torch.zeros(3), "gives no gradient here: it is zero everywhere"),
        (torch.tensor([1.0, float("nan")]), "gradient that is not finite"),
        (torch.tensor([1.0, float("inf")]), "gradient that is not finite"),
    ],
)
def test_a_gradient_that_shows_nothing_is_declined(model, gradient, message):
    with pytest.raises(Declined, match=message):
        require_gradient(gradient, model)
    assert require_gradient(torch.tensor([0.0, 1.0]), model).sum() == 1


def test_features_stand_in_for_classes():
    with lend("eva02_tiny_patch14_224", "random", {}) as model:
        logits = torch.tensor([-1.0, 1.0, 3.0])
        assert model.scores(logits).values.tolist() == [0, 0.25, 0.75]
        assert model.logits(torch.zeros(2, 3, 224, 224)).shape == (2, 192)
        assert not model.classifies


def test_probe_of_a_layer_without_grid_is_declined(model):
    with pytest.raises(Declined, match=r"Layer classifier of tf_efficientnet_lite0 has no spatial grid. One that has"):
        model.probe("classifier")


def test_lend_is_public():
    with timmscope.lend(EMBEDDED) as model:
        assert model.score_photo(CAT).top(1).keys() <= {"tiger cat", "Egyptian cat", "tabby"}


@pytest.mark.parametrize(
    ("wanted", "size", "expected"), [(8, None, 3), (2, None, 2), (8, (80, 80), 8), (8, (240, 160), 2)]
)
def test_a_batch_fits_the_memory(monkeypatch, wanted, size, expected):
    with lend("test_vit", "random", {}) as model:
        assert model.activation_bytes > 1e6
        settings = Settings(activation_bytes=int(3.5 * model.activation_bytes))
        monkeypatch.setattr("timmscope.registry.base.settings.settings", lambda: settings)
        assert model.batch(wanted, size) == expected
        with pytest.raises(
            Declined, match=r"takes about 0.0 GB for one image of 320 x 320 .*TIMMSCOPE_ACTIVATION_BYTES"
        ):
            model.batch(1, (320, 320))
        assert dataclasses.replace(model, activation_bytes=0).batch(8) == 8


def test_where_no_backward_pass_fits_gradients_are_declined_and_layers_are_listed(monkeypatch):
    monkeypatch.setattr("timmscope.registry.base.settings.settings", lambda: Settings(activation_bytes=1000))
    monkeypatch.setattr("timmscope.registry.models.loading.settings", lambda: Settings(activation_bytes=1000))
    with lend("test_vit3", "random", {}) as model:
        assert model.default_layer == model.stages[-1]
    photo = {"image": CAT, "model": "test_vit3", "weights": "random"}
    for technique in ("saliency", "grad_cam", "guided_backprop", "feature_inversion"):
        with pytest.raises(Declined, match="A backward pass through test_vit3"):
            timmscope.run(technique, **photo)
    timmscope.run("occlusion", window=80, stride=80, **photo)
