"""Grad-CAM against Captum's LayerGradCam, and against its definition where layers hold tokens."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from captum.attr import GuidedBackprop, LayerGradCam

import timmscope

from ..references import CHELSEA, EMBEDDED, assert_close, named, plain, transformed, without_inplace

TARGET = 285
LAYERS = {  # the layer that is taken when none is named
    EMBEDDED: "blocks.6",
    "resnet18": "layer4",
    "convnext_atto": "stages.3",
    "vgg11": "features.20",
}


def enlarged(cam: torch.Tensor) -> torch.Tensor:
    return F.interpolate(cam.detach().relu(), (224, 224), mode="bilinear", align_corners=False)[0, 0]


def captums(name: str, layer: str) -> tuple[int, torch.Tensor]:
    """A class whose map is not empty, as those of half the classes of a random network are, and Captum's map."""
    image = transformed(name).requires_grad_()
    for target in (TARGET, *range(20)):
        cam = LayerGradCam(plain(name), plain(name).get_submodule(layer)).attribute(image, target=target)
        if cam.max() > 0.1 * cam.abs().max():
            return target, cam
    raise AssertionError("no class has evidence in this layer")


@pytest.mark.case(30)
@pytest.mark.parametrize(("name", "layer"), LAYERS.items())
def test_map_is_captums_rectified_and_enlarged(name, layer):
    target, cam = captums(name, layer)
    given = timmscope.run("grad_cam", image=CHELSEA, targets=target, layer=layer, **named(name))
    free = timmscope.run("grad_cam", image=CHELSEA, targets=target, **named(name))
    assert_close(given.arrays["heatmaps"][0], enlarged(cam))
    assert free.recipe["resolved"]["layer"] == layer
    assert np.array_equal(free.arrays["heatmaps"], given.arrays["heatmaps"])


@pytest.mark.case(30)
def test_tokens_are_weighed_and_put_back_on_their_grid():
    name, layer, target = "vit_tiny_patch16_224", "blocks.10", TARGET
    kept = []
    model = plain(name)
    handle = model.get_submodule(layer).register_forward_hook(lambda _m, _i, output: kept.append(output))
    image = transformed(name).requires_grad_()
    try:
        score = model(image)[0, target]
    finally:
        handle.remove()
    (gradient,) = torch.autograd.grad(score, kept[0])
    patches, slopes = kept[0][0, 1:], gradient[0, 1:]  # the first token is the class token
    cam = (patches @ slopes.mean(0)).reshape(1, 1, 14, 14)
    heat = timmscope.run("grad_cam", image=CHELSEA, targets=target, **named(name)).arrays["heatmaps"]
    assert_close(heat[0], enlarged(cam))


def test_several_classes_side_by_side_are_their_single_maps():
    result = timmscope.run("grad_cam", image=CHELSEA, targets="tabby; 285; golden retriever")
    assert result["heatmaps"].captions == ["tabby", "Egyptian cat", "golden retriever"]
    assert result["scores"].target == 281
    for heat, target in zip(result.arrays["heatmaps"], (281, 285, 207)):
        alone = timmscope.run("grad_cam", image=CHELSEA, targets=[target])
        assert np.array_equal(heat, alone.arrays["heatmaps"][0])


@pytest.mark.filterwarnings("ignore:Setting backward hooks on ReLU")  # what the reference says
def test_guided_grad_cam_is_the_product_with_guided_backprop():
    name, layer = "resnet18", "layer4"
    target, _ = captums(name, layer)
    result = timmscope.run("grad_cam", image=CHELSEA, targets=target, guided=True, **named(name))
    image = transformed(name).requires_grad_()
    guided = GuidedBackprop(without_inplace(copy.deepcopy(plain(name)))).attribute(image, target=target)
    expected = timmscope.render.gradient_picture((guided[0] * torch.tensor(result.arrays["heatmaps"][0])).detach())
    assert np.abs(result.arrays["overlay"][0] * 255 - expected).max() <= 1
    assert expected.std() > 5


def test_a_class_without_evidence_has_an_empty_map_and_a_note():
    name = "resnet18"
    for target in range(40):
        result = timmscope.run("grad_cam", image=CHELSEA, targets=target, **named(name))
        if not result.arrays["heatmaps"].any():
            assert any("map is empty" in note for note in result.notes)
            return
    raise AssertionError("every class has evidence")


@pytest.mark.parametrize(
    ("inputs", "error", "message"),
    [
        (
            {"layer": "classifier"},
            timmscope.Declined,
            "Layer classifier .* has no spatial grid. One that has: blocks.6",
        ),
        ({"layer": "blocks.66"}, timmscope.InvalidInput, "layer: got 'blocks.66', .*Did you mean blocks.6"),
        ({"targets": "tabbi"}, timmscope.InvalidInput, "targets: got 'tabbi', .*Did you mean tabby"),
        ({"targets": "1;2;3;4;5;6;7"}, timmscope.InvalidInput, "targets: got .*expected at most 6"),
        # only the class token of the last block is read
        (
            {"model": "vit_tiny_patch16_224", "weights": "random", "layer": "blocks.11"},
            timmscope.Declined,
            "no gradient",
        ),
        # random ResNets start with the last normalisation of a block at zero
        (
            {"model": "resnet18", "weights": "random", "layer": "layer4.1.bn2"},
            timmscope.Declined,
            "Layer layer4.1.bn2 .* is zero everywhere, or",
        ),
        # random weights leave the last stage the same at every place
        (
            {"model": "levit_128s", "weights": "random", "layer": "stages.2"},
            timmscope.Declined,
            "the same values at every place",
        ),
    ],
)
def test_what_cannot_be_explained_is_refused_with_the_reason(inputs, error, message):
    with pytest.raises(error, match=message):
        timmscope.run("grad_cam", image=CHELSEA, **inputs)
