"""The embedded photo set: all there without a network, the same each time, and worth looking at."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from timmscope.registry.photo_sets.sources import resolve
from timmscope.techniques.embedded import embedded_photos


@pytest.fixture(scope="module")
def photos():
    return resolve("embedded")


def test_a_few_hundred_of_each_picture_as_many(photos):
    assert len(photos) == 252
    assert set(Counter(photos.labels).values()) == {14}
    assert [photo.name for photo in photos][:3] == ["chelsea", "chelsea, half 1-1", "chelsea, half 1-2"]


def test_every_one_is_a_photo_with_something_on_it(photos):
    found = dict(photos.decoded())
    assert photos.skipped == {}
    assert len(found) == len(photos)
    for index, picture in found.items():
        assert min(picture.size) >= 57, photos[index].name
        assert np.asarray(picture).std() > 3, photos[index].name


def test_the_crops_put_together_are_the_picture(photos):
    whole = np.asarray(photos.photo(0).picture)
    for parts, first in ((2, 1), (3, 5)):
        rows = [
            np.hstack([np.asarray(photos.photo(first + parts * row + column).picture) for column in range(parts)])
            for row in range(parts)
        ]
        np.testing.assert_array_equal(np.vstack(rows), whole)


def test_listed_again_it_is_the_same_set(photos):
    embedded_photos.photos.cache_clear()
    assert resolve("embedded").identity == photos.identity


def test_a_package_that_is_not_there_leaves_the_rest(monkeypatch):
    monkeypatch.setitem(embedded_photos.PICTURES, "coins", ("no_such_package", "coins.png"))
    left = embedded_photos.photos.__wrapped__()
    assert len(left) == 238
    assert "coins" not in {photo.label for photo in left}
