"""Fooling: the network says the target, and the bound holds on the PNG."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from PIL import Image

import timmscope

from ..references import CHELSEA, EMBEDDED


@functools.cache
def fooled_as_koala(norm: str, epsilon: float) -> timmscope.Result:
    return timmscope.run("fooling", image=CHELSEA, target="koala", norm=norm, epsilon=epsilon)


@pytest.mark.case(39)
@pytest.mark.parametrize(
    ("norm", "epsilon"), [("linf", 2), pytest.param("linf", 3.5, marks=pytest.mark.slow), ("l2", 2)]
)
def test_the_bound_holds_on_the_png_and_the_network_is_fooled(norm, epsilon, tmp_path):
    result = fooled_as_koala(norm, epsilon)
    result.save(tmp_path)
    fooled, original = (np.asarray(Image.open(tmp_path / f"{name}.png"), float) for name in ("fooled", "original"))
    change = fooled - original
    size = np.abs(change).max() if norm == "linf" else np.linalg.norm(change / 255)
    assert 0 < size <= epsilon + 1e-5
    with timmscope.lend(EMBEDDED) as model:
        scores = model.score_photo(Image.open(tmp_path / "fooled.png"), fit=True)  # exactly the network's input
    assert model.labels[int(scores.values.argmax())] == "koala"
    assert np.allclose(scores.values, result["scores"].values, atol=1e-3)
    shown = np.asarray(Image.open(tmp_path / "difference_10x.png"), float) - 127.5
    assert np.allclose(shown, (10 * change).clip(-127.5, 127.5), atol=1)


def test_the_table_tells_before_and_after_and_the_second_model():
    result = fooled_as_koala("linf", 2)  # as by default
    declared = {parameter.name: parameter.default for parameter in timmscope.plugins().technique("fooling").parameters}
    assert (declared["norm"], declared["epsilon"]) == ("linf", 2)
    rows = {row[0]: row[1:] for row in result["opinions"]}
    before, exact, rounded, second = rows["koala"]
    assert before < 0.01
    assert min(exact, rounded) > 0.5
    assert second < 0.1
    assert rows["tiger cat"][0] > 0.2


def test_without_a_target_it_is_the_second_best_class():
    result = timmscope.run("fooling", image=CHELSEA)
    assert result["scores"].target == int(result["scores"].values.argmax())


def test_a_bound_below_one_level_is_refused():
    with pytest.raises(timmscope.InvalidInput, match="at least 1 grey level"):
        timmscope.run("fooling", image=CHELSEA, target=3, epsilon=0.5)


def test_photos_without_content_are_taken():
    for picture in (np.zeros((5, 9, 3), np.uint8), np.full((1, 1, 3), 200, np.uint8)):
        result = timmscope.run("fooling", image=picture, target=3, steps=2)
        assert np.abs(result["fooled"].astype(int) - result["original"]).max() <= 2
