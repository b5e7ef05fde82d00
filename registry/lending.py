"""Models for techniques that need one more. Imports no torch, so that declarations may import it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from .plugins import plugins
from .vision_model import VisionModel


@contextlib.contextmanager
def lend(name: str, weights: str = "pretrained") -> Iterator[VisionModel]:
    """Lend one more model to a technique, such as a second opinion.

    Args:
        name: Name of the model.
        weights: "pretrained" or "random".

    Raises:
        InvalidInput: No such model.
        ModelUnavailable: Too large, or its weights cannot be had.
    """
    from . import loading

    with loading.lend(name, weights, plugins().model_sources) as model:
        yield model
