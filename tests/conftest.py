"""Fixtures that several test files share."""

from __future__ import annotations

import io

import pytest
import skimage.data
from PIL import Image

from .serving import serving


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """The app, in a process of its own."""
    with serving(tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture(scope="session")
def cat() -> bytes:
    """A photo of a cat, as a PNG file."""
    buffer = io.BytesIO()
    Image.fromarray(skimage.data.chelsea()).save(buffer, "PNG")
    return buffer.getvalue()
