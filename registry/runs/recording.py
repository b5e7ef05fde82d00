"""The recipe of a run: everything that reproduces it, as JSON values."""

from __future__ import annotations

import contextlib
import functools
import platform
from importlib import metadata
from typing import Any

from ..base.rounding import conditions
from ..declare.technique import Technique
from ..photos.decoding import PhotoInput
from ..photos.sets import PhotoList
from ..plugins.discovery import plugins
from .call import RunCall

LIBRARIES = ("torch", "timm", "captum", "numpy", "pillow", "opencv-python-headless")


def make_recipe(technique: Technique, given: dict[str, Any], call: RunCall) -> dict[str, Any]:
    """Everything that reproduces the run, as JSON values."""
    inputs = {name: _recorded(value) for name, value in given.items() if name != "files"}  # the set stands for them
    report = plugins().report(technique.plugin)
    recipe: dict[str, Any] = {
        "technique": technique.name,
        "plugin": {"name": technique.plugin, "version": report.version if report else "?"},
        "inputs": inputs,
        "resolved": call.resolved,
        "libraries": versions(),
    }
    if model := call.lent:
        recipe |= {
            "model": {"name": model.name, "weights": model.weights, "origin": model.origin},
            **conditions(model.device),
        }
    return recipe


def _recorded(value: Any) -> Any:
    """An input as the recipe keeps it."""
    if isinstance(value, PhotoInput):
        size = {"width": value.picture.width, "height": value.picture.height}
        return {"name": value.name, **size, "sha256": value.sha256}
    if isinstance(value, PhotoList):
        return {
            "name": value.name,
            "photos": len(value),
            "skipped": len(value.skipped),
            "identity": value.identity,
        }
    return value


@functools.cache
def versions() -> dict[str, str]:
    """Versions of what computes, by name."""
    from timmscope import __version__  # a checkout is not installed, and has a version nevertheless

    found = {"python": platform.python_version(), "timmscope": __version__}
    for library in LIBRARIES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[library] = metadata.version(library)
    return found
