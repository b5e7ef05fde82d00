"""What a technique promises to decline is declined, and what is hardly there is not."""

from __future__ import annotations

import io

import numpy as np
import pytest
import skimage.data
from PIL import Image
from torch import nn

import timmscope
from timmscope.techniques.gradients.saliency_segmentation import cut

from ..toys import Tiny
from .test_numbers import CAT
from .test_rounding import BLACK, EPSILON, GREY


@pytest.mark.case(23)
@pytest.mark.parametrize("kind", ["grey", "black", "white", "red", "one level", "noise", "jpeg"])
def test_a_photo_of_one_colour_is_not_cut(kind):
    random = np.random.default_rng(0)
    photo = Image.new("RGB", (400, 320), kind if kind in ("grey", "black", "white", "red") else (118, 121, 97))
    if kind == "one level":
        photo = Image.fromarray(np.asarray(photo) + random.integers(0, 2, (320, 400, 1), dtype=np.uint8))
    if kind in ("noise", "jpeg"):
        noisy = np.asarray(photo) + random.normal(0, 2, (320, 400, 3))
        photo = Image.fromarray(noisy.round().clip(0, 255).astype(np.uint8))
    if kind == "jpeg":
        photo.save(file := io.BytesIO(), "JPEG", quality=60)
        photo = Image.open(file)
    with pytest.raises(timmscope.Declined, match="photo is too uniform to tell object from background"):
        timmscope.run("saliency_segmentation", image=photo, samples=1)


@pytest.mark.case(23)
def test_an_object_that_is_hardly_there_is_cut():
    rows, columns = np.mgrid[:224, :224]
    disc = (rows - 112) ** 2 + (columns - 112) ** 2 < 50**2
    pixels = np.random.default_rng(0).normal(120 + 7 * disc[..., None], 1, (224, 224, 3)).round().astype(np.uint8)
    rough = np.exp(-((rows - 118) ** 2 + (columns - 106) ** 2) / (2 * 35**2))
    mask = cut(pixels, rough, 5, 0)
    assert (mask & disc).sum() / (mask | disc).sum() > 0.95
    shown = timmscope.run("saliency_segmentation", image=pixels, samples=1)  # it is not declined
    assert shown.arrays["mask"].any()


@pytest.mark.case(23)
def test_a_saliency_map_with_nothing_but_last_bits_is_not_cut():
    pixels = np.asarray(CAT.resize((120, 120)))
    noise = np.random.default_rng(0).integers(0, 4, (120, 120)).astype(np.float32)
    with pytest.raises(timmscope.Declined, match="map is too uniform"):
        cut(pixels, np.float32(0.3) * (1 + np.float32(EPSILON) * noise), 5, 0)


class Featureless(Tiny):
    """A network with a layer that is neither a grid nor one value a unit: seven vectors of eight."""

    def __init__(self):
        super().__init__()
        self.odd = nn.Linear(8, 8)

    def forward(self, x):
        return self.classifier(self.odd(self.act(self.conv(x))[:, :, :7].mean(3).transpose(1, 2)).mean(1))


class Classless(Tiny):
    """A network without classes."""

    def __init__(self):
        super().__init__()
        self.num_classes, self.num_features, self.classifier = 0, 8, nn.Identity()
        self.pretrained_cfg = self.pretrained_cfg | {"num_classes": 0}


class Gridless(nn.Module):
    """A network without a grid."""

    def __init__(self):
        super().__init__()
        self.num_classes, self.pretrained_cfg = 10, Tiny().pretrained_cfg
        self.fc, self.act, self.head = nn.Linear(3 * 32 * 32, 20), nn.ReLU(), nn.Linear(20, 10)

    def forward(self, x):
        return self.head(self.act(self.fc(x.flatten(1))))


class Linear(Tiny):
    """A network without activations."""

    def __init__(self):
        super().__init__()
        self.act = nn.Identity()


