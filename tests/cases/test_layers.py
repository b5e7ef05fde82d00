"""Where a layer's values lie on the photo, held against timm's own maps and against what a change of the photo does."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import skimage.data
import torch
from PIL import Image

import timmscope
from benchmarks import layers
from timmscope import Declined

from ..references import assert_close

SIDE = 224
KINDS = ["test_resnet"]
# Networks that cut windows into the batch and shift them, unfold maps, flatten batches, reorder tokens and give
# matrices of attention: 3 to 10 s each. What is special about windows and orders is in the tests above and below.
SLOW = ["swin_tiny_patch4_window7_224", "mobilevit_xxs", "levit_128s", "hiera_tiny_224", "cait_xxs24_224"]


def noise(seed: int = 0) -> np.ndarray:
    """A photo of the network's size, which no preprocessing changes but for rounding."""
    return np.random.default_rng(seed).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)


def maps_of(photo: np.ndarray, model: str, layer: str) -> np.ndarray:
    """The product's maps of the first units of a layer, [units, rows, columns]."""
    inputs = {"model": model, "weights": "random", "layer": layer, "limit": 256, "fit": True}
    return timmscope.run("activation_maps", image=photo, **inputs).arrays["maps"]


@pytest.mark.case(1)
@pytest.mark.parametrize("block", [0, 1, 3, 9, 11])
def test_tokens_that_are_reordered_are_back_in_their_places(block):
    photo = noise()
    with timmscope.lend("hiera_tiny_224", "random") as model, torch.no_grad():
        seen = model.see(timmscope.PhotoInput(Image.fromarray(photo), fit=True)).input
        expected = model.module.forward_intermediates(seen, indices=[block], coarse=False, intermediates_only=True)[0]
    assert_close(maps_of(photo, "hiera_tiny_224", f"blocks.{block}"), expected[0, :256])


@functools.cache
def unchanged(layer: str) -> np.ndarray:
    return maps_of(noise(), "swin_tiny_patch4_window7_224", layer)


