"""Maximal patches: the ranking against brute force, crops that follow what excites the unit, and what has no answer."""

from __future__ import annotations

import numpy as np
import pytest
import skimage.data
import torch
from PIL import Image

import timmscope
from timmscope import SetPhoto, testing
from timmscope.registry.photo_sets.sources import uploaded
from timmscope.registry.photos.decoding import PhotoInput
from timmscope.techniques.shared.patches import Patch, Ranks, cut, cut_all, indexed, window

BLACK = Image.new("RGB", (240, 160))
SPOT = (250, 220, 30)


def spotted(x: int, y: int, size: tuple[int, int] = (320, 240)) -> Image.Image:
    """A photo of grey noise with one yellow disc, its centre at (x, y)."""
    random = np.random.default_rng(abs(x * 1000 + y))
    pixels = random.normal(110, 6, (size[1], size[0], 1)).repeat(3, 2)
    rows, columns = np.mgrid[: size[1], : size[0]]
    pixels[(rows - y) ** 2 + (columns - x) ** 2 < 14**2] = SPOT
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def spot_in(picture: np.ndarray) -> tuple[float, float]:
    """Where the disc's centre is in a patch, (x, y) as shares of its sides."""
    yellow = (picture[..., 0].astype(int) - picture[..., 2]) > 80
    assert yellow.any(), "the patch does not show the disc"
    y, x = np.nonzero(yellow)
    return float(x.mean()) / picture.shape[1], float(y.mean()) / picture.shape[0]


def ranks_of(model, photos, layer):
    steps = indexed(model, photos, layer)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return Ranks(model, photos, layer, end.value)


def table(result) -> list[list]:
    return result["ranking"]


def test_a_patch_follows_what_excites_the_unit():
    """The unit that likes the disc best finds it wherever it is, in the middle of the patch."""
    places = [(110, 90), (200, 90), (160, 120), (120, 160), (210, 150)]
    photos = [spotted(*place) for place in places]
    with timmscope.lend("tf_efficientnet_lite0") as model, torch.no_grad():
        reader = timmscope.LayerReader(model, ["blocks.2"])
        with_spot, without = (
            reader(model.see(PhotoInput(photo)).input)["blocks.2"][0, :, 1:-1, 1:-1].amax((1, 2))
            for photo in (photos[2], spotted(-50, -50))
        )
        unit = int((with_spot - without).argmax())
    result = timmscope.run("maximal_patches", files=photos, layer="blocks.2", units=[unit], field="effective")
    assert sorted(row[3] for row in table(result)) == list(range(len(places)))
    for patch in result["patches"].items:
        x, y = spot_in(patch)
        assert abs(x - 0.5) < 0.3
        assert abs(y - 0.5) < 0.3


