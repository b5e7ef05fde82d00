"""Faults of whole servers: killed in the midst of an index, two on one folder, a full disk."""

from __future__ import annotations

import contextlib
import io
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import numpy as np
import pytest
import skimage.data
from PIL import Image

import timmscope
from timmscope import testing
from timmscope.registry.base.settings import settings

from ..serving import serving

pytestmark = pytest.mark.slow

PHOTOS = 90  # takes seconds to index
DEADLINE = 60
LARGEST_FILE = 100_000  # bytes; thumbnails of the page are smaller, the arrays of a heat map larger
# A disk on which no file may become larger: Python ignores the signal, and writing fails as on a full disk.
FULL = "import os, resource as r, sys; r.setrlimit(r.RLIMIT_FSIZE, ({0}, {0})); os.execv(sys.executable, sys.argv[1:])"


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """A folder of photos."""
    folder = tmp_path_factory.mktemp("photos") / "waves"
    folder.mkdir()
    for i in range(PHOTOS):
        coarse = np.random.default_rng(i).integers(0, 255, (6, 8, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((320, 240), Image.Resampling.BICUBIC).save(folder / f"{i:03}.jpg")
    return folder


def until(condition) -> None:
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def running(server) -> dict:
    return httpx.get(f"{server.url}/health", trust_env=False).json()["runs"]


def arrays(server, answer) -> dict:
    kind, data = answer
    assert kind == "complete", data
    with np.load(io.BytesIO(server.get_file(data[-2]))) as file:
        return dict(file)


def assert_equal(found, expected) -> None:
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array)


def test_a_server_killed_in_the_midst_of_an_index_is_followed_by_another_and_can_start_again(
    tmp_path, photos, cat, monkeypatch
):
    cache = tmp_path / "cache"
    indexes = cache / "indexes"
    environment = {"TIMMSCOPE_CACHE_FOLDER": str(cache), "TIMMSCOPE_PHOTO_FOLDERS": str(photos)}

    def start(server):
        call = {"image": server.upload(cat), "photos": "folder:waves"}
        return server.start("nearest_neighbors", call).json()["event_id"]

    homes = [tmp_path / name for name in ("one", "two")]
    for home in homes:
        home.mkdir()
    with contextlib.ExitStack() as servers, ThreadPoolExecutor(2) as threads:
        one, two = threads.map(lambda home: servers.enter_context(serving(home, **environment)), homes)
        start(one)
        until(lambda: list(indexes.glob("*.lock")))
        event = start(two)
        until(lambda: running(two))
        assert not list(indexes.glob("*.npz")), "it is not finished"
        one.process.kill()
        one.process.wait(DEADLINE)
        found = arrays(two, two.finish("nearest_neighbors", event))
    expected = timmscope.run("nearest_neighbors", image=cat, files=[photos]).arrays
    assert_equal(found, expected)
    (index,) = indexes.glob("*.npz")
    assert not list(indexes.glob("*.tmp"))

    # what starts next on the folder, here this process, takes the index and does not compute it again
    written = index.stat()
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    settings.cache_clear()
    try:
        again = timmscope.run("nearest_neighbors", image=cat, photos="folder:waves").arrays
    finally:
        settings.cache_clear()
    assert_equal(again, expected)
    (used,) = indexes.glob("*.npz")
    assert (used, used.stat().st_ino, used.stat().st_size) == (index, written.st_ino, written.st_size)
    assert used.stat().st_mtime_ns > written.st_mtime_ns  # when it was last used; a new one would be another file


def test_on_a_full_disk_the_answer_is_a_sentence_and_nothing_half_written_stays(tmp_path):
    cache = tmp_path / "cache"
    command = (sys.executable, "-c", FULL.format(LARGEST_FILE), sys.executable, "app.py")
    buffer = io.BytesIO()
    Image.fromarray(skimage.data.chelsea()).resize((96, 96)).save(buffer, "PNG")
    with serving(tmp_path, command, TIMMSCOPE_CACHE_FOLDER=str(cache)) as server:
        photo = server.upload(buffer.getvalue())
        files = [server.upload(data, f"{i}.png") for i, data in enumerate(testing.generated_photos())]
        before = {path for path in (tmp_path / "gradio").rglob("*") if path.is_file()}
        kind, data = server.call("saliency", {"image": photo})
        assert (kind, data["error"]) == ("error", "The server has no room for results now. Try again later.")
        many = {"files": files * 20, "size": 64, "model": "test_convnext", "weights": "random"}
        assert server.call("embedding_map", many)[0] in ("complete", "error")
        assert "an index is not kept: [Errno 27] File too large" in server.log.read_text()
        after = {path for path in (tmp_path / "gradio").rglob("*") if path.is_file()}
        assert all(path.stat().st_size < LARGEST_FILE for path in after - before), "nothing is cut off"
        assert server.call("grad_cam", {"image": photo, "layer": "nonsense"})[1]["error"].startswith("layer: got")
    assert not list(cache.rglob("*.tmp"))
    assert not list(cache.rglob("*.npz"))
