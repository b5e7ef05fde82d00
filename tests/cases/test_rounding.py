"""What "the same" means in floating point: last bits make no difference, and one grey level does."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import timmscope
from timmscope import testing
from timmscope.registry.base import rounding
from timmscope.registry.models.loading import lend
from timmscope.techniques.activations.embedding_map import project
from timmscope.techniques.activations.nearest_neighbors import ranked
from timmscope.techniques.activations.occlusion import occlusion

from ..references import EMBEDDED, named, plain
from ..toys import Tiny, source
from .test_numbers import CAT, seen

GREY, BLACK = Image.new("RGB", (90, 70), "grey"), Image.new("RGB", (90, 70))
SMALL = (EMBEDDED, "test_vit", "test_convnext", "test_resnet")
MORE = [pytest.param(name, marks=pytest.mark.slow) for name in ("mobilenetv3_small_100", "test_efficientnet")]
METRICS = ("centred", "cosine", "euclidean")
EPSILON = 2.0**-23  # the distance of 1 to the next number in float32


def features(name: str, images: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return plain(name).forward_head(plain(name).forward_features(images), pre_logits=True)


@functools.cache
def computed_in_many_ways(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Features and logits of one photo in batches of several sizes and two memory layouts, [ways, d] each."""
    found = []
    for count, layout in (
        (1, "channels_last"),
        (3, "contiguous_format"),
        (4, "channels_last"),
        (8, "contiguous_format"),
    ):
        batch = seen(name).repeat(count, 1, 1, 1).contiguous(memory_format=getattr(torch, layout))
        with torch.no_grad():
            found.append((features(name, batch), plain(name)(batch)))
    first, second = zip(*found)
    return torch.cat(first).numpy(), torch.cat(second).numpy()


@pytest.mark.case(12)
@pytest.mark.case(13)
@pytest.mark.parametrize(
    ("name", "photo"),
    [
        *((name, CAT) for name in SMALL),
        *(pytest.param(*more.values, CAT, marks=pytest.mark.slow) for more in MORE),
        (EMBEDDED, GREY),
    ],
)
def test_copies_of_a_photo_are_at_distance_zero_and_make_no_map(name, photo):
    found = timmscope.run("nearest_neighbors", image=photo, files=[photo] * 5, fit=True, **named(name))
    assert [row[1:] for row in found["distances"]] == [[i, 0, i + 1, 0, i + 1] for i in range(5)]
    with pytest.raises(timmscope.Declined, match="All 5 photos have the same features"):
        timmscope.run("embedding_map", files=[photo] * 5, size=64, **named(name))


@pytest.mark.case(12)
@pytest.mark.parametrize("metric", METRICS)
def test_a_photo_of_the_set_finds_itself_at_exactly_zero_wherever_it_stands(metric):
    photos = testing.generated_photos(6)
    for i, photo in enumerate(photos):
        found = timmscope.run("nearest_neighbors", image=photo, files=photos, metric=metric, k=6, **named("test_vit"))
        first, *others = sorted(found["distances"], key=lambda row: row[3])
        assert (first[1], first[2], first[4]) == (i, 0, 0)
        assert min(row[2] for row in others) > 1e-4


@pytest.mark.case(12)
@pytest.mark.case(13)
@pytest.mark.parametrize("name", [*SMALL, *MORE])
def test_the_last_bits_of_other_batches_and_layouts_make_no_difference(name):
    found, _ = computed_in_many_ways(name)
    for metric in METRICS:
        assert not ranked(found[:1], found, metric)[0].any()
    with pytest.raises(timmscope.Declined, match="the same features"):
        project(found, "pca", 15, 0)


@pytest.mark.case(12)
@pytest.mark.case(13)
def test_one_grey_level_in_one_pixel_is_a_difference():
    photo = CAT.resize((224, 224))
    values = np.asarray(photo).copy()
    values[112, 112, 1] += 1
    nearly, whole = Image.fromarray(values), {"crop_pct": 1.0, "crop_mode": "squash"}
    apart = features(EMBEDDED, torch.cat([seen(EMBEDDED, each, **whole) for each in (photo, nearly)]))
    apart = float((apart[0] - apart[1]).norm())
    files = [photo, nearly, photo, photo]
    found = timmscope.run("nearest_neighbors", image=photo, files=files, metric="euclidean", fit=True)
    rows = sorted(found["distances"], key=lambda row: row[3])
    assert [row[1] for row in rows] == [0, 2, 3, 1]
    assert [row[2] for row in rows] == [0, 0, 0, pytest.approx(apart, rel=0.05)]
    x, y = timmscope.run("embedding_map", files=files, method="pca", size=64).arrays["points"].T
    assert abs(x[1] - x[0]) == pytest.approx(apart, rel=0.05)
    assert np.ptp(x[[0, 2, 3]]) < 1e-3 * apart
    assert not y.any()  # only rounding is left for the second axis


@pytest.mark.case(12)
def test_what_is_its_sets_mean_has_no_direction():
    a, b = np.array([[1, 2, 3.0]], np.float32), np.array([[3, 1, 7.0]], np.float32)
    distances, order = ranked((a + b) / 2 * np.float32(1 + EPSILON), np.concatenate([b, a]), "centred")
    assert distances.tolist() == [1, 1]
    assert order.tolist() == [0, 1]


