"""Where runs compute: everything that goes to a worker with a GPU and comes back, and the real ZeroGPU package."""

from __future__ import annotations

import functools
import io
import pickle
import sys
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from pyarrow import parquet

import timmscope
from timmscope import testing
from timmscope.registry.base.errors import Abandoned, OutOfMemory
from timmscope.registry.photo_sets.hub_photos import Shard
from timmscope.registry.photo_sets.sources import resolve, uploaded
from timmscope.registry.runs import runner
from timmscope.registry.web import dispatch
from timmscope.registry.web.runs import HEAVY, LIGHT, lane

from ..references import CHELSEA
from ..serving import serving
from ..zero_gpu import device_api, environment

TECHNIQUES = timmscope.plugins().techniques
PHOTOS = testing.generated_photos()


def crossed(value):
    """What arrives in another process."""
    return pickle.loads(pickle.dumps(value))


def assert_same(a, b):
    """Two results with the same arrays, pictures, notes and recipe."""
    assert list(a.arrays) == list(b.arrays)
    for name, array in a.arrays.items():
        np.testing.assert_array_equal(array, b.arrays[name])
    assert list(a.pictures) == list(b.pictures)
    for name, pictures in a.pictures.items():
        for (picture, caption), (other, other_caption) in zip(pictures, b.pictures[name], strict=True):
            np.testing.assert_array_equal(np.asarray(picture), np.asarray(other))
            assert caption == other_caption
    assert (list(a.notes), a.recipe) == (list(b.notes), b.recipe)


@pytest.mark.parametrize("name", TECHNIQUES)
def test_inputs_previews_and_result_cross_to_another_process(name):
    technique = TECHNIQUES[name]
    given = runner.validate(technique, testing.smallest(technique, CHELSEA, "test_convnext", PHOTOS))
    there = crossed(given)  # to the worker
    *previews, result = runner.execute(technique, there)
    for preview in previews:
        back = crossed(preview)
        assert (back.technique, back.done, back.total) == (technique, preview.done, preview.total)
        assert list(back.outputs) == list(preview.outputs)
        assert back.outputs.notes == preview.outputs.notes
    back = crossed(result)
    assert back.technique is technique
    assert_same(back, result)
    for key, value in given.items():
        if isinstance(value, timmscope.PhotoInput):
            assert there[key].sha256 == value.sha256
        elif isinstance(value, timmscope.PhotoList):
            assert there[key].identity == value.identity
        elif key != "files":
            assert there[key] == value


@pytest.mark.parametrize("name", TECHNIQUES)
def test_gpu_time_is_honest_about_what_costs_it(name):
    technique = TECHNIQUES[name]
    given = runner.validate(technique, testing.smallest(technique, CHELSEA, "test_convnext", PHOTOS))
    seconds = technique.gpu_time(given)
    assert (seconds > 0) == bool(technique.gpu_seconds)
    assert seconds < 30, "a small run asks for little"
    if "steps" in given and technique.gpu_seconds:
        assert technique.gpu_time(given | {"steps": 10 * given["steps"]}) > seconds
    assert dispatch.duration(name, given, 1.0) == max(1, round(seconds))


def test_light_techniques_have_a_queue_of_their_own_and_want_no_gpu():
    lanes = {name: lane(technique) for name, technique in TECHNIQUES.items()}
    light = {"filters", "activation_maps", "saliency", "grad_cam", "guided_backprop", "occlusion"}
    assert {lanes[name] for name in light} == {LIGHT}
    assert {lanes[name] for name in ("deepdream", "gradient_ascent", "texture", "texture_patchwise")} == {HEAVY}
    assert not any(TECHNIQUES[name].gpu_seconds for name in light)


@pytest.mark.parametrize(
    "error",
    [
        timmscope.InvalidInput("steps", 0, "a number", "More."),
        timmscope.Declined("It does not apply."),
        timmscope.TechniqueFailed("DeepDream", "plugin", "ValueError at x.py:3"),
        OutOfMemory("Too small."),
        Abandoned("Gone."),
    ],
)
def test_errors_keep_their_text_and_kind(error):
    back = crossed(error)
    assert type(back) is type(error)
    assert str(back) == str(error)
    assert vars(back) == vars(error)


def test_an_answer_crosses_with_the_traceback_of_its_cause():
    def fail():
        raise timmscope.Declined("No.")

    try:
        fail()
    except timmscope.Declined as error:
        back = crossed(dispatch.portable(error))
    assert (type(back), str(back)) == (timmscope.Declined, "No.")
    assert "in fail" in str(back.__cause__)


class Odd(Exception):
    def __init__(self, one, two):
        super().__init__(one)


def test_any_other_error_crosses_with_its_traceback():
    def fail():
        raise Odd(1, 2)

    try:
        fail()
    except Odd as error:
        back = crossed(dispatch.portable(error))
    assert type(back) is RuntimeError
    assert "in fail" in str(back)
    assert "Odd: 1" in str(back)


