"""timmscope: a microscope for vision networks.

`__all__` is the whole API. Importing it loads neither torch nor gradio; what needs them is loaded at first use.
"""

# ruff: noqa: E402 - the path comes before what is found on it

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

__path__.append(str(Path(__file__).parents[1]))  # in a checkout `registry/` and the others lie beside this folder
__version__ = "0.1.0"

from .registry.base.errors import (
    DeclarationError,
    Declined,
    InvalidInput,
    MissingExtra,
    ModelUnavailable,
    OutOfTime,
    SetUnavailable,
    TechniqueFailed,
    TimmscopeError,
)
from .registry.declare.ports import (
    Animation,
    Choice,
    Choices,
    Curves,
    File,
    Gallery,
    Heatmap,
    Heatmaps,
    Layer,
    LayerMaps,
    Layers,
    ModelName,
    ModelNames,
    Number,
    Photo,
    Photos,
    Picture,
    Point,
    Points,
    Position,
    Scores,
    Switch,
    Table,
    Target,
    Targets,
    Text,
    Unit,
    Units,
)
from .registry.declare.technique import Technique, technique
from .registry.models.source import ModelSource
from .registry.photos.decoding import PhotoInput
from .registry.photos.sets import PhotoList, PhotoSet, SetPhoto
from .registry.pictures.values import Absent, Captioned, Drawn, Outputs, Placed, Shown
from .registry.plugins.hookspecs import hookimpl
from .registry.vision.explained import ClassScore, ClassScores, Explained, Neuron, require_gradient
from .registry.vision.vision_model import Seen, VisionModel

if TYPE_CHECKING:
    from . import gradients, synthesis, testing
    from .registry.base import rounding
    from .registry.base.settings import settings
    from .registry.photo_sets.index import Index, Indexing, index_photo, index_photos
    from .registry.photos.decoding import decode
    from .registry.pictures import render
    from .registry.plugins.discovery import plugins
    from .registry.results.result import Preview, Result
    from .registry.runs.inputs import sample
    from .registry.runs.lending import lend
    from .registry.runs.recipes import rerun
    from .registry.runs.runner import run, stream
    from .registry.vision.reading import LayerReader
    from .registry.vision.receptive_field import ReceptiveField

# Loaded at first use, most of them with torch: name -> module; a module itself where it ends in the name.
_LAZY = {
    "Index": "registry.photo_sets.index",
    "Indexing": "registry.photo_sets.index",
    "LayerReader": "registry.vision.reading",
    "Preview": "registry.results.result",
    "ReceptiveField": "registry.vision.receptive_field",
    "Result": "registry.results.result",
    "decode": "registry.photos.decoding",
    "gradients": "gradients",
    "index_photo": "registry.photo_sets.index",
    "index_photos": "registry.photo_sets.index",
    "lend": "registry.runs.lending",
    "plugins": "registry.plugins.discovery",
    "render": "registry.pictures.render",
    "rerun": "registry.runs.recipes",
    "rounding": "registry.base.rounding",
    "run": "registry.runs.runner",
    "sample": "registry.runs.inputs",
    "settings": "registry.base.settings",
    "stream": "registry.runs.runner",
    "synthesis": "synthesis",
    "testing": "testing",
}

__all__ = [
    "Absent",
    "Animation",
    "Captioned",
    "Choice",
    "Choices",
    "ClassScore",
    "ClassScores",
    "Curves",
    "DeclarationError",
    "Declined",
    "Drawn",
    "Explained",
    "File",
    "Gallery",
    "Heatmap",
    "Heatmaps",
    "Index",
    "Indexing",
    "InvalidInput",
    "Layer",
    "LayerMaps",
    "LayerReader",
    "Layers",
    "MissingExtra",
    "ModelName",
    "ModelNames",
    "ModelSource",
    "ModelUnavailable",
    "Neuron",
    "Number",
    "OutOfTime",
    "Outputs",
    "Photo",
    "PhotoInput",
    "PhotoList",
    "PhotoSet",
    "Photos",
    "Picture",
    "Placed",
    "Point",
    "Points",
    "Position",
    "Preview",
    "ReceptiveField",
    "Result",
    "Scores",
    "Seen",
    "SetPhoto",
    "SetUnavailable",
    "Shown",
    "Switch",
    "Table",
    "Target",
    "Targets",
    "Technique",
    "TechniqueFailed",
    "Text",
    "TimmscopeError",
    "Unit",
    "Units",
    "VisionModel",
    "decode",
    "gradients",
    "hookimpl",
    "index_photo",
    "index_photos",
    "lend",
    "plugins",
    "render",
    "require_gradient",
    "rerun",
    "rounding",
    "run",
    "sample",
    "settings",
    "stream",
    "synthesis",
    "technique",
    "testing",
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'timmscope' has no attribute {name!r}")
    path = _LAZY[name]
    try:
        module = importlib.import_module(f".{path}", __name__)
    except ModuleNotFoundError as error:
        if MissingExtra.excuses(error):
            raise MissingExtra(error.name or "a library") from error
        raise
    return module if path.rpartition(".")[2] == name else getattr(module, name)


def main() -> None:
    """The command line."""
    try:
        importlib.import_module(".registry.cli", __name__).start()
    except ModuleNotFoundError as error:
        if MissingExtra.excuses(error):
            raise SystemExit(f"Error: {MissingExtra(error.name or 'a library')}") from None
        raise