NETWORKS = {
    "blind": (Tiny, lambda values: 0 * values),
    "broken": (Tiny, lambda values: values * float("nan")),
    "featureless": (Featureless, lambda values: values),
    "classless": (Classless, lambda values: values),
    "gridless": (Gridless, lambda values: values),
    "linear": (Linear, lambda values: values),
}
ONE, TWO = {"image": CAT}, {"content": CAT, "style": skimage.data.coffee()}
SET = {"files": [CAT, skimage.data.coffee(), GREY, BLACK]}
SHORT = {"steps": 2}
ALONE = {"steps": 2, "second_model": ""}
PROMISES = [
    ("filters", {"model": "broken"}),
    ("filters", {"model": "blind", "layer": "classifier"}),
    ("activation_maps", {"model": "broken", **ONE}),
    ("activation_maps", {"model": "featureless", "layer": "odd", **ONE}),
    ("maximal_patches", {"model": "blind", "layer": "act", **SET}),
    ("maximal_patches", {"model": "broken", "layer": "act", **SET}),
    ("maximal_patches", {"model": "featureless", "layer": "odd", **SET}),
    ("unit_sheet", {"model": "blind", "layer": "act", **ONE, **SET, **SHORT}),
    ("unit_sheet", {"model": "broken", "layer": "act", **ONE, **SET, **SHORT}),
    ("unit_sheet", {"model": "featureless", "layer": "odd", **ONE, **SET, **SHORT}),
    ("nearest_neighbors", {"model": "broken", **ONE, **SET}),
    ("embedding_map", {"model": "broken", **SET}),
    ("embedding_map", {"model": "blind", **SET}),
    ("occlusion", {"model": "blind", "window": 16, "stride": 8, **ONE}),
    ("occlusion", {"model": "broken", "window": 16, "stride": 8, **ONE}),
    ("saliency", {"model": "blind", **ONE}),
    ("saliency", {"model": "broken", "samples": 2, **ONE}),
    ("saliency_segmentation", {"model": "blind", **ONE}),
    ("saliency_segmentation", {"image": GREY}),
    ("guided_backprop", {"model": "blind", **ONE}),
    ("guided_backprop", {"model": "linear", **ONE}),
    ("guided_backprop", {"model": "featureless", "layer": "odd", **ONE}),
    ("grad_cam", {"model": "blind", **ONE}),
    ("grad_cam", {"model": "broken", **ONE}),
    ("grad_cam", {"model": "gridless", **ONE}),
    ("grad_cam", {"model": "featureless", "layer": "odd", **ONE}),
    ("gradient_ascent", {"model": "blind", "target": 3, **ALONE}),
    ("gradient_ascent", {"model": "featureless", "layer": "odd", **ALONE}),
    ("fooling", {"model": "blind", "target": 3, **ONE, **ALONE}),
    ("fooling", {"model": "classless", "target": 3, **ONE, **ALONE}),
    ("deepdream", {"model": "blind", "layer": "act", "octaves": 1, **ONE, **SHORT}),
    ("deepdream", {"model": "featureless", "layer": "odd", "octaves": 1, **ONE, **SHORT}),
    ("feature_inversion", {"model": "featureless", "layers": "odd", **ONE, **SHORT}),
    ("texture", {"model": "featureless", "layers": "odd", **ONE, **SHORT}),
    ("style_transfer", {"model": "gridless", **TWO, **SHORT}),
]


@pytest.mark.case(23)
@pytest.mark.parametrize(("name", "inputs"), PROMISES, ids=lambda value: value if isinstance(value, str) else "")
def test_what_a_technique_promises_to_decline_is_declined(name, inputs, monkeypatch):
    for other, (build, change) in NETWORKS.items():

        def weights(build=build, change=change):
            return {key: change(values) for key, values in build().state_dict().items()}

        made = timmscope.ModelSource(other, weights, "test", build=build)
        monkeypatch.setitem(timmscope.plugins().model_sources, other, made)
    with pytest.raises(timmscope.Declined):
        timmscope.run(name, **inputs)


@pytest.mark.case(23)
def test_every_technique_that_promises_to_decline_is_tried():
    built_in = {name: found for name, found in timmscope.plugins().techniques.items() if name == found.plugin}
    promising = {name for name, found in built_in.items() if "Declined:" in found.function.__doc__}
    assert promising == {name for name, _ in PROMISES}
