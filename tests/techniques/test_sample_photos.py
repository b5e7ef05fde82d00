"""The sample photos: all there without a network, and decodable."""

from __future__ import annotations

import pytest

import timmscope
from timmscope.registry.photos.decoding import decode
from timmscope.registry.plugins.discovery import plugins

SAMPLES = plugins().samples


def test_the_cat_comes_first():
    assert next(iter(SAMPLES)) == "chelsea"


@pytest.mark.parametrize("name", SAMPLES)
def test_every_sample_is_a_photo(name):
    assert min(decode(SAMPLES[name].load()).size) > 200
    assert decode(SAMPLES[name].load()).mode == "RGB"


@pytest.mark.parametrize(
    ("sample", "labels"), [("chelsea", {"tabby", "tiger cat", "Egyptian cat"}), ("coffee", {"espresso"})]
)
def test_the_embedded_network_knows_them(sample, labels):
    (best,) = timmscope.run("saliency", image=f"sample:{sample}")["scores"].top(1)
    assert best in labels
