"""Error texts: what was given is shown shortened, names get their close matches."""

from __future__ import annotations

import numpy as np
import pytest

from timmscope.registry.base.errors import (
    SHOWN_LENGTH,
    InvalidInput,
    MissingExtra,
    TimmscopeError,
    did_you_mean,
    excerpt,
)


class Unprintable:
    def __repr__(self):
        raise RuntimeError("no")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("cat", "'cat'"),
        (None, "None"),
        (float("nan"), "nan"),
        pytest.param("x" * 5_000_000, f"'{'x' * SHOWN_LENGTH}'... (5,000,000 characters)", id="long"),
        pytest.param(10**5000, "int", id="too many digits"),
        (Unprintable(), "Unprintable"),
        ("a\nb\x00", r"'a\nb\x00'"),
    ],
)
def test_shown(value, text):
    assert excerpt(value) == text


@pytest.mark.parametrize("value", [np.eye(3), list(range(1000)), "\n" * 300, {"key": "x" * 300}, b"\x00" * 300])
def test_shown_is_one_short_line(value):
    text = excerpt(value)
    assert len(text) < 3 * SHOWN_LENGTH
    assert "\n" not in text


def test_invalid_input_says_what_was_given_what_is_expected_and_what_to_do():
    error = InvalidInput("steps", True, "a whole number from 1 to 9", "Use 5.")
    assert str(error) == "steps: got True, expected a whole number from 1 to 9. Use 5."
    assert isinstance(error, TimmscopeError)


def test_missing_extra_names_the_command():
    assert "pip install 'timmscope[app]'" in str(MissingExtra("torch"))


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("resnet5O", "Did you mean resnet50, resnet18?"),
        ("RESNET18", "Did you mean resnet18, resnet50?"),
        ("tiny", "Did you mean vit_tiny_patch16_224?"),  # a word of it
        ("vit tiny", "Did you mean vit_tiny_patch16_224?"),
        ("ResNet-50", "Did you mean resnet50, resnet18?"),  # the letters count, not what parts them
        ("res", "Did you mean resnet50, resnet18?"),  # begins with
        ("net18", "Did you mean resnet18?"),  # contained in
        ("zzz", ""),
        ("", ""),
        pytest.param("x" * 1_000_000, "", id="long"),
    ],
)
def test_did_you_mean(word, expected):
    assert did_you_mean(word, ["resnet50", "resnet18", "vgg11", "vit_tiny_patch16_224"]) == expected


def test_names_with_the_word_come_before_those_that_are_spelled_alike():
    names = ["cart", "crate", "castle", "hot dog", "catamaran", "cat bear", "Maltese dog", "tiger cat", "polecat"]
    assert did_you_mean("cats", names) == "Did you mean tiger cat, cat bear, catamaran, polecat, cart?"
    assert did_you_mean("wild cat", names, count=2) == "Did you mean tiger cat, cat bear?"
    assert did_you_mean("cat", names, meant=lambda name: "cat" in name.split()) == "Did you mean tiger cat, catamaran?"