def zipped() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for i, photo in enumerate(PHOTOS):
            archive.writestr(f"{i}.png", photo)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["bytes", "pictures", "zip", "zip file", "folder", "embedded"])
def test_photo_sets_cross(kind, tmp_path):
    (tmp_path / "photos.zip").write_bytes(zipped())
    for i, photo in enumerate(PHOTOS):
        (tmp_path / f"{i}.png").write_bytes(photo)
    photos = {
        "bytes": lambda: uploaded(PHOTOS),
        "pictures": lambda: uploaded([Image.open(io.BytesIO(photo)) for photo in PHOTOS]),
        "zip": lambda: uploaded([zipped()]),
        "zip file": lambda: uploaded([tmp_path / "photos.zip"]),
        "folder": lambda: uploaded([tmp_path]),
        "embedded": lambda: resolve("embedded"),
    }[kind]()
    back = crossed(photos)
    assert (back.name, back.identity, len(back)) == (photos.name, photos.identity, len(photos))
    for i in (0, len(photos) - 1):
        assert back.photo(i).sha256 == photos.photo(i).sha256


def test_a_parquet_file_crosses(tmp_path):
    column = pa.array([{"bytes": photo, "path": ""} for photo in PHOTOS])
    parquet.write_table(pa.table({"image": column}), tmp_path / "a.parquet")
    read = functools.partial(Shard("set", tmp_path / "a.parquet").read, 2)
    assert crossed(read)() == PHOTOS[2]


def test_photos_that_cannot_cross_are_computed_on_here(monkeypatch):
    technique = TECHNIQUES["nearest_neighbors"]
    local = [timmscope.SetPhoto(f"{i}", lambda photo=photo: photo) for i, photo in enumerate(PHOTOS)]
    given = {"photos": timmscope.PhotoList("local", "Local", local)}
    assert not dispatch.crosses(technique, given)
    assert dispatch.crosses(technique, {"photos": uploaded(PHOTOS)})


@pytest.fixture(scope="module")
def zero(tmp_path_factory):
    """The app on a ZeroGPU Space without a GPU, and what its device API is asked."""
    folder = tmp_path_factory.mktemp("zero")
    with (
        device_api() as (url, api),
        serving(folder, (sys.executable, "-m", "tests.zero_gpu"), **environment(url, folder)) as server,
    ):
        yield server, api


def arrays_of(server, name, values):
    kind, data = server.call(name, values)
    assert kind == "complete", data
    with np.load(io.BytesIO(server.get_file(data[-2]))) as file:
        return dict(file)


SMALL_TEXTURE = {"steps": 3, "size": 64, "model": "test_convnext", "weights": "random"}


@pytest.mark.slow
def test_on_zero_gpu_a_heavy_run_asks_for_its_time_and_gives_it_back(zero, cat):
    server, api = zero
    assert api.asked("/startup-report")
    photo = server.upload(cat)
    before = len(api.asked("/schedule"))
    found = arrays_of(server, "texture", {"image": photo, **SMALL_TEXTURE})
    expected = timmscope.run("texture", image=cat, **SMALL_TEXTURE)
    for key, array in expected.arrays.items():
        np.testing.assert_array_equal(found[key], array)
    arrays_of(server, "texture", {"image": photo, **SMALL_TEXTURE})  # once more, in the same worker
    schedules = api.asked("/schedule")[before:]
    assert [schedule["durationSeconds"] for schedule in schedules] == ["8", "8"]
    assert {schedule["taskId"] for schedule in api.asked("/schedule")} == {schedules[0]["taskId"]}  # one dispatcher
    assert len(api.asked("/allow")) == 1
    assert [release["fail"] for release in api.asked("/release")[before:]] == ["false", "false"]


@pytest.mark.slow
def test_on_zero_gpu_a_light_run_and_a_refused_one_take_no_gpu(zero, cat):
    server, api = zero
    photo, before = server.upload(cat), len(api.asked("/schedule"))
    assert arrays_of(server, "grad_cam", {"image": photo})
    kind, data = server.call("texture", {"image": photo, "steps": 0})
    assert (kind, data["error"][:17]) == ("error", "steps: got 0, exp")
    assert len(api.asked("/schedule")) == before


@pytest.mark.slow
def test_on_zero_gpu_an_error_in_the_worker_keeps_its_text(zero, cat):
    server, api = zero
    kind, data = server.call("texture", {"image": server.upload(cat), "layers": "blocks.66"})
    assert kind == "error"
    assert data["error"].startswith("layers: got 'blocks.66', expected a layer of tf_efficientnet_lite0")
    assert api.asked("/release")[-1]["fail"] == "false"  # the worker lives on


def test_without_zero_gpu_nothing_is_asked(server):
    assert not dispatch.ZERO_GPU
    assert "SPACES_ZERO_GPU" not in Path(server.log).read_text()
