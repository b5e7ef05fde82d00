"""Class names: found by index, label or synonym; unknown ones answered with close matches."""

from __future__ import annotations

import pytest

from registry.labels import labels_for
from timmscope import InvalidInput

IMAGENET = labels_for(1000, 1000)


@pytest.mark.parametrize(
    ("text", "index"),
    [
        ("0", 0),
        ("999", 999),
        (" 281 ", 281),
        ("tabby", 281),
        ("TABBY", 281),
        ("tabby cat", 281),  # a synonym
        ("tabby, tabby cat", 281),  # all of them
        ("tiger cat", 282),
        ("crane", 134),  # the bird is the first of two
        ("crane (517)", 517),
    ],
)
def test_found(text, index):
    assert IMAGENET.find(text) == index


def test_every_short_label_finds_its_own_class():
    assert [IMAGENET.find(IMAGENET[i]) for i in range(1000)] == list(range(1000))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1000", "target: got 1000, expected a class index from 0 to 999"),
        ("-1", "target: got -1, expected a class index from 0 to 999"),
        ("--5", "target: got '--5', expected a label of the model or an index from 0 to 999"),
        ("9" * 200, "expected a class index from 0 to 999"),
        ("tabbi", "target: got 'tabbi', expected a label of the model .* Did you mean tabby"),
        ("retriever", "Did you mean .* retriever"),
        ("²", "target: got '²'"),
        ("٣", "target: got '٣'"),
        ("", "target: got ''"),
    ],
)
def test_refused(text, message):
    with pytest.raises(InvalidInput, match=message):
        IMAGENET.find(text)


def test_other_networks_count():
    assert labels_for(7, 7)[6] == "class 6"
    assert labels_for(7, 7).find("class 6") == 6
    assert labels_for(0, 192)[3] == "feature 3"
    assert len(labels_for(0, 192)) == 192
    assert len(labels_for(21841, 21841)) == 21841
