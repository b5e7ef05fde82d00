"""Activation maps against the layer's output as a plain hook on timm's own model records it."""

from __future__ import annotations

import numpy as np
import pytest

import timmscope

from ..references import CHELSEA, EMBEDDED, assert_close, named, plain, transformed

FAMILIES = {
    EMBEDDED: "blocks.2",
    "resnet18": "layer2",
    "vgg11": "features.9",
    "densenet121": "features.denseblock2",
    "convnext_atto": "stages.1",
    "vit_tiny_patch16_224": "blocks.3",
    "swin_tiny_patch4_window7_224": "layers.1",
    "mixer_s32_224": "blocks.1",
}


def output(name: str, layer: str) -> np.ndarray:
    """[units, rows, columns] of the layer on the cat photo."""
    kept = []
    # a copy, since a block that follows may add to it in place
    handle = plain(name).get_submodule(layer).register_forward_hook(lambda _m, _i, out: kept.append(out.clone()))
    try:
        plain(name)(transformed(name))
    finally:
        handle.remove()
    found = kept[0][0]
    if found.ndim == 2:  # tokens, maybe behind a class token
        side = int(len(found) ** 0.5)
        return found[-side * side :].T.reshape(-1, side, side).numpy()
    return (found.permute(2, 0, 1) if "swin" in name else found).numpy()


@pytest.mark.parametrize(("name", "layer"), FAMILIES.items())
def test_the_maps_are_the_layers_output(name, layer):
    expected = output(name, layer)
    result = timmscope.run("activation_maps", image=CHELSEA, layer=layer, limit=256, **named(name))
    assert_close(result.arrays["maps"], expected[:256], 1e-3)
    assert result["maps"].values == list(range(min(256, len(expected))))
    brightest = int(expected.max((1, 2)).argmax())
    assert f"unit {brightest}," in " ".join(result.notes)


def run(**inputs):
    return timmscope.run("activation_maps", image=CHELSEA, layer="blocks.2", **inputs)


def test_order_and_pages_are_those_of_the_numbers():
    maps = run(limit=256).arrays["maps"]
    for sort, values in (("max", maps.max((1, 2))), ("mean", maps.mean((1, 2)))):
        first, second = run(sort=sort, limit=15), run(sort=sort, limit=15, page=2)
        ranked = np.argsort(-values)
        assert first["maps"].values + second["maps"].values == ranked[:30].tolist()
        assert np.array_equal(second.arrays["maps"], maps[ranked[15:30]])
    assert first["maps"].captions[0] == f"unit {ranked[0]}: max {maps[ranked[0]].max():.3g}"
    with pytest.raises(timmscope.InvalidInput, match=r"page: got 4, expected at most 3: blocks\.2 has 40"):
        run(limit=15, page=4)


@pytest.mark.parametrize("scale", ["each", "common"])
def test_pictures_are_the_maps_from_black_to_white_in_whole_squares(scale):
    result = run(scale=scale)
    maps = result.arrays["maps"]
    for heat, (picture, _) in zip(maps, result.pictures["maps"]):
        extent = heat if scale == "each" else maps
        expected = np.round((heat - extent.min()) / np.ptp(extent) * 255).repeat(4, 0).repeat(4, 1)
        assert picture.size == (112, 112)
        assert np.abs(np.asarray(picture) - expected[..., None]).max() <= 1


def test_the_overlay_is_of_the_chosen_unit():
    chosen, default = run(unit=5), run()
    seen = {}
    with timmscope.lend(EMBEDDED) as model:
        photo = timmscope.PhotoInput(timmscope.decode(CHELSEA))
        for unit in (5, int(default.arrays["maps"].max((1, 2)).argmax())):
            seen[unit] = model.see(photo).over(default.arrays["maps"][unit]).array
    five, brightest = seen.values()
    assert np.array_equal(np.round(chosen.arrays["overlay"] * 255), five)
    assert np.array_equal(np.round(default.arrays["overlay"] * 255), brightest)
    assert not np.array_equal(five, brightest)


def test_units_that_are_zero_everywhere_are_said_so_and_black():
    result = timmscope.run("activation_maps", image=CHELSEA, layer="blocks.2.0.bn1", limit=144)
    dead = [k for k, heat in enumerate(result.arrays["maps"]) if not heat.any()]
    assert dead
    assert any(f"{len(dead)} of 144 units are zero everywhere" in note for note in result.notes)
    assert result["maps"].captions[dead[0]] == f"unit {dead[0]}: zero"
    assert not np.asarray(result.pictures["maps"][dead[0]][0]).any()


@pytest.mark.parametrize(
    ("inputs", "error", "message"),
    [
        ({"layer": "classifier"}, timmscope.Declined, "classifier .* no spatial grid. One that has: blocks.6"),
        ({"layer": "blocks.2", "unit": 40}, timmscope.InvalidInput, "unit: got 40, expected a channel of blocks.2, 0"),
        ({"layer": "blocks.22"}, timmscope.InvalidInput, "layer: got 'blocks.22', .*Did you mean"),
    ],
)
def test_what_cannot_be_shown_is_refused_with_the_reason(inputs, error, message):
    with pytest.raises(error, match=message):
        timmscope.run("activation_maps", image=CHELSEA, **inputs)
