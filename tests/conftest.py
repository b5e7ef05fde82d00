"""Fixtures that several test files share."""

from __future__ import annotations

import io
import os
import tempfile
from pathlib import Path

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

# Files that call the server: the worker that has one of a group has the others too, and starts it once for all of them.
SHARING = {
    "browser": ("test_page", "test_drawings", "test_markup"),
    "server": (
        *("test_docs", "test_faces", "test_clients", "test_second_opinions", "test_dispatch"),
        *("test_answers", "test_endpoints", "test_hostile_names", "test_refusals", "test_fuzz", "test_load"),
    ),
}

# Networks that take seconds to be made; smaller ones of other kinds stand for them in the quick part.
BULKY = {"swin_tiny_patch4_window7_224", "vgg11", "densenet121", "cait_xxs24_224", "tnt_s_legacy_patch16_224"}


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Give each worker whole files, and all of a group to one."""
    from xdist.scheduler import LoadFileScheduling

    class InGroups(LoadFileScheduling):
        def _split_scope(self, nodeid):
            file = super()._split_scope(nodeid)
            return next((group for group, stems in SHARING.items() if Path(file).stem in stems), file)

    return InGroups(config, log)


@pytest.hookimpl(tryfirst=True)  # before tests are left out by their marks
def pytest_collection_modifyitems(items):
    for item in items:
        values = item.callspec.params.values() if hasattr(item, "callspec") else ()
        if any(isinstance(value, str) and value in BULKY for value in values):
            item.add_marker(pytest.mark.slow)
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
