"""Filters against the weights themselves: pixel (i, j) of picture k is weight k, scaled."""

from __future__ import annotations

import numpy as np
import pytest
import timm
import torch
from timm.models.naflexvit import batch_patchify

import timmscope
from timmscope.registry.models import loading
from timmscope.techniques.activations.filters import find_kernels

from ..references import EMBEDDED, named, plain

FAMILIES = {  # the first layer, and the shape of its weights as pictures
    "resnet18": ("conv1", (64, 3, 7, 7)),
    "vgg11": ("features.0", (64, 3, 3, 3)),
    "densenet121": ("features.conv0", (64, 3, 7, 7)),
    "efficientnet_b0": ("conv_stem", (32, 3, 3, 3)),
    "convnext_atto": ("stem.0", (40, 3, 4, 4)),
    "vit_tiny_patch16_224": ("patch_embed.proj", (192, 3, 16, 16)),
    "swin_tiny_patch4_window7_224": ("patch_embed.proj", (96, 3, 4, 4)),
    "mixer_s32_224": ("stem.proj", (512, 3, 32, 32)),
}


def scaled(weights: np.ndarray, extent: np.ndarray) -> np.ndarray:
    """Weights as bytes, the extremes of `extent` being 0 and 255."""
    return np.round((weights - extent.min()) / (extent.max() - extent.min()) * 255)


def pixels(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    """One pixel from the middle of each square of an enlarged picture, 0 to 255."""
    rows, columns = (
        (np.arange(n) * 2 + 1) * side // (2 * n) for n, side in ((height, picture.shape[0]), (width, picture.shape[1]))
    )
    return np.round(picture[np.ix_(rows, columns)][..., :3] * 255)


def first_weights(name: str) -> np.ndarray:
    layer, _ = FAMILIES.get(name, ("conv_stem", ()))
    return plain(name).get_submodule(layer).weight.double().numpy()


@pytest.mark.parametrize("scale", ["each", "common"])
@pytest.mark.parametrize("name", [EMBEDDED, "resnet18", "vit_tiny_patch16_224"])
def test_a_pixel_of_a_first_kernel_is_its_weight_scaled(name, scale):
    weights = first_weights(name)
    result = timmscope.run("filters", scale=scale, limit=20, **named(name))
    assert len(result.arrays["filters"]) == 20
    for kernel, picture in zip(weights, result.arrays["filters"]):
        expected = scaled(kernel, kernel if scale == "each" else weights).transpose(1, 2, 0)
        found = pixels(picture, *kernel.shape[1:])
        assert np.abs(found - expected).max() <= 1e-3
        squares = expected.repeat(picture.shape[0] // kernel.shape[1], 0).repeat(picture.shape[1] // kernel.shape[2], 1)
        assert np.array_equal(np.round(picture * 255), np.round(squares))  # nearest neighbour: nothing between


@pytest.mark.parametrize("name", FAMILIES)
def test_the_first_layer_of_every_family_is_found(name):
    layer, (count, _, height, width) = FAMILIES[name]
    result = timmscope.run("filters", limit=3, model=name, weights="random")
    assert result["walls"].captions[0].endswith(f", {layer}")
    assert f"{count} kernels of {height} x {width}, in colour" in result.notes[0]
    assert np.ptp(result.arrays["filters"], axis=-1).max() > 0.1  # in colour


def test_a_patch_embedding_that_is_a_matrix_is_shown_as_patches():
    def build():
        return timm.create_model("naflexvit_base_patch16_gap", embed_dim=64, depth=1, num_heads=1)

    source = timmscope.ModelSource("matrix", lambda: build().state_dict(), "test", build=build)
    with loading.lend("matrix", "random", {"matrix": source}) as model:
        kernels = find_kernels(model, "")
        matrix = model.module.embeds.proj.weight
    patches, _ = batch_patchify(torch.tensor(kernels.weights), (16, 16), pad=False)  # as timm cuts a photo
    assert (kernels.layer, kernels.colored) == ("embeds.proj", True)
    assert torch.equal(patches.flatten(1), matrix)


def test_deeper_kernels_are_walls_of_their_planes():
    weights = plain("resnet18").get_submodule("layer1.0.conv1").weight.double().numpy()
    result = timmscope.run("filters", layer="layer1.0.conv1", limit=5, page=2, **named("resnet18"))
    assert result["filters"].captions == [f"kernel {k}" for k in range(5, 10)]
    picture = result.arrays["filters"][0]
    expected = scaled(weights[5], weights[5])
    factor = -(-112 // (8 * 10 - 1))  # 8 x 8 tiles of 9 pixels and gaps of 1, enlarged to 112 or more
    assert picture.shape == (79 * factor, 79 * factor, 4)
    small = picture[::factor, ::factor]
    for plane in (0, 7, 8, 63):
        top, left = plane // 8 * 10, plane % 8 * 10
        assert np.allclose(pixels(small[top : top + 9, left : left + 9], 3, 3)[..., 0], expected[plane])
    assert not small[9].any()  # the gap is see-through


def test_depthwise_kernels_are_grey_pictures():
    weights = plain(EMBEDDED).get_submodule("blocks.2.0.conv_dw").weight.double().numpy()
    result = timmscope.run("filters", layer="blocks.2.0.conv_dw", limit=4)
    for kernel, picture in zip(weights, result.arrays["filters"]):
        found = pixels(picture, 5, 5)
        assert np.allclose(found, scaled(kernel, kernel)[0][..., None])


def test_models_side_by_side_keep_their_names_and_their_own_kernels():
    result = timmscope.run("filters", compare="resnet18; convnext_atto", limit=4, **named("resnet10t"))
    names = [title.split(".")[0] for title in result["walls"].captions]
    assert names == ["resnet10t", "resnet18", "convnext_atto"]
    assert [caption.split(".")[0] for caption in result["filters"].captions[::4]] == [f"0 · {name}" for name in names]
    alone = timmscope.run("filters", limit=4, **named("resnet18"))
    wall = alone.arrays["walls"][0]
    shared = result.arrays["walls"][1]
    top, left = ((a - b) // 2 for a, b in zip(shared.shape, wall.shape[:2]))
    assert np.array_equal(shared[top : top + wall.shape[0], left : left + wall.shape[1]], wall)
    assert result.recipe["inputs"]["compare"] == ["resnet18", "convnext_atto"]


@pytest.mark.parametrize(
    ("inputs", "error", "message"),
    [
        ({"layer": "classifier"}, timmscope.Declined, "classifier .* no convolution .* Layers that have: conv_stem, "),
        ({"page": 2}, timmscope.InvalidInput, "page: got 2, expected at most 1: .* 32 kernels"),
        ({"compare": "resnet5O"}, timmscope.InvalidInput, "compare: got 'resnet5O', .*Did you mean resnet50"),
        ({"compare": "a;b;c;d;e"}, timmscope.InvalidInput, "compare: got .*expected at most 4"),
        (
            {"compare": "test_vit", "weights": "random", "layer": "conv_stem"},
            timmscope.Declined,
            "test_vit.* has no layer conv_stem",
        ),
        (
            {"model": "test_vit", "weights": "random", "layer": "blocks.0.attn.qkv"},
            timmscope.Declined,
            "Layers that have: patch_embed.proj",
        ),
    ],
)
def test_what_has_no_kernels_is_refused_with_what_has(inputs, error, message):
    with pytest.raises(error, match=message):
        timmscope.run("filters", **inputs)
