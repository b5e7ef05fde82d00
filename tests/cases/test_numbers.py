"""What "the same" means in floating point, and numbers against references that the product has no part in."""

from __future__ import annotations

import functools
import io

import numpy as np
import pytest
import skimage.data
import torch
import torch.nn.functional as F
from captum.attr import Occlusion
from matplotlib import colormaps
from PIL import Image
from timm.data import create_transform, resolve_data_config
from torch import nn

import timmscope
from timmscope import testing
from timmscope.registry.base import rounding
from timmscope.registry.models.loading import lend
from timmscope.registry.photo_sets import index as indexing
from timmscope.registry.photo_sets.index_store import Store
from timmscope.techniques.activations.embedding_map import project
from timmscope.techniques.activations.nearest_neighbors import ranked
from timmscope.techniques.activations.occlusion import occlusion
from timmscope.techniques.gradients.saliency_segmentation import cut

from ..references import EMBEDDED, assert_close, named, plain
from ..toys import Tiny, source

CAT = Image.fromarray(skimage.data.chelsea())
GREY, BLACK = Image.new("RGB", (90, 70), "grey"), Image.new("RGB", (90, 70))
SMALL = (EMBEDDED, "mobilenetv3_small_100", "test_vit", "test_convnext", "test_resnet", "test_efficientnet")
METRICS = ("centred", "cosine", "euclidean")
EPSILON = 2.0**-23  # the distance of 1 to the next number in float32


def seen(name: str, photo: Image.Image = CAT, **changes) -> torch.Tensor:
    """A photo as timm puts it into a network, [1, 3, height, width]."""
    return create_transform(**resolve_data_config(pretrained_cfg=plain(name).pretrained_cfg) | changes)(photo)[None]


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


# What is the same


