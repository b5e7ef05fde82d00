"""Recipes run again: the same bits, photos known by their pixels, and what differs here is said."""

from __future__ import annotations

import copy
import json
from typing import Annotated

import numpy as np
import pytest
import skimage.data
import torch
from PIL import Image

import timmscope
from timmscope.registry.runs.recipes import load

TINY = {"model": "test_vit", "weights": "random"}


def same(a: timmscope.Result, b: timmscope.Result) -> bool:
    return all(np.array_equal(array, b.arrays[name]) for name, array in a.arrays.items()) and a.recipe == b.recipe


@pytest.fixture(scope="module")
def sampled():
    """A run with a sample photo."""
    return timmscope.run("saliency", image="sample:chelsea", samples=2, seed=3, target="lynx", **TINY)


@pytest.fixture
def recipe(sampled):
    return copy.deepcopy(sampled.recipe)


@pytest.fixture
def own(tmp_path):
    """A result of one's own photo, saved."""
    photo = tmp_path / "mine.jpg"
    Image.fromarray(skimage.data.coffee()).save(photo)
    result = timmscope.run("grad_cam", image=photo, targets="cup; 968", fit=True, **TINY)
    result.save(tmp_path / "out")
    return result


def test_a_recipe_gives_the_same_result(sampled, recipe):
    again = timmscope.rerun(json.loads(json.dumps(recipe)))
    assert same(sampled, again)
    assert list(again.notes) == list(sampled.notes)


def test_a_sample_that_came_as_a_file_is_found_by_its_name(sampled, recipe):
    recipe["inputs"]["image"]["name"] = "chelsea.png"  # as the page names it
    again = timmscope.rerun(recipe)
    assert np.array_equal(again["heatmap"], sampled["heatmap"])
    assert again.recipe["inputs"]["image"]["name"] == "chelsea.png"


def test_own_photos_lie_beside_the_recipe_or_are_given(own, tmp_path):
    assert same(own, timmscope.rerun(tmp_path / "out" / "recipe.json"))
    assert same(own, timmscope.rerun(own.recipe, image=Image.open(tmp_path / "mine.jpg")))
    with pytest.raises(timmscope.InvalidInput, match=r"image: got None, expected .* mine.jpg of 600 x 400 .*Give it"):
        timmscope.rerun(own.recipe)
    with pytest.raises(timmscope.InvalidInput, match=r"got 'sample:chelsea', expected .* mine.jpg .*pixels are others"):
        timmscope.rerun(own.recipe, image="sample:chelsea")
    with pytest.raises(timmscope.InvalidInput, match="seed: got 3, expected a photo of the recipe: image"):
        timmscope.rerun(own.recipe, seed=3)


def test_a_changed_file_beside_the_recipe_is_refused(own, tmp_path):
    stored = tmp_path / "out" / "photos" / "image.png"
    with Image.open(stored) as photo:
        photo.putpixel((0, 0), (1, 2, 3))
        photo.save(stored)
    with pytest.raises(timmscope.InvalidInput, match=r"image\.png here has other pixels"):
        timmscope.rerun(tmp_path / "out" / "recipe.json")


def test_what_differs_here_is_said(recipe):
    recipe["libraries"] |= {"torch": "1.0", "python": "2.7"}
    recipe |= {"device": "tpu", "threads": 64, "processor": "abacus", "precision": "medium"}
    recipe["model"]["origin"] = "a floppy disk"
    notes = " ".join(timmscope.rerun(recipe).notes)
    assert f"Made with torch 1.0, here {torch.__version__.split('+')[0]}" in notes
    assert "Made with device tpu, here" in notes
    assert "Made with threads 64, here 1" in notes
    assert f"Made with processor abacus, here {torch.backends.cpu.get_cpu_capability()}" in notes
    assert "Made with precision medium, here highest" in notes
    assert "weights are from a floppy disk" in notes
    assert "python" not in notes


def test_layers_and_classes_are_those_of_the_recipe():
    chosen = timmscope.run("grad_cam", image="sample:chelsea", layer="blocks.1", targets="3; 7", **TINY)
    recipe = copy.deepcopy(chosen.recipe)
    recipe["inputs"] |= {"layer": "", "targets": ["lynx", "tabby"]}  # as if names and defaults had meant these then
    recipe["resolved"] |= {"layer": "blocks.1", "targets": [3, 7]}
    again = timmscope.rerun(recipe)
    assert np.array_equal(again.arrays["heatmaps"], chosen.arrays["heatmaps"])
    notes = " ".join(again.notes)
    assert "layer: blocks.1, as in the recipe; here it would be blocks" in notes
    assert "targets: [3, 7], as in the recipe; here it would be [287, 281]" in notes


def test_photo_sets_are_known_by_their_content(monkeypatch):
    @timmscope.technique("Count", family="Activations", outputs=[timmscope.Table("rows", "Rows", columns=("a", "b"))])
    def count(photos: Annotated[timmscope.PhotoList, timmscope.Photos("Photos")]) -> timmscope.Outputs:
        """Count.

        Args:
            photos: The set.
        """
        return timmscope.Outputs(rows=[["photos", len(photos)]])

    monkeypatch.setitem(timmscope.plugins().techniques, "count", count)
    sets = timmscope.run("count", photos="samples").recipe
    assert timmscope.rerun(sets)["rows"] == [["photos", len(timmscope.plugins().samples)]]
    sets["inputs"]["photos"]["identity"] = "another"
    with pytest.raises(timmscope.InvalidInput, match=r"photos: got 'samples', expected the photo set of the recipe"):
        timmscope.rerun(sets)

    files = [Image.new("RGB", (8, 8), color) for color in ("red", "blue")]
    brought = timmscope.run("count", photos="samples", files=files).recipe
    assert timmscope.rerun(brought, files=files)["rows"] == [["photos", 2]]
    with pytest.raises(timmscope.InvalidInput, match="files: got None, expected the photos of the recipe"):
        timmscope.rerun(brought)
    with pytest.raises(timmscope.InvalidInput, match="Its photos are others now"):
        timmscope.rerun(brought, files=files[:1])


@pytest.mark.parametrize("source", [{}, {"technique": "saliency"}, {"technique": 3, "inputs": {}}, "nowhere.json"])
def test_what_is_no_recipe_is_refused(source):
    with pytest.raises(timmscope.InvalidInput, match=r"recipe: .*expected a recipe"):
        load(source)


def test_a_recipe_of_a_missing_technique_names_it():
    with pytest.raises(timmscope.InvalidInput, match=r"got 'salency', .*Did you mean saliency"):
        timmscope.rerun({"technique": "salency", "inputs": {}})
