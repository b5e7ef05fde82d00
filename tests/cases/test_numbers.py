"""Numbers against references that the product has no part in, and what moves their last bits."""

from __future__ import annotations

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

import timmscope
from timmscope import testing
from timmscope.registry.models.loading import lend
from timmscope.registry.photo_sets import index as indexing
from timmscope.registry.photo_sets.index_store import Store
from timmscope.techniques.activations.occlusion import occlusion

from ..references import EMBEDDED, assert_close, named, plain
from ..toys import Tiny, source

CAT = Image.fromarray(skimage.data.chelsea())


def seen(name: str, photo: Image.Image = CAT, **changes) -> torch.Tensor:
    """A photo as timm puts it into a network, [1, 3, height, width]."""
    return create_transform(**resolve_data_config(pretrained_cfg=plain(name).pretrained_cfg) | changes)(photo)[None]


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
        ("vit_tiny_patch16_224", (200, 600)),
        pytest.param("convnext_atto", (700, 90), marks=pytest.mark.slow),  # maps, as those above
        pytest.param("mobilenetv3_small_100", (200, 600), marks=pytest.mark.slow),
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