@pytest.mark.parametrize("name", ["test_resnet", "tf_efficientnet_lite0"])
def test_the_centre_of_a_patch_maps_to_the_cell(name):
    """Squares drawn in the photo where the cells' fields are centred come out in the middle of the patches."""
    with timmscope.lend(name, "random") as model:
        layer = {"test_resnet": "layer2", "tf_efficientnet_lite0": "blocks.2"}[name]
        field, grid = window(model, layer, "effective"), model.grid(layer)
        for size in ((640, 400), (300, 500)):
            for row, column in ((grid.height // 2, grid.width // 2), (grid.height // 2 + 2, grid.width // 2 - 2)):
                photo = PhotoInput(Image.new("RGB", size))
                left, top, right, _ = model.region(photo)
                scale = (right - left) / model.size[1]
                x = left + (field.offset[1] + column * field.stride[1]) * scale
                y = top + (field.offset[0] + row * field.stride[0]) * scale
                photo.picture.paste(SPOT, (round(x) - 3, round(y) - 3, round(x) + 3, round(y) + 3))
                where = spot_in(np.asarray(cut(model, photo, field, row, column)))
                assert where == pytest.approx((0.5, 0.5), abs=0.05)


def test_a_patch_at_the_border_is_moved_inside_and_not_padded():
    white = PhotoInput(Image.new("RGB", (300, 200), "white"))
    with timmscope.lend("test_resnet", "random") as model:
        layer = "layer2"
        field, grid = window(model, layer), model.grid(layer)
        corners = [cut(model, white, field, r, c) for r in (0, grid.height - 1) for c in (0, grid.width - 1)]
    assert all(np.asarray(corner).min() == 255 for corner in corners)
    assert len({corner.size for corner in corners}) == 1


def test_the_ranking_is_that_of_brute_force_and_one_patch_a_photo():
    files = testing.generated_photos(9)
    result = timmscope.run(
        "maximal_patches",
        files=files,
        model="test_resnet",
        weights="random",
        layer="layer1",
        units="3; 0; 5",
        per_unit=4,
    )
    with timmscope.lend("test_resnet", "random") as model:
        reader = timmscope.LayerReader(model, ["layer1"], before_activation=True)
        photos = uploaded(files)
        with torch.no_grad():
            maps = [reader(model.see(photos.photo(i)).input)["layer1"][0].numpy() for i in range(9)]
        grid = model.grid("layer1")
    expected = []
    for unit in (3, 0, 5):
        found = []
        for i, values in enumerate(maps):
            cells = [
                (float(values[unit, row, column]), row, column)
                for row in range(1, grid.height - 1)
                for column in range(1, grid.width - 1)
            ]
            value, row, column = max(cells, key=lambda cell: cell[0])
            found.append((i, row, column, value))
        expected += [(unit, rank, *one) for rank, one in enumerate(sorted(found, key=lambda f: -f[3])[:4], 1)]
    rows = [tuple(row[1:]) for row in table(result)]
    assert [row[:5] for row in rows] == [row[:5] for row in expected]
    assert [row[5] for row in rows] == pytest.approx([row[5] for row in expected], rel=1e-4)
    assert result.arrays["ranking"].shape == (12, 6)
    assert result.arrays["patches"].shape == (12, 128, 128, 3)
    for unit in (3, 0, 5):
        shown = [row[2] for row in rows if row[0] == unit]
        assert len(set(shown)) == len(shown)


def test_of_the_parts_of_one_picture_only_the_best_is_shown():
    cat = Image.fromarray(skimage.data.chelsea())
    parts = [cat.crop((x, 0, x + 300, 300)) for x in (0, 50, 100)]
    items = [
        SetPhoto(f"part {i}", lambda part=part: part, version=str(i), source="cat") for i, part in enumerate(parts)
    ]
    others = [SetPhoto(f"wave {i}", lambda f=f: f, version=f"w{i}") for i, f in enumerate(testing.generated_photos(3))]
    photos = uploaded([*items, *others])
    with timmscope.lend("test_resnet", "random") as model:
        ranks = ranks_of(model, photos, "layer1")
        best = ranks.best(2, 8)
        values = ranks.index.values[:, 2]
    assert len(best) == 4
    assert [patch.value for patch in best] == sorted((patch.value for patch in best), reverse=True)
    (part,) = [patch for patch in best if patch.name.startswith("part")]
    assert part.value == values[:3].max()
    assert any("parts of 4 pictures" in note for note in ranks.notes([], best))


def test_the_embedded_set_gives_one_patch_a_picture():
    sources = [photo.source for photo in timmscope.plugins().photo_sets["embedded"].photos()]
    assert len(sources) > 100
    assert 10 < len(set(sources)) < 30
    assert all(sources)


def test_units_are_chosen_by_how_much_their_best_photos_stand_out():
    class Photos(list):
        pass

    random = np.random.default_rng(0)
    values = random.normal(0, 1, (40, 6)).astype(np.float32)
    values[:4, 2] += 20  # four photos stand out
    values[:4, 4] += 18  # the same four: the same thing again
    values[10:14, 5] += 9
    index = timmscope.Index(
        [str(i) for i in range(40)], [""] * 40, np.arange(40), values, np.zeros((40, 6, 2), np.int16), (1, 1)
    )
    photos = Photos(SetPhoto(str(i), lambda: None) for i in range(40))
    with timmscope.lend("test_resnet", "random") as model:
        ranks = Ranks(model, photos, "layer1", index)
    ranks.rectified = False
    chosen, silent = ranks.choose([], 4, 2)
    assert chosen == [2, 5]
    assert silent == []


def test_a_unit_that_never_fires_is_left_out_and_named():
    given = {"files": testing.generated_photos(3), "model": "tf_efficientnet_lite0", "layer": "blocks.1.0.bn1"}
    with timmscope.lend("tf_efficientnet_lite0") as model:
        ranks = ranks_of(model, uploaded(given["files"]), given["layer"])
        silent = np.flatnonzero(ranks.tops.max(0) <= 0).tolist()
        firing = int(ranks.tops.max(0).argmax())
    assert ranks.rectified
    assert silent, "this layer has units that stay silent on these photos"
    result = timmscope.run("maximal_patches", **given, units=[silent[0], firing])
    assert {row[1] for row in table(result)} == {firing}
    assert any(f"Never fire on these photos, left out: 1 units, {silent[0]}." in note for note in result.notes)
    with pytest.raises(timmscope.Declined, match=f"None of the units {silent[0]} .* fires"):
        timmscope.run("maximal_patches", **given, units=[silent[0]])
    chosen = timmscope.run("maximal_patches", **given, limit=3)
    assert not {row[1] for row in table(chosen)} & set(silent)


FAMILIES = {
    "resnet10t": "theoretical",
    "test_efficientnet": "receptive",
    "test_convnext": "receptive",
    "test_vit": "token",
    "test_resnet": "receptive",
}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name == "test_efficientnet" else ()) for name in FAMILIES]
)
def test_families_show_patches_by_themselves(name):
    result = timmscope.run(
        "maximal_patches", model=name, weights="random", files=testing.generated_photos(4), limit=2, per_unit=3
    )
    assert testing.blanks(result) == []
    assert len(result.pictures["patches"]) == 6
    assert any("two thirds of the depth" in note for note in result.notes)
    assert any(FAMILIES[name] in note for note in result.notes if note.startswith("A patch is"))


