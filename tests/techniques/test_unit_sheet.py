"""Unit sheet: four ways to see one unit, streamed; what does not apply is left out and said."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import timmscope
from timmscope import testing
from timmscope.registry.runs.inputs import photo_input
from timmscope.techniques.activations.unit_sheet import SIDE, VIEWS

from ..references import CHELSEA

MORE = ("resnet10t", "test_mambaout")
TITLES = {"patches": "Patches of", "synthetic": "Synthetic picture", "map": "Map on", "guided": "Guided backprop"}


def given(model: str = "test_resnet", **more) -> dict:
    files = testing.generated_photos(3)
    return {"image": CHELSEA, "model": model, "weights": "random", "files": files, "steps": 3} | more


@pytest.fixture(scope="module")
def fifth():
    """The sheet of unit 5 of a layer."""
    return timmscope.run("unit_sheet", **given(layer="layer2", unit=5))


def titles(sheet) -> list[str]:
    return [next(view for view in VIEWS if caption.startswith(TITLES[view])) for caption in sheet.captions]


def test_four_views_of_one_unit_on_one_page(fifth):
    assert titles(fifth["sheet"]) == list(VIEWS)
    assert fifth.arrays["sheet"].shape == (4, SIDE, SIDE, 3)
    assert all(np.ptp(view) > 0.04 for view in fifth.arrays["sheet"])
    assert "layer2, unit 5." in fifth.notes


def test_it_streams_what_it_has():
    *previews, _ = timmscope.stream("unit_sheet", **given(layer="layer2"))
    seen = [titles(preview.outputs["sheet"]) for preview in previews if "sheet" in preview.outputs]
    assert seen[0] == ["map", "guided"]
    assert seen[-1] == list(VIEWS)
    assert [preview.done for preview in previews][-1] == previews[-1].total == 3 + 3


def test_the_default_unit_is_the_most_excited_one_and_the_map_is_its():
    with timmscope.lend("tf_efficientnet_lite0") as model, torch.no_grad():
        image = model.see(photo_input("image", CHELSEA)).input
        maps = timmscope.LayerReader(model, ["blocks.1.0.bn1"], before_activation=True)(image)["blocks.1.0.bn1"][0]
    unit, row, column = np.unravel_index(int(maps.argmax()), maps.shape)
    inputs = given("tf_efficientnet_lite0", weights="pretrained", layer="blocks.1.0.bn1")
    result = timmscope.run("unit_sheet", **inputs)
    assert f"blocks.1.0.bn1, unit {unit}, the one with the largest value on the photo." in result.notes
    captions = dict(zip(titles(result["sheet"]), result["sheet"].captions))
    assert f"unit {unit} at row {row}, column {column}, value " in captions["guided"]
    assert captions["map"].endswith(f" to {float(maps.max()):.3g}")
    assert captions["patches"].startswith("Patches of Own photos: ")


def test_its_patches_are_those_of_maximal_patches(fifth):
    inputs = {name: value for name, value in given().items() if name not in ("image", "steps")}
    patches = timmscope.run("maximal_patches", **inputs, layer="layer2", units=[5])
    best, worst = patches["ranking"][0][-1], patches["ranking"][-1][-1]
    assert fifth["sheet"].captions[0] == f"Patches of Own photos: {best:.3g} to {worst:.3g}"


def test_another_seed_gives_another_synthetic_picture_and_the_rest_stays(fifth):
    assert fifth.recipe["inputs"]["seed"] == 0
    other = timmscope.run("unit_sheet", **given(layer="layer2", unit=5, seed=1))
    differs = [bool((a != b).any()) for a, b in zip(fifth.arrays["sheet"], other.arrays["sheet"])]
    assert differs == [False, True, False, False]


def test_of_a_unit_that_the_photo_leaves_silent_the_other_views_are_shown_with_a_note():
    layer = "blocks.1.0.bn1"
    with timmscope.lend("tf_efficientnet_lite0") as model, torch.no_grad():
        image = model.see(photo_input("image", CHELSEA)).input
        tops = timmscope.LayerReader(model, [layer], before_activation=True)(image)[layer][0].amax((1, 2))
    inputs = given("tf_efficientnet_lite0", weights="pretrained", layer=layer, unit=int(tops.argmin()))
    assert tops.min() < 0
    result = timmscope.run("unit_sheet", **inputs)
    assert {"map", "guided"}.isdisjoint(titles(result["sheet"]))
    assert "synthetic" in titles(result["sheet"])
    assert any(note.startswith("Left out, map: the unit gives 0 everywhere") for note in result.notes)
    assert any(note.startswith("Left out, guided: ") and "no gradient" in note for note in result.notes)


def test_one_value_a_unit_has_no_map():
    result = timmscope.run("unit_sheet", **given(layer="fc", unit=3))
    assert titles(result["sheet"]) == ["patches", "synthetic", "guided"]
    assert any(note.startswith("Left out, map: ") for note in result.notes)


@pytest.mark.parametrize(
    "name", ["test_convnext", "test_vit", "test_efficientnet", *(pytest.param(n, marks=pytest.mark.slow) for n in MORE)]
)
def test_families_are_seen_at_a_layer_of_their_own(name):
    result = timmscope.run("unit_sheet", **given(name))
    assert testing.blanks(result) == []
    assert {"patches", "synthetic"} <= set(titles(result["sheet"]))
    assert any("two thirds of the depth" in note for note in result.notes)


def test_a_unit_that_there_is_not_is_refused_before_any_work():
    with pytest.raises(timmscope.InvalidInput, match="unit: got 4096, expected a channel of layer2, 0 to "):
        next(timmscope.stream("unit_sheet", **given(layer="layer2", unit=4096)))
