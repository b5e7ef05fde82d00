"""Models for techniques that need one more. Imports no torch, so that declarations may import it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from ..base.errors import Declined, ModelUnavailable, OutOfMemory
from ..plugins.discovery import plugins
from ..vision.vision_model import VisionModel


@contextlib.contextmanager
def lend(name: str, weights: str = "pretrained") -> Iterator[VisionModel]:
    """Lend one more model to a technique, such as a second opinion.

    Args:
        name: Name of the model.
        weights: "pretrained" or "random".

    Raises:
        InvalidInput: No such model.
        ModelUnavailable: Too large, no network for photos, or its weights cannot be had.
    """
    from ..models import loading

    with contextlib.ExitStack() as stack:
        try:
            model = stack.enter_context(loading.lend(name, weights, plugins().model_sources))
        except (Declined, OutOfMemory) as error:  # a technique that can go on without it need not tell them apart
            raise ModelUnavailable(str(error)) from error
        yield model
