"""Nearest neighbours: equal to scikit-learn on what timm alone computes, and sensible at the edges."""

from __future__ import annotations

import io

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from sklearn.metrics import pairwise_distances
from timm.data import create_transform, resolve_data_config

import timmscope
from timmscope import testing
from timmscope.registry.photo_sets.index import SMALL_SIDE

MODEL = "test_resnet"
PHOTOS = testing.generated_photos(7)


def run(image=PHOTOS[2], photos=PHOTOS, model=MODEL, **inputs):
    return timmscope.run("nearest_neighbors", image=image, files=list(photos), model=model, weights="random", **inputs)


def reference(image):
    """Features and reduced pixels of a photo, with timm alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = timm.create_model(MODEL).eval()
    config = resolve_data_config(pretrained_cfg=model.pretrained_cfg)
    transform = create_transform(**config, is_training=False)
    seen = transform(Image.open(io.BytesIO(image)).convert("RGB"))
    with torch.no_grad():
        features = model.forward_head(model.forward_features(seen[None]), pre_logits=True)[0]
    mean, std = (torch.tensor(config[key]).view(3, 1, 1) for key in ("mean", "std"))
    block = seen.shape[1] // SMALL_SIDE
    pixels = (seen * std + mean).view(3, SMALL_SIDE, block, SMALL_SIDE, block).mean((2, 4))
    return features.numpy(), pixels.numpy().ravel()


@pytest.mark.case(38)
@pytest.mark.parametrize("metric", ["centred", "cosine", "euclidean"])
def test_distances_and_ranks_equal_scikit_learn_on_what_timm_computes(metric):
    vectors = [np.stack(part) for part in zip(*map(reference, PHOTOS))]
    rows = run(metric=metric, k=len(PHOTOS))["distances"]
    assert sorted(row[1] for row in rows) == list(range(len(PHOTOS)))
    for column, space, tolerance in ((2, vectors[0], 2e-4), (4, vectors[1], 5e-3)):  # pixels are kept as 8 bits
        if metric == "centred":
            expected = pairwise_distances((space - space.mean(0))[2:3], space - space.mean(0), "cosine")[0]
        else:
            expected = pairwise_distances(space[2:3], space, metric)[0]
        found = {row[1]: row[column] for row in rows}
        assert np.allclose([found[i] for i in range(len(PHOTOS))], expected, atol=tolerance * expected.max())
        ranks = {row[1]: row[column + 1] for row in rows}
        assert sorted(ranks, key=ranks.get) == np.argsort(expected).tolist()


@pytest.mark.case(12)
def test_a_photo_of_the_set_finds_itself_at_distance_zero_in_both_spaces():
    result = run(k=3)
    first = result["distances"][0]
    assert first[1] == 2
    assert (first[2], first[4]) == (0, 0)
    assert (first[3], first[5]) == (1, 1)
    for name in ("feature_neighbors", "pixel_neighbors"):
        shown = result.arrays[name]
        assert len(shown) == 1 + 3
        assert np.array_equal(shown[0], shown[1])
        assert not np.array_equal(shown[1], shown[2])
        assert result[name].captions[1] == "0.00  photo 3"


def test_the_pictures_are_those_of_the_table_in_its_order():
    result = run(k=4)
    rows = result["distances"]
    for name, rank, distance in (("feature_neighbors", 3, 2), ("pixel_neighbors", 5, 4)):
        nearest = sorted((row for row in rows if row[rank] <= 4), key=lambda row: row[rank])
        assert result[name].captions[1:] == [f"{row[distance]:.2f}  {row[0]}" for row in nearest]
    assert {row[1] for row in rows if row[3] > 4} == {row[1] for row in rows if row[5] <= 4 and row[3] > 4}


@pytest.mark.parametrize("count", [1, 3])
def test_more_neighbours_than_photos_are_limited_and_said_so(count):
    result = run(photos=PHOTOS[:count], k=8)
    assert len(result.arrays["feature_neighbors"]) == 1 + count
    assert any(f"only {count}" in note for note in result.notes)
    assert not any("only" in note for note in run(k=len(PHOTOS)).notes)


def test_the_switch_fit_holds_for_the_set_too():
    wide = Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 120, 3), dtype=np.uint8))
    result = run(image=wide, photos=[*PHOTOS[:2], wide], fit=True, k=1)
    assert result["distances"][0][1] == 2
    assert result["distances"][0][2] == pytest.approx(0, abs=1e-5)


def test_nothing_in_the_set_can_be_decoded():
    with pytest.raises(timmscope.InvalidInput, match="none of them a photo"):
        run(photos=[b"no photo", b"none either"])


@pytest.mark.parametrize("technique", ["nearest_neighbors", "embedding_map"])
@pytest.mark.parametrize(
    "model",
    [
        "test_vit",
        "test_mambaout",
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("gmlp_ti16_224", "eva02_tiny_patch14_224")),  # large
    ],
)
def test_every_kind_of_network_gives_something_to_see(technique, model):
    declared = timmscope.plugins().techniques[technique]
    result = timmscope.run(technique, **testing.smallest(declared, PHOTOS[0], model, PHOTOS[:5]))
    assert testing.blanks(result) == []
    if technique == "nearest_neighbors":
        assert result["distances"][0][1] == 0
    else:
        assert len(np.unique(result.arrays["points"], axis=0)) == 5
