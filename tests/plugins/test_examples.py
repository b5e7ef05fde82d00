"""The example plugins do what they say: integrated gradients add up, torchvision's networks are there, digits too."""

from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np
import pytest
import torch

import timmscope
from timmscope.registry.plugins.discovery import load_alone, plugins

from ..references import CHELSEA

PLUGINS = Path(__file__).parents[2] / "examples"


def load(monkeypatch, name: str):
    monkeypatch.syspath_prepend(str(PLUGINS / name))
    return importlib.import_module(f"timmscope_{name}")


@pytest.fixture
def torchvision_models(monkeypatch, tmp_path):
    """The plugin, known to the registry, with an empty cache of weights and a network that answers nothing."""
    module = load(monkeypatch, "torchvision_models")
    for name, source in load_alone("torchvision_models", lambda: module).model_sources.items():
        monkeypatch.setitem(plugins().model_sources, name, source)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    return module


@pytest.mark.parametrize("name", ["integrated_gradients", "feature_accentuation", "torchvision_models", "digits"])
def test_they_are_short(name):
    assert len((PLUGINS / name / f"timmscope_{name}.py").read_text().splitlines()) < 60


def test_integrated_gradients_add_up_to_the_score_above_black(monkeypatch):
    technique = load(monkeypatch, "integrated_gradients").integrated_gradients
    inputs = {"image": CHELSEA, "target": 281, "steps": 64, "model": "test_convnext", "weights": "random"}
    result = timmscope.run(technique, **inputs)
    with timmscope.lend("test_convnext", "random") as model, torch.no_grad():
        seen = model.see(timmscope.PhotoInput(timmscope.decode(CHELSEA)))
        black = -(seen.mean / seen.std).expand_as(seen.input)
        above = (model.logits(seen.input) - model.logits(black))[0, 281]
    assert result.arrays["heatmap"].sum() == pytest.approx(float(above), abs=1e-4)
    assert abs(float(above)) > 0.01


def test_accentuation_excites_the_unit_and_stays_near_the_photo(monkeypatch):
    technique = load(monkeypatch, "feature_accentuation").feature_accentuation
    inputs = {
        "image": CHELSEA,
        "layer": "stages.2",
        "unit": 3,
        "steps": 12,
        "model": "test_convnext",
        "weights": "random",
    }
    near, far = (timmscope.run(technique, likeness=likeness, **inputs).arrays for likeness in (100, 0))
    with timmscope.lend("test_convnext", "random") as model, torch.no_grad():
        network = timmscope.synthesis.Network(model, model.size)
        score = timmscope.synthesis.channel("stages.2", 3).on(network)
        photo, *made = (torch.tensor(a).permute(2, 0, 1)[None] for a in (near["original"], near["image"], far["image"]))
        assert all(score(image) > score(photo) + 0.01 for image in made)
        first = timmscope.synthesis.Features(network, model.stages[:1], before_activation=True)
        wanted = first(photo)[model.stages[0]]
        away = [float(timmscope.synthesis.relative_distance(first(x)[model.stages[0]], wanted)) for x in made]
    assert away[0] < away[1] / 2


def test_alexnet_has_its_large_filters_and_4096_features(torchvision_models):
    with timmscope.lend("torchvision_alexnet", "random") as model:
        assert model.module.features[0].weight.shape == (64, 3, 11, 11)
        assert model.layers["classifier.5"].shape == (4096,)
        assert model.size == (224, 224)
        assert model.config["crop_pct"] == 224 / 256


def test_trained_weights_come_from_the_cache_and_without_it_the_answer_says_so(torchvision_models, tmp_path):
    from torchvision.models import get_model, get_model_weights

    name = "torchvision_squeezenet1_1"
    with pytest.raises(timmscope.ModelUnavailable, match=rf"^{name}: https://\S+ cannot be reached"):
        timmscope.run("saliency", image=CHELSEA, model=name)
    file = tmp_path / "hub" / "checkpoints" / get_model_weights("squeezenet1_1").DEFAULT.url.rpartition("/")[2]
    file.parent.mkdir(parents=True)
    with torch.random.fork_rng(devices=[]):
        torch.save(get_model("squeezenet1_1").state_dict(), file)
    result = timmscope.run("saliency", image=CHELSEA, model=name)
    assert result.recipe["model"]["origin"].startswith("torchvision ")
    assert result.arrays["heatmap"].max() > 0


def test_digits_are_photos_with_labels(monkeypatch):
    photos = load(monkeypatch, "digits").photos()
    assert len(photos) == 1797
    assert {photo.label for photo in photos} == set("0123456789")
    pixels = photos[0].load()
    assert pixels.shape == (8, 8)
    assert pixels.dtype == np.uint8
    assert pixels.max() > 200
