"""Fixtures that several test files share."""

from __future__ import annotations

import io
import os
import tempfile

import pytest
import skimage.data
import torch
from PIL import Image

from .serving import serving

if "PYTEST_XDIST_WORKER" not in os.environ:  # the workers of -n have the folder of the run that started them
    _cache = tempfile.TemporaryDirectory(prefix="timmscope-")  # indexes of no other run, and none left behind
    os.environ["TIMMSCOPE_CACHE_FOLDER"] = _cache.name
os.environ["OMP_NUM_THREADS"] = "1"  # the same for the processes that tests start, since it moves the last bits
torch.set_num_threads(1)  # the server of the web tests runs beside, and threads that wait for a core burn one

# Files that take a minute and more: begun first, so that no worker ends long after the others.
LONGEST = (
    "test_page",
    "test_docs",
    "test_plugins_page",
    "test_markup",
    "test_hub",
    "test_faces",
    "test_every_technique",
)


# Networks that take seconds to be made; smaller ones of other kinds stand for them in the quick part.
BULKY = {"vgg11", "densenet121", "cait_xxs24_224", "tnt_s_legacy_patch16_224"}


@pytest.hookimpl(tryfirst=True)  # before tests are left out by their marks
def pytest_collection_modifyitems(items):
    for item in items:
        values = item.callspec.params.values() if hasattr(item, "callspec") else ()
        if any(isinstance(value, str) and value in BULKY for value in values):
            item.add_marker(pytest.mark.slow)
    # With --dist=loadgroup: all files that call the server go to one worker, which starts it once; others go by file.
    calling = {item.path for item in items if "server" in item.fixturenames and not hasattr(item.module, "server")}
    for item in items:
        item.add_marker(pytest.mark.xdist_group("server" if item.path in calling else item.path.stem))
    items.sort(key=lambda item: item.path.stem not in LONGEST)


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """The app, in a process of its own; as many runs may wait as a test submits at once."""
    with serving(tmp_path_factory.mktemp("server"), TIMMSCOPE_QUEUE_SIZE="200") as running:
        yield running


@pytest.fixture(scope="session")
def cat() -> bytes:
    """A photo of a cat, as a PNG file."""
    buffer = io.BytesIO()
    Image.fromarray(skimage.data.chelsea()).save(buffer, "PNG")
    return buffer.getvalue()
