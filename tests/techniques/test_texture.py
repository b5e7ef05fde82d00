"""Texture: Gram matrices come to match, at any size."""

from __future__ import annotations

import numpy as np
import pytest

import timmscope

from ..references import EMBEDDED

TINY = {"model": "test_convnext", "weights": "random", "size": 64, "steps": 4}


def test_the_gram_loss_falls_at_every_layer():
    result = timmscope.run("texture", model=EMBEDDED, image="sample:brick", size=96, steps=30)
    curves = result["gram_loss"]
    assert list(curves) == ["bn1", *(f"blocks.{i}.0.bn1" for i in (1, 2, 3, 4))]
    assert sum(curve[-1] for curve in curves.values()) < 0.1 * sum(curve[0] for curve in curves.values())


@pytest.mark.parametrize("size", [32, 65, 300])
def test_any_size(size):
    assert timmscope.run("texture", image="sample:grass", **TINY | {"size": size})["texture"].shape == (size, size, 3)


@pytest.mark.parametrize("picture", [np.zeros((1, 1, 3), np.uint8), np.zeros((9, 40, 3), np.uint8)])
def test_photos_without_content_are_taken(picture):
    assert np.isfinite(timmscope.run("texture", image=picture, **TINY).arrays["gram_loss"]).all()


def test_chosen_layers_and_none():
    chosen = timmscope.run("texture", image="sample:brick", layers="stages.0; stages.0", **TINY)
    assert list(chosen["gram_loss"]) == ["stages.0"]
    free = timmscope.run("texture", image="sample:brick", layers=[], **TINY | {"model": "test_vit"})
    assert len(free["gram_loss"]) > 1
