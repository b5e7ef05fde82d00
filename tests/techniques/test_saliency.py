"""The saliency map against Captum, finite differences and a plain loop of SmoothGrad."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from captum.attr import Saliency
from PIL import Image

import timmscope
from timmscope.registry.base.settings import Settings
from timmscope.registry.models.loading import lend
from timmscope.techniques.gradients.saliency import saliency

from ..references import CHELSEA, EMBEDDED, NETWORKS, assert_close, named, plain, transformed
from ..toys import Tiny


@pytest.mark.case(36)
@pytest.mark.parametrize("name", NETWORKS)
def test_saliency_is_captums_maximum_over_colours(name):
    heat = timmscope.run("saliency", image=CHELSEA, target=285, **named(name)).arrays["heatmap"]
    for layout, kinks in ((torch.contiguous_format, 0.005), (torch.channels_last, 0)):
        model = copy.deepcopy(plain(name)).to(memory_format=layout)
        image = transformed(name).to(memory_format=layout).requires_grad_()
        expected = Saliency(model).attribute(image, target=285, abs=True)
        assert_close(heat, expected.amax(1)[0], kinks=kinks)


def test_fit_explains_the_whole_photo():
    heat = timmscope.run("saliency", image=CHELSEA, target=285, fit=True).arrays["heatmap"]
    whole = transformed(EMBEDDED, crop_pct=1.0, crop_mode="squash").requires_grad_()
    assert_close(heat, Saliency(plain(EMBEDDED)).attribute(whole, target=285, abs=True).amax(1)[0], kinks=0.005)


def test_the_target_is_the_top_prediction_unless_given():
    free = timmscope.run("saliency", image=CHELSEA)
    top = int(plain(EMBEDDED)(transformed(EMBEDDED)).argmax())
    same, other = (
        timmscope.run("saliency", image=CHELSEA, target=target) for target in (top, 285 if top != 285 else 1)
    )
    assert free["scores"].target == top
    assert np.array_equal(free.arrays["heatmap"], same.arrays["heatmap"])
    assert not np.array_equal(free.arrays["heatmap"], other.arrays["heatmap"])


@pytest.mark.case(36)
def test_saliency_is_the_slope_of_the_class_score():
    heat = timmscope.run("saliency", image=CHELSEA, target=285).arrays["heatmap"]
    model = copy.deepcopy(plain(EMBEDDED)).double()  # in doubles, so that small steps are exact
    image, step = transformed(EMBEDDED).double(), 1e-6
    for place in np.argsort(heat.ravel())[[-1, -2000]]:
        row, column = divmod(int(place), heat.shape[1])
        ends = image.repeat(6, 1, 1, 1)
        for channel in range(3):
            ends[channel, channel, row, column] -= step
            ends[channel + 3, channel, row, column] += step
        below, above = model(ends)[:, 285].split(3)
        assert float((above - below).abs().max()) / (2 * step) == pytest.approx(heat[row, column], rel=1e-3)


@pytest.mark.case(36)
def test_smoothgrad_is_the_mean_of_maps_of_noisy_copies():
    name = "convnext_atto"  # smooth activations: no kinks
    result = timmscope.run("saliency", image=CHELSEA, target=285, samples=11, noise=0.2, seed=7, **named(name))
    image, generator = transformed(name), torch.Generator().manual_seed(7)
    sigma = 0.2 * (image.max() - image.min())
    maps = []
    for count in (8, 3):  # the noise is drawn in batches
        for noise in torch.randn(count, *image.shape[1:], generator=generator):
            noisy = (image + sigma * noise).requires_grad_()
            (gradient,) = torch.autograd.grad(plain(name)(noisy)[0, 285], noisy)
            maps.append(gradient.abs().amax(1)[0])
    assert_close(result.arrays["heatmap"], torch.stack(maps).mean(0))


def test_seed_and_noise_matter():
    def heat(**inputs):
        return timmscope.run("saliency", image=CHELSEA, samples=2, **inputs).arrays["heatmap"]

    assert not np.array_equal(heat(seed=0), heat(seed=1))
    assert_close(heat(noise=0.0), timmscope.run("saliency", image=CHELSEA).arrays["heatmap"])


def test_smaller_batches_change_no_map(monkeypatch):
    inputs = {"image": CHELSEA, "samples": 5, **named("test_vit")}
    expected = timmscope.run("saliency", **inputs).arrays["heatmap"]
    with lend("test_vit", "random", {}) as model:
        room = int(2.5 * model.activation_bytes)
    monkeypatch.setattr("timmscope.registry.base.settings.settings", lambda: Settings(activation_bytes=room))
    previews = [p.done for p in timmscope.stream("saliency", **inputs) if isinstance(p, timmscope.Preview)]
    assert previews == [2, 4, 5]
    assert_close(timmscope.run("saliency", **inputs).arrays["heatmap"], expected)


def test_scores_are_those_of_the_clean_photo():
    with torch.no_grad():
        expected = plain(EMBEDDED)(transformed(EMBEDDED)).softmax(1)[0]
    for samples in (1, 4):
        assert_close(timmscope.run("saliency", image=CHELSEA, samples=samples).arrays["scores"], expected)


def test_a_zero_gradient_is_declined():
    blind = timmscope.ModelSource(
        "blind", lambda: {k: 0 * v for k, v in Tiny().state_dict().items()}, "test", build=Tiny
    )
    photo = timmscope.PhotoInput(Image.open(CHELSEA).convert("RGB"))
    with lend("blind", "pretrained", {"blind": blind}) as model, pytest.raises(timmscope.Declined, match="no gradient"):
        list(saliency(model, photo))


@pytest.mark.parametrize("name", ["gmlp_ti16_224", "hiera_tiny_224"])
def test_a_classifier_that_timm_leaves_at_zero_has_a_gradient_with_random_weights(name):
    assert not plain(name).get_classifier().weight.any()
    assert timmscope.run("saliency", image=CHELSEA, **named(name)).arrays["heatmap"].std() > 0