@pytest.mark.case(12)
@pytest.mark.case(13)
@pytest.mark.parametrize(
    ("name", "photo"), [(name, CAT) for name in SMALL] + [(EMBEDDED, GREY)], ids=[*SMALL, f"{EMBEDDED}, grey"]
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
@pytest.mark.parametrize("name", SMALL)
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
@pytest.mark.parametrize("name", SMALL)
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
@pytest.mark.parametrize("name", SMALL)
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


# Promises to decline


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
    """A network with a layer that is neither a grid nor one value per unit: seven vectors of eight."""

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


# An index and the threads


@pytest.fixture
def two_threads():
    """Changes to two threads when called, and back at the end."""
    before = torch.get_num_threads()
    yield lambda: torch.set_num_threads(2)
    torch.set_num_threads(before)


@pytest.mark.case(19)
def test_another_number_of_threads_takes_no_index_from_disk(two_threads, tmp_path, monkeypatch):
    files = testing.generated_photos(6)
    inputs = {"image": CAT, "files": files, "metric": "euclidean", **named("test_efficientnet")}

    def stored(folder):
        monkeypatch.setattr(indexing, "default_store", lambda: Store(tmp_path / folder, 2**20))

    stored("kept")
    one = timmscope.run("nearest_neighbors", **inputs)
    two_threads()
    kept = timmscope.rerun(one.recipe, image=CAT, files=files)
    stored("empty")
    fresh = timmscope.rerun(one.recipe, image=CAT, files=files)
    assert kept["distances"] == fresh["distances"]
    for again in (kept, fresh):
        assert "Made with threads 1, here 2: the last bits may differ." in again.notes


@pytest.mark.case(19)
@pytest.mark.parametrize(
    ("place", "name", "other"),
    [
        (torch, "get_num_threads", 7),
        (torch.backends.cpu, "get_cpu_capability", "ABACUS"),
        (torch, "get_float32_matmul_precision", "medium"),
    ],
)
def test_whatever_moves_the_last_bits_is_in_the_recipes_of_runs_and_of_indexes(place, name, other, monkeypatch):
    inputs = {"image": CAT, "files": testing.generated_photos(2), **named("test_vit")}
    photos = timmscope.PhotoList("some", "Some", [timmscope.SetPhoto("one", lambda: CAT)])
    recipe = timmscope.run("nearest_neighbors", **inputs).recipe
    with lend("test_vit", "random", {}) as model:
        before = indexing.index_key(model, photos)
        assert indexing.index_key(model, photos) == before
        monkeypatch.setattr(place, name, lambda: other)
        assert indexing.index_key(model, photos) != before
    again = timmscope.rerun(recipe, image=CAT, files=inputs["files"])
    assert any(note.endswith(f"here {other}: the last bits may differ.") for note in again.notes)


@pytest.mark.case(19)
def test_the_last_bits_of_a_photo_do_not_depend_on_the_others_of_its_set(tmp_path, monkeypatch):
    photos = [
        timmscope.SetPhoto(str(i), lambda photo=photo: photo) for i, photo in enumerate(testing.generated_photos(6))
    ]
    for name in ("test_mambaout", "mobilenetv3_small_100"):
        with lend(name, "random", {}) as model:
            monkeypatch.setattr(indexing, "default_store", lambda name=name: Store(tmp_path / name, 2**20))
            indexes = []
            for some in (photos, photos[::-1], photos[:1]):
                *_, last = timmscope.index_photos(model, timmscope.PhotoList("some", "Some", some))
                indexes.append(dict(zip(last.index.names, last.index.values)))
            query = timmscope.index_photo(model, timmscope.PhotoInput(Image.open(io.BytesIO(photos[0].load()))))
        for other in indexes[1:]:
            assert all(np.array_equal(values, indexes[0][key]) for key, values in other.items())
        assert np.array_equal(query.values[0], indexes[0]["0"])


# Numbers against references

CAM = {
    EMBEDDED: "blocks.6",
    "resnet18": "layer4",
    "convnext_atto": "stages.3",
    "vit_tiny_patch16_224": "blocks.10",
    "mobilenetv3_small_100": "blocks.5",
}


@pytest.mark.case(30)
@pytest.mark.parametrize(
    ("name", "size"),
    [
        *((EMBEDDED, size) for size in ((451, 300), (200, 600), (700, 90))),
        *(("resnet18", size) for size in ((200, 600), (700, 90))),
        ("convnext_atto", (700, 90)),
        ("vit_tiny_patch16_224", (200, 600)),
        ("mobilenetv3_small_100", (200, 600)),
    ],
)
def test_grad_cam_of_photos_of_any_shape_is_its_definition_for_each_class(name, size):
    layer, photo, classes = CAM[name], CAT.resize(size), (281, 207)
    kept = []
    handle = plain(name).get_submodule(layer).register_forward_hook(lambda _m, _i, output: kept.append(output))
    try:
        scores = plain(name)(seen(name, photo).requires_grad_())
    finally:
        handle.remove()
    found = timmscope.run("grad_cam", image=photo, targets=list(classes), layer=layer, **named(name))
    for target, heat in zip(classes, found.arrays["heatmaps"]):
        (slopes,) = torch.autograd.grad(scores[0, target], kept[0], retain_graph=True)
        maps = kept[0]
        if maps.ndim == 3:  # tokens, the first of which is the class token
            maps, slopes = (part[:, 1:].transpose(1, 2).unflatten(2, (14, 14)) for part in (maps, slopes))
        parts = maps * slopes.mean((2, 3), keepdim=True)
        cam = F.interpolate(parts.sum(1, keepdim=True).relu(), (224, 224), mode="bilinear", align_corners=False)
        assert np.abs(heat - cam[0, 0].detach().numpy()).max() <= 1e-5 * float(parts.detach().abs().sum(1).max())


@pytest.mark.case(33)
def test_red_is_most_and_blue_is_least():
    photo = CAT.resize((224, 224))
    cam = timmscope.run("grad_cam", image=photo, fit=True, targets="tabby")
    cover = timmscope.run("occlusion", image=photo, fit=True, target="tabby", window=112, stride=56)
    base = np.asarray(photo.resize((640, 640), Image.Resampling.LANCZOS), float)

    def color(picture: Image.Image, place: int) -> np.ndarray:
        row, column = (int((i + 0.5) / 224 * 640) for i in divmod(place, 224))
        laid_over = (np.asarray(picture, float) - 0.45 * base) / 0.55
        return laid_over[row - 1 : row + 2, column - 1 : column + 2].mean((0, 1))

    heat, drop = cam.arrays["heatmaps"][0], cover.arrays["drop_map"]
    for place, end in ((heat.argmax(), 1.0), (heat.argmin(), 0.0)):  # turbo goes from a dark blue to a dark red
        expected = np.array(colormaps["turbo"](end)[:3]) * 255
        assert np.abs(color(cam.pictures["overlay"][0][0], int(place)) - expected).max() < 25
    most, least = (color(cover.pictures["drop_map"][0][0], int(place)) for place in (drop.argmax(), drop.argmin()))
    assert most[0] > most[2] + 50
    assert drop.min() < 0
    assert least[2] > least[0]
    covered = np.asarray(photo).copy()  # what the drop map is red for: without it the class is less probable
    row, column = divmod(int(drop.argmax()), 224)
    covered[max(0, row - 56) : row + 56, max(0, column - 56) : column + 56] = 128
    with torch.no_grad():
        before, after = (
            plain(EMBEDDED)(seen(EMBEDDED, one, crop_pct=1.0)).softmax(1)[0, 281]
            for one in (photo, Image.fromarray(covered))
        )
    assert after < before


@pytest.mark.case(34)
@pytest.mark.parametrize(
    ("size", "window", "stride"), [((32, 32), 10, 7), ((33, 47), 10, 7), ((47, 33), 16, 16), ((24, 40), 24, 5)]
)
def test_occlusion_is_captums_where_strides_do_not_divide_and_inputs_are_not_square(size, window, stride):
    name = "tiny of {} x {}".format(*size)
    made = source(name, size=size)
    net = Tiny(size=size).eval()
    net.load_state_dict(made.weights())
    with lend(name, "pretrained", {name: made}) as model:
        *_, last = occlusion(model, timmscope.PhotoInput(CAT), target=3, window=window, stride=stride)
        image = create_transform(**dict(model.config), is_training=False)(CAT)[None]
    with torch.no_grad():
        uncovered = float(net(image).softmax(1)[0, 3])
        expected = Occlusion(lambda images: net(images).softmax(1)[:, 3]).attribute(
            image, sliding_window_shapes=(3, window, window), strides=(3, stride, stride), baselines=0
        )
    assert_close(last["drop_map"].array, expected[0, 0], tolerance=1e-5 * uncovered / float(expected.abs().max()))
    assert_close(last["probability_map"].array, uncovered - expected[0, 0], tolerance=1e-6)


@pytest.mark.case(37)
@pytest.mark.parametrize(("name", "layer"), [(EMBEDDED, "blocks.2"), ("resnet18", "layer2")])
def test_noise_outside_the_receptive_field_changes_nothing_and_inside_it_does(name, layer):
    with timmscope.lend(named(name)["model"], named(name)["weights"]) as model:
        field, grid = model.receptive_field(layer), model.grid(layer)
    row, column = grid.height // 2, grid.width // 2
    left, top, right, bottom = (round(edge) for edge in field.box(row, column))
    inside = torch.zeros(224, 224, dtype=torch.bool)
    inside[max(top, 0) : bottom, max(left, 0) : right] = True
    noise = torch.randn(3, 224, 224, generator=torch.Generator().manual_seed(1))
    image = seen(name)[0]
    kept = []
    handle = plain(name).get_submodule(layer).register_forward_hook(lambda _m, _i, output: kept.append(output))
    try:
        plain(name)(torch.stack([image, image.where(inside, noise), noise.where(inside, image)]))
    finally:
        handle.remove()
    cell = kept[0][:, :, row, column]
    assert torch.allclose(cell[1], cell[0], rtol=1e-5, atol=1e-5 * float(cell[0].abs().max()))
    assert not torch.allclose(cell[2], cell[0], rtol=0.1)
