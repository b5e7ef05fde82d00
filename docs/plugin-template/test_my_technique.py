"""The plugin does what every plugin must, and what it says of itself."""

import numpy as np
import timmscope_my_technique
from timmscope_my_technique import my_technique

import timmscope


def test_it_passes_every_check():
    report = timmscope.testing.check(timmscope_my_technique)
    assert report.ok, report


def test_activity_is_even_where_the_photo_is_even():
    photo = np.full((160, 160, 3), 124, np.uint8)
    photo[:, 80:] = np.random.default_rng(0).integers(0, 255, (160, 80, 3))
    result = timmscope.run(my_technique, image=photo, layer="stem", model="test_convnext", weights="random")
    heatmap = result.arrays["heatmap"]
    assert heatmap[:, :60].std() < 1e-3 < heatmap[:, 100:].std()
