"""Where photo sets come from: plugins, uploaded files or a zip, folders of the server, the hub."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .errors import InvalidInput, did_you_mean
from .photo_sets import PhotoList
from .plugins import plugins
from .settings import settings


def resolve(name: str, files: Sequence[Any] = (), parameter: str = "photos") -> PhotoList:
    """The photo set called `name`, listed; or one made of `files`, which are used instead when there are any.

    Raises:
        InvalidInput: No such set, one that may not be used here, or an empty one.
    """
    sets = plugins().photo_sets
    if name not in sets:
        raise InvalidInput(parameter, name, f"one of {', '.join(sets)}", did_you_mean(name, sets))
    return PhotoList(name, sets[name].title, sets[name].photos(), max_pixels=settings().max_pixels)
