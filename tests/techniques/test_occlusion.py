"""Occlusion against Captum and a plain loop."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from captum.attr import Occlusion
from PIL import Image, ImageFilter

import timmscope
from timmscope.registry.models.loading import lend
from timmscope.techniques.activations.occlusion import occlusion, starts

from ..references import CHELSEA, EMBEDDED, NETWORKS, assert_close, named, plain, transformed
from ..toys import Tiny

TARGET = 285


def probability(name: str, images: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return plain(name)(images).softmax(1)[:, TARGET]


@pytest.mark.case(34)
@pytest.mark.parametrize("name", NETWORKS)
def test_drop_map_is_captums_occlusion(name):
    result = timmscope.run("occlusion", image=CHELSEA, target=TARGET, window=120, stride=104, **named(name))
    expected = Occlusion(lambda images: probability(name, images)).attribute(
        transformed(name), sliding_window_shapes=(3, 120, 120), strides=(3, 104, 104), baselines=0
    )
    # differences of nearly equal probabilities: the tolerance is that of the probability itself
    uncovered = float(probability(name, transformed(name)))
    drop = result.arrays["drop_map"]
    assert expected.abs().max() > 0
    assert np.abs(drop - expected[0, 0].numpy()).max() <= 1e-4 * uncovered
    assert_close(result.arrays["probability_map"], uncovered - expected[0, 0])


@pytest.mark.case(34)
@pytest.mark.parametrize("fill", ["mean", "black", "blur"])
def test_probability_map_is_a_plain_loop(fill):
    window, stride = 100, 70  # does not divide 224 evenly: the last place reaches over the border
    result = timmscope.run("occlusion", image=CHELSEA, target=TARGET, window=window, stride=stride, fill=fill)
    image, cover = transformed(EMBEDDED), torch.zeros(1, 3, 224, 224)
    if fill == "black":
        config = plain(EMBEDDED).pretrained_cfg
        cover -= (torch.tensor(config["mean"]) / torch.tensor(config["std"])).view(3, 1, 1)
    if fill == "blur":
        photo = Image.open(CHELSEA).convert("RGB")
        blurred = photo.filter(ImageFilter.GaussianBlur(max(photo.size) / 24))
        cover = timm_input(blurred)
    total, count = torch.zeros(224, 224), torch.zeros(224, 224)
    for top in (0, 70, 140):
        for left in (0, 70, 140):
            where = (..., slice(top, top + window), slice(left, left + window))
            covered = image.clone()
            covered[where] = cover[where]
            total[where] += probability(EMBEDDED, covered)
            count[where] += 1
    assert_close(result.arrays["probability_map"], total / count)


def timm_input(photo: Image.Image) -> torch.Tensor:
    from timm.data import create_transform, resolve_data_config

    return create_transform(**resolve_data_config(pretrained_cfg=plain(EMBEDDED).pretrained_cfg))(photo)[None]


@pytest.mark.parametrize(("size", "window", "stride"), [(224, 56, 14), (224, 100, 70), (64, 64, 1), (10, 4, 4)])
def test_places_cover_every_pixel(size, window, stride):
    places = starts(size, window, stride)
    covered = {pixel for place in places for pixel in range(place, place + window)}
    assert covered >= set(range(size))
    assert places[-1] < size
    assert len(places) == len(set(places))


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"window": 300}, "window: got 300, expected at most 224"),
        ({"window": 20, "stride": 21}, "stride: got 21, expected at most 20"),
    ],
)
def test_a_window_must_fit_and_leave_no_pixel_out(inputs, message):
    with pytest.raises(timmscope.InvalidInput, match=message):
        timmscope.run("occlusion", image=CHELSEA, **inputs)


def test_previews_fill_the_map_and_the_last_equals_the_result():
    *previews, result = timmscope.stream("occlusion", image=CHELSEA, window=56, stride=40)
    done = [preview.done for preview in previews]
    assert done == sorted(set(done))
    assert done[-1] == previews[-1].total == 25 + 11  # 6 x 6 places
    assert len(previews) > 2
    assert np.array_equal(previews[-1].outputs["drop_map"].array, result["drop_map"].array)


def test_a_network_that_sees_nothing_is_declined():
    blind = timmscope.ModelSource(
        "blind", lambda: {k: 0 * v for k, v in Tiny().state_dict().items()}, "test", build=Tiny
    )
    photo = timmscope.PhotoInput(Image.open(CHELSEA).convert("RGB"))
    with (
        lend("blind", "pretrained", {"blind": blind}) as model,
        pytest.raises(timmscope.Declined, match="says the same"),
    ):
        list(occlusion(model, photo, window=16, stride=16))
