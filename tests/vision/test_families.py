"""A small part of `benchmarks.families`: networks of different kinds, and the program itself."""

from __future__ import annotations

import json
import os
import time

import numpy as np
import pytest
from torch import nn

import timmscope
from benchmarks import families
from timmscope import Captioned, Outputs, testing
from timmscope.registry.declare import ports
from timmscope.registry.photos.decoding import decode
from timmscope.registry.results.result import Result

from .. import toys
from ..references import CHELSEA

KINDS = {
    "test_resnet": "convolutions",
    "test_convnext": "ConvNeXt",
    "test_vit": "tokens",
    "test_mambaout": "channels last",
}
LARGE = {  # of which timm has none of test size: the last in the quick part, of the others their features and saliency
    "crossvit_tiny_240": "two branches of tokens",
    "gmlp_ti16_224": "a mixer whose classifier timm leaves at zero",
    "eva02_tiny_patch14_224": "no classifier",
}
SHOWING = ["saliency", "guided_backprop", "grad_cam", "saliency_segmentation", "deepdream", "gradient_ascent"]
TECHNIQUES = timmscope.plugins().techniques
# Parameters with a wide range that cost no time.
FREE = {"seed", "jitter", "epsilon", "page"}


@pytest.mark.parametrize(
    ("technique", "model"),
    [
        *((technique, model) for technique in SHOWING for model in KINDS),
        ("grad_cam", "eva02_tiny_patch14_224"),
        *(
            pytest.param(technique, model, marks=pytest.mark.slow)
            for technique in SHOWING
            for model in LARGE
            if (technique, model) != ("grad_cam", "eva02_tiny_patch14_224")
        ),
    ],
)
def test_a_technique_shows_something_of_every_kind(technique, model):
    result = timmscope.run(technique, **testing.smallest(TECHNIQUES[technique], CHELSEA, model))
    assert testing.blanks(result) == []


class Pointwise(toys.Tiny):
    """A network whose first convolution is 1 x 1."""

    def __init__(self):
        super().__init__()
        self.mix, self.conv = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 8, 3, 2, 1)

    def forward(self, x):
        return self.classifier(self.act(self.conv(self.mix(x))).mean((2, 3)))


@pytest.mark.parametrize("model", ["pointwise", pytest.param("mobileone_s1", marks=pytest.mark.slow)])  # 3 s to make
def test_the_kernels_shown_first_are_more_than_a_pixel(model, monkeypatch):
    source = timmscope.ModelSource("pointwise", lambda: Pointwise().state_dict(), "test", build=Pointwise)
    monkeypatch.setitem(timmscope.plugins().model_sources, "pointwise", source)
    inputs = testing.smallest(TECHNIQUES["filters"], CHELSEA, model)
    assert testing.blanks(timmscope.run("filters", **inputs)) == []


@pytest.mark.parametrize("technique", TECHNIQUES)
def test_what_makes_a_run_long_has_a_small_setting(technique):
    declared = TECHNIQUES[technique]
    given = testing.smallest(declared, CHELSEA, "test_vit")
    costly = {
        parameter.name
        for parameter in declared.own_parameters
        if isinstance(parameter.port, ports.Number) and parameter.port.whole and parameter.port.maximum >= 64
    }
    assert costly - FREE <= set(given)
    for parameter in declared.own_parameters:
        if parameter.name in given and isinstance(parameter.port, ports.Number):
            assert parameter.port.check(parameter.name, given[parameter.name]) <= max(parameter.default, 64)


def result(value, technique: str = "saliency", notes: tuple[str, ...] = ()) -> Result:
    """A result whose first output is `value`; the others are fine."""
    fine = timmscope.run(technique, **testing.smallest(TECHNIQUES[technique], CHELSEA, "test_vit"))
    first = TECHNIQUES[technique].outputs[0].name
    return Result(fine.technique, Outputs(fine.outputs | {first: value}), fine.recipe, notes)


