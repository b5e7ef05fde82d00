"""The index of a photo set: the right numbers, computed once, kept whole or not at all."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from timm.data import create_transform

from timmscope import Declined, InvalidInput, ModelSource, index_photos, lend
from timmscope.registry.models import loading
from timmscope.registry.models.catalogue import Entry
from timmscope.registry.photo_sets import index as indexing
from timmscope.registry.photo_sets.index_store import Store
from timmscope.registry.photos.sets import PhotoList, SetPhoto

from .. import toys

ROOT = Path(__file__).parents[2]
MODEL = "test_resnet"
BROKEN = 3  # position of the file that is no photo
# another server: told to, it indexes the same photos, waits after each step, and says how often the network ran
SERVER = """
import sys
from tests.photo_sets import test_index
from timmscope import index_photos, lend
with lend(test_index.MODEL, "random") as model:
    calls = test_index.count_calls(model)
    sys.stdin.readline()
    for step in index_photos(model, test_index.photos()):
        print("waiting" if step.waiting else step.done, flush=True)
        sys.stdin.readline()
    print(calls[0], step.index.values.sum(), flush=True)
"""


def photo(i: int) -> Image.Image | bytes:
    if i == BROKEN:
        return b"this is no photo"
    coarse = np.random.default_rng(i).integers(0, 255, (4, 5, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((90 + i, 70), Image.Resampling.BICUBIC)


def photos(count: int = 11, version: str = "1") -> PhotoList:
    one = [SetPhoto(f"photo {i}", lambda i=i: photo(i), "odd" if i % 2 else "even", version) for i in range(count)]
    return PhotoList("synthetic", "Synthetic photos", one)


def count_calls(model) -> list[int]:
    calls = [0]
    model.module.conv1.register_forward_pre_hook(lambda *_: calls.__setitem__(0, calls[0] + 1))
    return calls


def finish(steps):
    """The index, and every step on the way."""
    seen = list(steps)
    return seen[-1].index, seen


@pytest.fixture
def store(tmp_path, monkeypatch):
    """An empty folder of indexes."""
    monkeypatch.setattr(indexing, "default_store", lambda: Store(tmp_path / "indexes", 2**20))
    return Store(tmp_path / "indexes", 2**20)


@pytest.fixture
def model():
    with lend(MODEL, "random") as model:
        yield model


def expected(model, fit: bool, read):
    """A plain loop over timm's own transform, a photo at a time."""
    config = dict(model.config, crop_pct=1.0, crop_mode="squash") if fit else model.config
    transform = create_transform(**config, is_training=False)
    with torch.no_grad():
        return [read(transform(photo(i).convert("RGB"))[None]) for i in range(11) if i != BROKEN]


@pytest.mark.parametrize("fit", [False, True])
@pytest.mark.parametrize("name", [MODEL, "test_vit", "test_convnext"])
def test_features_equal_timms_own(name, fit, store):
    with lend(name, "random") as model:
        net = model.module
        wanted = expected(model, fit, lambda x: net.forward_head(net.forward_features(x), pre_logits=True)[0])
        found, steps = finish(index_photos(model, photos(), fit=fit))
    assert found.values.dtype == np.float32
    assert np.allclose(found.values, torch.stack(wanted), atol=1e-4, rtol=1e-4)
    assert found.cells is None
    assert [step.done for step in steps] == sorted(step.done for step in steps)
    assert steps[-1].done == steps[-1].total == 11


@pytest.mark.parametrize(
    ("name", "layer", "margin"),
    [(MODEL, "layer3", 1), ("test_vit", "blocks.1", 0), ("test_convnext", "stages.1.blocks.0", 1), (MODEL, "fc", 0)],
)
def test_maxima_and_cells_equal_brute_force(name, layer, margin, store):
    with lend(name, "random") as model:
        grid = model.layers[layer].grid
        found, _ = finish(index_photos(model, photos(), layer))

        def read(x):
            with model.record(layer) as outputs:
                model.module(x)
            values = grid.gather(outputs[layer]) if grid else outputs[layer][:, :, None, None]
            return values[0].numpy()

        wanted = expected(model, False, read)
    rectified = min(maps.min() for maps in wanted) >= 0  # then only values above zero can be told apart
    assert found.margin == margin
    assert found.values.shape == (10, len(wanted[0]))
    for maps, values, cells in zip(wanted, found.values, found.cells):
        inner = maps[:, margin : maps.shape[1] - margin, margin : maps.shape[2] - margin]
        top = inner.max((1, 2))
        active = top > 0 if rectified else np.full(len(top), True)
        assert active.any()
        assert np.allclose(values[active], top[active], atol=1e-3, rtol=1e-3)
        at = maps[np.arange(len(maps)), cells[:, 0], cells[:, 1]]
        assert np.allclose(at[active], top[active], atol=1e-3, rtol=1e-3)
        assert cells.min() >= margin
        assert (cells < np.array(found.grid) - margin).all()