def test_a_token_is_shown_with_its_neighbours():
    """Of a photo with one square a token, the middle of the patch is the token's square."""
    with timmscope.lend("test_vit", "random") as model:
        field = window(model, "blocks.3")
        grid = model.grid("blocks.3")
        side = model.size[0] // grid.height
        random = np.random.default_rng(0)
        colors = random.integers(0, 256, (grid.height, grid.width, 3)).astype(np.uint8)
        photo = PhotoInput(Image.fromarray(colors.repeat(side, 0).repeat(side, 1)), fit=True)
        patch = np.asarray(cut(model, photo, field, 4, 6)).astype(int)
    third = len(patch) // 3
    middle = patch[third + 8 : 2 * third - 8, third + 8 : 2 * third - 8].reshape(-1, 3).mean(0)
    assert np.abs(middle - colors[4, 6]).max() < 6
    corner = patch[8 : third - 8, 8 : third - 8].reshape(-1, 3).mean(0)
    assert np.abs(corner - colors[3, 5]).max() < 6


def test_a_layer_without_a_grid_shows_whole_photos():
    result = timmscope.run(
        "maximal_patches",
        model="test_resnet",
        weights="random",
        layer="fc",
        units=[7],
        files=testing.generated_photos(3),
    )
    assert len(table(result)) == 3
    assert all(row[4:6] == [0, 0] for row in table(result))
    assert any("160 x 160 of the 160 x 160" in note for note in result.notes)


@pytest.mark.parametrize("photos", [[spotted(160, 120)], [BLACK], [BLACK, BLACK, BLACK]])
def test_a_set_of_one_and_black_photos_work_and_more_patches_than_photos_are_fewer(photos):
    result = timmscope.run("maximal_patches", model="test_resnet", weights="random", files=photos, limit=3, per_unit=32)
    assert len(table(result)) == 3 * len(photos)
    assert np.isfinite(result.arrays["ranking"]).all()


def test_a_damaged_photo_is_left_out_and_the_numbers_stay_those_of_the_set():
    files = testing.generated_photos(3)
    result = timmscope.run(
        "maximal_patches", model="test_resnet", weights="random", files=[files[0], b"no photo", *files[1:]], limit=1
    )
    assert {row[3] for row in table(result)} == {0, 2, 3}
    assert any("no photos: 1 of 4" in note for note in result.notes)


def test_a_wide_photo_is_cut_at_full_resolution():
    """Stripes of one pixel, which the network's own 160 pixels cannot show, are there in the patch."""
    stripes = np.zeros((1600, 1600, 3), np.uint8)
    stripes[:, ::8] = stripes[:, 1::8] = stripes[:, 2::8] = stripes[:, 3::8] = 255
    photos = uploaded([Image.fromarray(stripes)])
    with timmscope.lend("test_resnet", "random") as model:
        layer = "layer1"
        field = window(model, layer, "theoretical")
        (patch,) = cut_all(model, photos, field, [Patch(0, 1, 0, "", 10, 10, 1.0)])
    assert field.width < 40
    assert patch[..., 0].std() > 60


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"units": "9999", "layer": "layer1"}, "units: got 9999, expected a channel of layer1, 0 to "),
        ({"units": "-1"}, "units: got "),
        ({"units": "first"}, "units: got 'first', expected at most 32 indices"),
        ({"layer": "stem"}, "layer: got 'stem'"),
    ],
)
def test_what_there_is_not_is_refused(given, expected):
    with pytest.raises(timmscope.InvalidInput, match=expected):
        timmscope.run(
            "maximal_patches", model="test_resnet", weights="random", files=testing.generated_photos(2), **given
        )