@pytest.mark.parametrize(
    ("value", "notes", "expected"),
    [
        (np.ones((160, 160)), (), ["heatmap is blank"]),
        (np.zeros((160, 160)), ("Nothing speaks for it: the map is empty.",), []),
        (np.full((160, 160), np.nan), (), ["heatmap is not finite"]),
        (np.eye(160), (), []),
    ],
)
def test_a_blank_is_seen(value, notes, expected):
    assert testing.blanks(result(value, notes=notes)) == expected


def test_a_picture_of_one_colour_is_blank_and_one_good_picture_of_several_is_not():
    orange = np.broadcast_to(np.array([255, 128, 0], np.uint8), (8, 8, 3))
    dots = orange.copy()
    dots[4, 4] = 0
    assert testing.blanks(result(orange, "saliency_segmentation")) == ["cutout is blank"]
    assert testing.blanks(result(dots, "saliency_segmentation")) == []
    maps = np.stack([np.zeros((160, 160)), np.eye(160)])
    assert testing.blanks(result(Captioned(maps, ["a", "b"]), "grad_cam")) == []


def test_generated_photos_differ():
    photos = [np.asarray(decode(file)) for file in testing.generated_photos(4, 32)]
    assert all(photo.shape == (32, 32, 3) and photo.std() > 20 for photo in photos)
    assert min(np.abs(a.astype(float) - b).mean() for i, a in enumerate(photos) for b in photos[:i]) > 20


def dies(architecture: str, technique: str) -> dict:
    """A cell that takes its process along, one that hangs, and good ones."""
    if technique == "dies":
        os._exit(3)
    if technique == "hangs":
        time.sleep(60)
    return {"verdict": "works", "reason": "", "seconds": 0, "megabytes": families.peak_megabytes()}


def test_a_model_that_dies_or_hangs_is_a_cell_and_the_rest_goes_on(monkeypatch):
    monkeypatch.setattr(families, "cell", dies)
    cells = list(families.sweep("x", ["a", "dies", "b", "hangs", "c"], patience=2))
    assert [(cell["technique"], cell["verdict"]) for cell in cells] == [
        ("load", "works"),
        ("a", "works"),
        ("dies", "fails"),
        ("b", "works"),
        ("hangs", "fails"),
        ("c", "works"),
    ]
    assert [cell["reason"] for cell in cells if cell["verdict"] == "fails"] == [
        "the process died with code 3",
        "took longer than 2 s",
    ]
    assert cells[0]["megabytes"] > 100


def test_an_interrupted_sweep_goes_on_and_writes_the_page(tmp_path, monkeypatch):
    results, page = tmp_path / "cells.jsonl", tmp_path / "page.md"
    made = []

    def cells(architecture, techniques, patience):
        for technique in ["load", *techniques]:
            made.append(technique)
            verdict = "declines" if technique == "texture" else "works"
            yield {"technique": technique, "verdict": verdict, "reason": "No grid." * (technique == "texture")} | {
                "seconds": 1.0,
                "megabytes": 500,
            }

    monkeypatch.setattr(families, "sweep", cells)
    for arguments in (["--technique", "saliency"], ["--technique", "saliency", "texture"], ["--again", "declines"]):
        monkeypatch.setattr(
            "sys.argv", ["families", "test_vit", *arguments, "--results", str(results), "--document", str(page)]
        )
        families.main()
    others = [name for name in families.techniques() if name not in ("saliency", "texture")]
    assert made == [
        "load",
        "saliency",
        "load",
        "texture",
        "load",
        *sorted([*others, "texture"], key=list(TECHNIQUES).index),
    ]
    assert all(json.loads(line)["architecture"] == "test_vit" for line in results.read_text().splitlines())
    text = page.read_text()
    assert "| vision_transformer | test_vit |" in text
    assert "1. – No grid. (texture; test_vit)" in text
    assert "–[1]" in text