@pytest.mark.case(14)
@pytest.mark.parametrize("name", [*SMALL, *MORE])
def test_a_cover_that_changes_nothing_is_declined(name):
    for photo, fill in ((BLACK, "black"), (GREY, "blur")):
        with pytest.raises(timmscope.Declined, match="says the same wherever the photo is covered"):
            timmscope.run("occlusion", image=photo, fill=fill, window=100, stride=62, **named(name))


@pytest.mark.case(14)
def test_where_a_cover_changes_nothing_the_drop_is_zero_and_elsewhere_it_is_not():
    half = np.asarray(CAT.resize((224, 224))).copy()
    half[:, :112] = 0
    drop = timmscope.run("occlusion", image=half, fit=True, fill="black", window=56, stride=56)
    drop = drop.arrays["drop_map"]
    assert not drop[:, :112].any()
    assert (drop[:, 112:] != 0).mean() > 0.5


@pytest.mark.case(14)
def test_a_probability_that_cannot_change_is_declined():
    class Certain(Tiny):
        def forward(self, x):
            return super().forward(x) + torch.tensor([200.0] + [0] * 9)

    certain = timmscope.ModelSource("certain", lambda: Certain().state_dict(), "test", build=Certain)
    with lend("certain", "random", {"certain": certain}) as model, pytest.raises(timmscope.Declined, match="stays 1"):
        list(occlusion(model, timmscope.PhotoInput(CAT), window=16, stride=8))


@pytest.mark.case(14)
@pytest.mark.parametrize("name", [*SMALL, *MORE])
def test_rounding_is_larger_than_what_batches_and_layouts_move_and_smaller_than_what_photos_do(name):
    _, logits = computed_in_many_ways(name)
    assert rounding.same(logits, logits[0]).all()
    with torch.no_grad():
        other = plain(name)(seen(name, Image.fromarray(np.asarray(CAT) // 2 * 2)))
    assert not rounding.same(logits, other).any()


def test_rounding_is_measured_against_what_entered_the_sums():
    values = np.float32(1000) + np.arange(3, dtype=np.float32) * np.float32(1e-4)
    assert rounding.constant(values)
    assert not rounding.constant(values - np.float32(1000))  # what the values were is lost
    assert rounding.constant(values - np.float32(1000), magnitude=1000)
    assert rounding.constant(np.zeros((2, 2)))
    assert rounding.same(torch.zeros(2, 3), np.zeros(3)).tolist() == [True, True]
    assert rounding.same([[1, 0], [1, 1e-7], [1, 1e-3]], [1, 0]).tolist() == [True, True, False]
    assert not rounding.constant([1, np.nan])


class Uneven(Tiny):
    """A layer that has the same value everywhere, but for its last bits."""

    def __init__(self):
        super().__init__()
        nn.init.zeros_(self.conv.weight)
        nn.init.constant_(self.conv.bias, 0.7)
        noise = torch.rand(1, 1, 16, 16, generator=torch.Generator().manual_seed(0))
        self.last_bits = nn.Parameter(1 + 4 * EPSILON * noise)

    def forward(self, x):
        return self.classifier(self.act(self.conv(x) * self.last_bits).mean((2, 3)))


@pytest.fixture
def uneven(monkeypatch):
    made = timmscope.ModelSource("uneven", lambda: Uneven().state_dict(), "test", build=Uneven)
    monkeypatch.setitem(timmscope.plugins().model_sources, "uneven", made)
    return {"image": CAT, "model": "uneven", "layer": "act"}


@pytest.mark.case(14)
def test_last_bits_are_not_drawn_in_full_contrast(uneven):
    maps = timmscope.run("activation_maps", **uneven)
    assert np.ptp(maps.arrays["maps"][0]) > 0  # the raw values are what they are
    for picture, _ in maps.pictures["maps"]:
        assert len(set(np.asarray(picture).ravel())) == 1
    with pytest.raises(timmscope.Declined, match="the same values at every place"):
        timmscope.run("grad_cam", **uneven)
    sheet = timmscope.run("unit_sheet", **uneven, files=testing.generated_photos(), steps=2)
    assert any(note.startswith("Left out, map: the unit gives 0.7") for note in sheet.notes)


@pytest.mark.case(14)
def test_the_choice_of_units_does_not_depend_on_the_scale_of_their_values(monkeypatch):
    chosen = []
    for name, factor in (("as it is", 1), ("small", 2.0**-20)):

        def weights(factor=factor):
            state = source().weights()
            return dict(state) | {key: state[key] * factor for key in ("conv.weight", "conv.bias")}

        made = timmscope.ModelSource(name, weights, "test", build=Tiny)
        monkeypatch.setitem(timmscope.plugins().model_sources, name, made)
        found = timmscope.run("maximal_patches", model=name, layer="conv", files=testing.generated_photos(9), limit=3)
        chosen.append(found["patches"].captions)
    first, second = ([caption.split(",")[0].split(":")[0] for caption in captions] for captions in chosen)
    assert first == second
