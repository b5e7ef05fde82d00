"""Style transfer: both losses fall, weights shift the balance."""

from __future__ import annotations

import numpy as np
import pytest

import timmscope

from ..references import CHELSEA, EMBEDDED

TINY = {"model": "test_convnext", "weights": "random", "size": 64, "steps": 6}


def test_the_style_comes_near_and_the_weight_holds_the_content():
    runs = [
        timmscope.run(
            "style_transfer",
            model=EMBEDDED,
            content=CHELSEA,
            style="sample:tissue",
            size=96,
            steps=24,
            content_weight=weight,
        )
        for weight in (0.003, 0.3)
    ]
    assert runs[0]["image"].shape == (64, 96, 3)
    for run in runs:
        assert run["losses"]["style"][-1] < 0.5 * run["losses"]["style"][0]
    strong, weak = ({name: run["losses"][name][-1] for name in ("content", "style")} for run in runs)
    assert weak["content"] / 0.3 < strong["content"] / 0.003
    assert strong["style"] < weak["style"]


@pytest.mark.parametrize("start", ["content", "noise"])
def test_content_equal_to_style_gives_a_picture(start):
    result = timmscope.run("style_transfer", content=CHELSEA, style=CHELSEA, start=start, **TINY)
    assert np.isfinite(result.arrays["losses"]).all()
    if start == "content":
        photo = timmscope.run("deepdream", image=CHELSEA, **TINY | {"octaves": 1, "steps": 1})["animation"][0]
        assert np.abs(result["image"].astype(float) - photo).mean() < 3


@pytest.mark.parametrize("model", ["test_vit", "test_resnet"])
def test_other_networks(model):
    assert timmscope.run("style_transfer", content=CHELSEA, style="sample:grass", **TINY | {"model": model})


def test_photos_without_content_are_taken():
    black, dot = np.zeros((30, 50, 3), np.uint8), np.full((1, 1, 3), 9, np.uint8)
    for content, style in ((black, CHELSEA), (CHELSEA, black), (dot, dot)):
        result = timmscope.run("style_transfer", content=content, style=style, **TINY)
        assert np.isfinite(result.arrays["losses"]).all()


def test_nothing_to_do_is_refused():
    with pytest.raises(timmscope.InvalidInput, match="style_weight: got 0"):
        timmscope.run("style_transfer", content=CHELSEA, style=CHELSEA, content_weight=0, style_weight=0, **TINY)