@pytest.mark.case(2)
@pytest.mark.parametrize("layer", ["layers.0.blocks.0.attn", "layers.0.blocks.1.attn", "layers.1.blocks.0.attn"])
@pytest.mark.parametrize("half", [slice(0, SIDE // 2), slice(SIDE // 2, SIDE)])
def test_windows_are_put_together_and_a_change_of_half_the_photo_changes_that_half(layer, half):
    pasted = noise()
    pasted[:, half] = np.asarray(Image.fromarray(skimage.data.chelsea()).resize((SIDE // 2, SIDE)))
    before, after = unchanged(layer), maps_of(pasted, "swin_tiny_patch4_window7_224", layer)
    side = before.shape[2]
    assert before.shape[1] == side == {"0": 56, "1": 28}[layer[7]]
    changed = np.abs(after - before).max((0, 1)) > 1e-5 * np.abs(before).max()
    cells = slice(half.start * side // SIDE, half.stop * side // SIDE)
    assert changed[cells].all()
    # windows see no further than their own side; a shifted one reaches 3 cells into the other half
    elsewhere = np.ones(side, bool)
    elsewhere[max(0, cells.start - 7) : cells.stop + 7] = False
    assert elsewhere.any()
    assert not changed[elsewhere].any()


@pytest.mark.case(1)
@pytest.mark.case(2)
@pytest.mark.case(3)
@pytest.mark.parametrize("name", [*KINDS, *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)])
def test_every_layer_with_a_grid_lies_on_the_photo_as_it_says(name):
    torch.set_num_threads(1)
    found = layers.look(name)
    assert found["grids"] > 20
    assert found["faults"] == {}
    if found["intermediates"]:
        assert found["intermediates"]["wrong"] == []
        assert len(found["intermediates"]["right"]) >= 3


@pytest.mark.case(2)
@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("cait_xxs24_224", "blocks.0.attn.proj_l"),  # attention matrices, [heads, places, places]
        ("swin_tiny_patch4_window7_224", "norm"),
        ("vit_tiny_patch16_224", "head"),
    ],
)
def test_what_is_no_map_is_not_offered_as_one(name, layer):
    with timmscope.lend(name, "random") as model:
        found = model.layers[layer]
        if layer == "norm":  # and what is one still is
            assert (found.grid.height, found.grid.width) == (7, 7)
            return
        assert found.grid is None
    with pytest.raises(Declined, match=r"no spatial grid|neither a spatial grid"):
        maps_of(noise(), name, layer)


FIXED = ("edgenext_xx_small", "stages.1.blocks.1.pos_embd")  # a position embedding, the same for every photo


@pytest.mark.case(20)
@pytest.mark.parametrize(
    ("technique", "inputs"),
    [
        ("activation_maps", {}),
        ("grad_cam", {}),
        ("guided_backprop", {}),
        ("gradient_ascent", {"steps": 2, "size": 64}),
        ("feature_inversion", {"steps": 2}),
        ("texture", {"steps": 2, "size": 64}),
        ("deepdream", {"steps": 1, "octaves": 1}),
        ("maximal_patches", {}),
        ("unit_sheet", {"steps": 2}),
    ],
)
def test_a_layer_that_does_not_depend_on_the_photo_is_declined(technique, inputs):
    model, layer = FIXED
    declared = {parameter.name for parameter in timmscope.plugins().technique(technique).parameters}
    named = {"layers": [layer]} if "layers" in declared else {"layer": layer}
    photo = {"image": "sample:coffee"} if "image" in declared else {}
    with pytest.raises(Declined, match="does not depend on the photo"):
        timmscope.run(technique, model=model, weights="random", **photo, **named, **inputs)


@pytest.mark.case(31)
@pytest.mark.parametrize(
    ("model", "layer"),
    [
        ("resnet18", "conv1"),
        ("vit_tiny_patch16_224", "patch_embed"),
        ("swin_tiny_patch4_window7_224", "layers.0.blocks.0.attn"),
        ("hiera_tiny_224", "blocks.0"),
    ],
)
@pytest.mark.parametrize(
    ("fit", "size"),
    [
        (False, (300, 420)),
        (True, (420, 300)),
        pytest.param(False, (420, 300), marks=pytest.mark.slow),  # the same two ways in the other order
        pytest.param(True, (300, 420), marks=pytest.mark.slow),
    ],
)
def test_the_overlay_is_hot_where_the_object_is(model, layer, fit, size):
    height, width = size
    plain = np.full((height, width, 3), 128, np.uint8)
    top, left, side = height // 2 - 90, width // 2 + 10, 80
    photo = plain.copy()
    photo[top : top + side, left : left + side] = noise()[:side, :side]
    named = {"model": model, "weights": "random", "layer": layer, "fit": fit, "unit": 0}
    drawn = timmscope.run("activation_maps", image=photo, **named).arrays["overlay"]
    scale = drawn.shape[1] / width
    seen = np.ptp(drawn, axis=2) > 0.02  # in colour, while the rest of the photo stays grey outside the object
    heat = np.abs(drawn - np.median(drawn[seen], 0)).sum(2) * seen
    weights = np.where(heat > 0.5 * heat.max(), heat, 0)
    y, x = (float((weights * axis).sum() / weights.sum()) / scale for axis in np.indices(heat.shape))
    assert abs(y - (top + side / 2)) < side / 2
    assert abs(x - (left + side / 2)) < side / 2


@pytest.mark.case(49)
@pytest.mark.parametrize(
    "name",
    [
        "resnet18",
        "vgg11",
        "densenet121",
        "convnext_atto",
        "vit_tiny_patch16_224",
        "deit_tiny_distilled_patch16_224",
        "swin_tiny_patch4_window7_224",
        "mobilenetv3_small_050",
        "test_mambaout",
        "hiera_tiny_224",
        "crossvit_tiny_240",
        # made for this test alone; their heads are those of others here
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in ("mixer_s32_224", "regnetx_002", "xcit_nano_12_p16_224")
        ),
    ],
)
def test_features_are_what_the_classifier_is_given(name):
    with timmscope.lend(name, "random") as model, torch.no_grad():
        images = torch.randn(2, *model.config["input_size"], generator=torch.Generator().manual_seed(1))
        given: list[torch.Tensor] = []
        classifiers = [part for part in model.module.modules() if getattr(part, "out_features", 0) == 1000]
        for part in classifiers or [model.module.get_classifier()]:
            part.register_forward_pre_hook(lambda _, inputs: given.append(inputs[0].flatten(1)))
        model.module(images)
        found = model.features(images)
    assert torch.allclose(found, torch.cat(given, 1) if name == "crossvit_tiny_240" else torch.stack(given).mean(0))