def test_values_are_those_before_a_saturating_activation(store):
    def weights():
        state = toys.source().weights()
        return dict(state) | {"conv.bias": state["conv.bias"] - 9}  # behind its ReLU every value is zero

    source = replace(toys.source(), weights=weights)
    with loading.load(Entry("tiny", "tiny", source=source), "pretrained").viewed() as tiny:
        found, _ = finish(index_photos(tiny, photos(), "act"))
        before, _ = finish(index_photos(tiny, photos(), "conv"))
    assert found.values.max() < 0
    assert np.array_equal(found.values, before.values)
    assert np.array_equal(found.cells, before.cells)


def test_what_is_no_photo_is_skipped_and_counted(model, store):
    calls = count_calls(model)
    for _ in range(2):  # computed, and from disk
        given = photos()
        found, _ = finish(index_photos(model, given))
        assert list(found.skipped) == list(given.skipped) == [f"photo {BROKEN}"]
        assert BROKEN not in found.positions
        assert list(found.names) == [f"photo {i}" for i in found.positions]
        assert list(found.labels) == ["odd" if i % 2 else "even" for i in found.positions]
        assert len(found) == len(found.values) == 10
    assert calls[0] == 3
    with pytest.raises(InvalidInput, match="none of them a photo"):
        finish(index_photos(model, PhotoList("bad", "Bad", [SetPhoto("text", lambda: b"no")])))


def test_a_photo_that_cannot_be_read_now_may_be_read_later(model, store, tmp_path):
    def load():
        raise OSError(5, "the network folder is gone")

    given = [SetPhoto("here", lambda: photo(0)), SetPhoto("gone", load)]
    found, _ = finish(index_photos(model, PhotoList("some", "Some", given)))
    assert list(found.skipped) == ["gone"]
    assert not list(store.folder.glob("*.npz"))


