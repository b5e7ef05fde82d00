"""The embedding map: scikit-learn's projections, the same bits for a seed, and sensible pictures of tiny sets."""

from __future__ import annotations

import json
import zipfile

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE

import timmscope
from timmscope import testing
from timmscope.registry.pictures.render import label_colors
from timmscope.techniques.activations import embedding_map as module
from timmscope.techniques.activations.embedding_map import project, start

MODEL = "test_convnext"
PHOTOS = testing.generated_photos(7)


def clusters(count: int = 12) -> tuple[np.ndarray, np.ndarray]:
    """Features in three groups by direction, and the group of each."""
    random = np.random.default_rng(1)
    groups = np.arange(3 * count) % 3
    return (random.normal(size=(3, 40))[groups] * 4 + random.normal(size=(3 * count, 40))).astype(np.float32), groups


def run(photos=PHOTOS, **inputs):
    return timmscope.run("embedding_map", files=list(photos), model=MODEL, weights="random", size=64, **inputs)


def test_the_pca_plane_equals_scikit_learn_and_says_how_much_it_shows():
    features, _ = clusters()
    positions, (note,) = project(features, "pca", 15, 0)
    reference = PCA(2).fit(features.astype(np.float64))
    expected = reference.transform(features)
    signs = np.sign((positions * expected).sum(0))
    assert np.allclose(positions, expected * signs, atol=1e-3)
    assert f"shows {reference.explained_variance_ratio_.sum():.0%} of the variance" in note


def test_the_t_sne_plane_equals_scikit_learn_and_keeps_groups_together():
    features, groups = clusters()
    positions, notes = project(features, "tsne", 6, 3)
    begin, plane = start(features, 3), PCA(2, svd_solver="full").fit_transform(features)
    assert np.allclose(begin, 1e-4 * plane / plane[:, 0].std(), atol=6e-5)
    again = TSNE(metric="cosine", init=begin, perplexity=6).fit_transform(features - features.mean(0))
    assert np.allclose(positions, again, atol=0.05 * np.abs(again).max())
    distances = np.linalg.norm(positions[:, None] - positions[None], axis=2) + np.eye(len(positions)) * 1e9
    assert (groups[distances.argmin(1)] == groups).all()
    assert notes == []


def test_the_same_seed_gives_the_same_bits_and_another_one_another_map():
    features, _ = clusters()
    first, again, other = (project(features, "tsne", 8, seed)[0] for seed in (5, 5, 6))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_a_perplexity_too_large_for_the_set_is_limited_and_said_so():
    features, _ = clusters(4)
    positions, (note,) = project(features, "tsne", 50, 0)
    assert np.array_equal(positions, project(features, "tsne", 11 / 3, 0)[0])
    assert "50 is too large for 12 photos" in note


@pytest.mark.parametrize("layout", ["scatter", "grid"])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_tiny_sets_give_a_picture_and_a_word(count, layout):
    result = run(PHOTOS[:count], layout=layout)
    assert result.arrays["points"].shape == (count, 2)
    assert testing.blanks(result) == []
    assert any("no neighbours" in note if count == 1 else "needs at least 5" in note for note in result.notes)


def test_photos_that_are_all_the_same_are_declined():
    with pytest.raises(timmscope.Declined, match="All 3 photos have the same features"):
        run([PHOTOS[0]] * 3)


def test_labels_names_and_the_photos_themselves_stay_together(tmp_path):
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        for i, photo in enumerate(PHOTOS):
            archive.writestr(f"{'even' if i % 2 == 0 else 'odd'}/{i}.png", b"no photo" if i == 3 else photo)
    result = run([tmp_path / "set.zip"], method="pca")
    placed = result["points"]
    assert placed.names == [f"{'even' if i % 2 == 0 else 'odd'}/{i}.png" for i in (0, 1, 2, 4, 5, 6)]
    assert placed.labels == ["even", "odd", "even", "even", "odd", "even"]
    alone = run([PHOTOS[i] for i in (0, 1, 2, 4, 5, 6)], method="pca")
    assert np.array_equal(placed.pictures, alone["points"].pictures)
    assert np.array_equal(placed.positions, alone["points"].positions)
    assert any("3.png" in note for note in result.notes)
    (file,) = (file for file in result.save(tmp_path / "out") if file.name == "points.json")
    records = json.loads(file.read_text())
    assert [record["name"] for record in records] == placed.names
    assert np.allclose([[record["x"], record["y"]] for record in records], placed.positions)
    assert np.array_equal(result.arrays["points"], np.asarray(placed.positions, np.float32))


def test_of_a_large_set_an_evenly_spaced_part_is_shown(monkeypatch):
    monkeypatch.setattr(module, "MOST", 3)
    result = run(method="pca")
    assert result["points"].names == ["photo 1", "photo 4", "photo 7"]
    assert "3 of 7 photos, evenly spaced." in result.notes


def test_too_many_labels_have_no_colours_and_the_frequent_ones_the_strongest():
    assert label_colors([str(i) for i in range(21)]) == {}
    assert "21 labels" in module.many_labels([str(i) for i in range(21)])
    colors = label_colors(["rare", "often", "often", ""])
    assert list(colors) == ["often", "rare"]
    assert len(set(label_colors([str(i) for i in range(20)]).values())) == 20
    assert module.many_labels(["", ""]) == ""


def test_the_map_is_as_large_as_asked_and_its_array_small_enough_to_download():
    result = timmscope.run("embedding_map", files=PHOTOS * 4, model=MODEL, weights="random", size=1_400, layout="grid")
    (picture, _), *_ = result.pictures["map"]
    assert 1_300 < max(picture.size) <= 1_400
    assert max(result.arrays["map"].shape) == module.RAW