def test_only_the_same_recipe_is_taken_from_disk(model, store):
    calls = count_calls(model)
    first, _ = finish(index_photos(model, photos()))
    ran = calls[0]
    again, steps = finish(index_photos(model, photos()))
    assert calls[0] == ran > 0
    assert len(steps) == 1
    assert again.values.tobytes() == first.values.tobytes()
    for change in ({"photos": photos(version="2")}, {"photos": photos(10)}, {"layer": "fc"}, {"fit": True}):
        before = calls[0]
        finish(index_photos(model, **{"photos": photos(), **change}))
        assert calls[0] > before, change
    state = {name: tensor + 0.5 for name, tensor in timm.create_model(MODEL).state_dict().items()}
    source = ModelSource(model.name, lambda: state, model.origin, MODEL)
    with loading.load(Entry(model.name, MODEL, source=source), "pretrained").viewed() as changed:
        changed.weights, changed.origin = model.weights, model.origin  # only the weights themselves differ
        assert changed.fingerprint != model.fingerprint
        recipes = [indexing.index_key(each, photos()) for each in (model, changed)]
        assert store.path(recipes[0]) != store.path(recipes[1])


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "swapped"])
def test_a_damaged_file_is_computed_again(damage, model, store):
    first, _ = finish(index_photos(model, photos()))
    (file,) = store.folder.glob("*.npz")
    data = bytearray(file.read_bytes())
    if damage == "swapped":  # a whole file, of another recipe
        finish(index_photos(model, photos(version="2")))
        (other,) = set(store.folder.glob("*.npz")) - {file}
        other.replace(file)
    else:
        data[len(data) // 2] ^= 255
        file.write_bytes({"cut": data[: len(data) // 2], "flipped": data, "empty": b""}[damage])
    calls = count_calls(model)
    again, _ = finish(index_photos(model, photos()))
    assert calls[0] > 0
    assert again.values.tobytes() == first.values.tobytes()
    assert store.load(indexing.index_key(model, photos())) is not None


def test_two_threads_compute_it_once(store):
    calls, found, started = [], [], threading.Barrier(2)

    def work():
        with lend(MODEL, "random") as model:
            calls.append(count_calls(model))
            started.wait(60)
            found.append(finish(index_photos(model, photos()))[0])

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(found) == 2
    assert sorted(count[0] for count in calls) == [0, 3]
    assert found[0].values.tobytes() == found[1].values.tobytes()


def test_the_one_who_waits_says_so_and_takes_over(model, store):
    first, second = index_photos(model, photos()), index_photos(model, photos())
    assert next(first).done > 0
    assert next(second).waiting
    closing = threading.Thread(target=first.close)  # a server may close a run on another thread
    closing.start()
    closing.join()
    found, steps = finish(second)
    assert not steps[-1].waiting
    assert len(found) == 10
    assert not list(store.folder.glob("*.tmp"))
    third = index_photos(model, photos(version="2"))
    next(third)
    fourth = index_photos(model, photos(version="2"))
    assert next(fourth).waiting
    fourth.close()  # whoever gives up waiting disturbs nobody
    assert finish(third)[0] is not None
    assert not any(thread.name.startswith("timmscope-decode") for thread in threading.enumerate())


def start(folder: Path) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", SERVER],
        cwd=ROOT,
        env=os.environ | {"TIMMSCOPE_CACHE_FOLDER": str(folder)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def step(server: subprocess.Popen) -> str:
    server.stdin.write("\n")
    server.stdin.flush()
    return server.stdout.readline().strip()


@pytest.mark.slow
def test_two_servers_compute_it_once_and_a_killed_one_is_taken_over(model, store, tmp_path):
    killed, other = start(tmp_path), start(tmp_path)
    assert step(killed) == "5"  # a batch is done: it holds the lock
    here = index_photos(model, photos())
    assert next(here).waiting
    (store.folder / "0123.tmp").write_bytes(b"left by a writer killed while it wrote")
    killed.send_signal(signal.SIGKILL)
    killed.wait(30)
    assert not list(store.folder.glob("*.npz"))
    calls = count_calls(model)
    assert next(here).done == 5
    assert step(other) == "waiting"
    found, _ = finish(here)
    assert calls[0] == 3
    said = other.communicate(timeout=60)[0].splitlines()
    assert said[-1].split() == ["0", str(found.values.sum())]
    assert [file.suffix for file in sorted(store.folder.iterdir())] == [".lock", ".npz"]


def test_out_of_memory_fewer_photos_at_a_time_are_tried(model, store):
    first, _ = finish(index_photos(model, photos()))
    memory = [2]

    def small_memory(_module, inputs):
        if len(inputs[0]) > memory[0]:
            raise torch.OutOfMemoryError("CUDA out of memory")

    model.module.conv1.register_forward_pre_hook(small_memory)
    found, _ = finish(index_photos(model, photos(version="2")))
    assert np.allclose(found.values, first.values, atol=1e-5)
    memory[0] = 0
    with pytest.raises(Declined, match="even one photo at a time"):
        finish(index_photos(model, photos(version="3")))


def test_values_that_are_not_finite_decline(model, store):
    model.module.conv1.register_forward_hook(lambda _, inputs, output: output * float("nan"))
    with pytest.raises(Declined, match="not finite"):
        finish(index_photos(model, photos()))
    assert not list(store.folder.glob("*.npz"))


def test_photos_do_not_pile_up(model, store):
    """While the consumer looks at a step, only a bounded number of photos has been asked for."""
    loaded = []

    def one(i):
        return SetPhoto(str(i), lambda: loaded.append(i) or photo(0))

    steps = index_photos(model, PhotoList("many", "Many", [one(i) for i in range(120)]))
    for step in steps:
        assert len(loaded) <= step.done + 3 * indexing.BATCH["cpu"]
    assert sorted(loaded) == list(range(120))
    assert step.index.values.tobytes() == np.tile(step.index.values[:4], (30, 1)).tobytes()


def test_the_least_recently_used_go(tmp_path):
    store = Store(tmp_path, 30_000)
    arrays = {"values": np.zeros(2_500, np.float32)}
    for name in "abc":
        store.save({"name": name}, arrays)
        os.utime(store.path({"name": name}), ns=(0, ord(name)))
    assert [store.path({"name": name}).exists() for name in "abc"] == [False, True, True]
    assert store.load({"name": "b"}) is not None  # used just now
    store.save({"name": "d"}, arrays)
    assert [store.path({"name": name}).exists() for name in "bcd"] == [True, False, True]
    assert sum(path.stat().st_size for path in tmp_path.glob("*.npz")) <= 30_000


def test_a_folder_that_cannot_be_made_costs_only_the_keeping(model, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setattr(indexing, "default_store", lambda: Store(tmp_path / "file" / "indexes", 2**20))
    found, _ = finish(index_photos(model, photos()))
    assert len(found) == 10
