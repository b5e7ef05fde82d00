"""The registry: what a technique is, and how it is found, checked and run.

This is the whole public surface. Importing it loads neither torch nor gradio; `run`, `stream`, `render` and
the like are loaded at first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from .errors import (
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
from .hookspecs import hookimpl
from .models import ModelSource
from .photo_sets import PhotoList, PhotoSet, SetPhoto
from .photos import PhotoInput
from .ports import (
    Animation,
    Choice,
    Choices,
    Curves,
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
from .technique import Technique, technique
from .values import Absent, Captioned, Drawn, Outputs, Placed, Shown
from .vision_model import ClassScore, ClassScores, Seen, VisionModel, require_gradient

if TYPE_CHECKING:
    from . import render as render
    from . import rounding as rounding
    from . import testing as testing
    from .index import Index as Index
    from .index import Indexing as Indexing
    from .index import index_photo as index_photo
    from .index import index_photos as index_photos
    from .lending import lend as lend
    from .plugins import plugins as plugins
    from .reading import LayerReader as LayerReader
    from .receptive_field import ReceptiveField as ReceptiveField
    from .recipes import rerun as rerun
    from .result import Preview as Preview
    from .result import Result as Result
    from .runner import run as run
    from .runner import stream as stream
    from .settings import settings as settings

__version__ = "0.1.0"

# Loaded at first use, since they import torch: name -> module, and whether the module itself is meant.
_LAZY = {
    "lend": "lending",
    "decode": "photos",
    "rerun": "recipes",
    "run": "runner",
    "sample": "runner",
    "stream": "runner",
    "LayerReader": "reading",
    "Index": "index",
    "Indexing": "index",
    "index_photo": "index",
    "index_photos": "index",
    "Preview": "result",
    "ReceptiveField": "receptive_field",
    "Result": "result",
    "plugins": "plugins",
    "render": "",
    "rounding": "",
    "settings": "settings",
    "testing": "",
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
    "Gallery",
    "Heatmap",
    "Heatmaps",
    "InvalidInput",
    "Layer",
    "LayerMaps",
    "Layers",
    "MissingExtra",
    "ModelName",
    "ModelNames",
    "ModelSource",
    "ModelUnavailable",
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
    "Points",
    "Position",
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
    "hookimpl",
    "require_gradient",
    "technique",
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'timmscope' has no attribute {name!r}")
    try:
        module = importlib.import_module(f".{_LAZY[name] or name}", __name__)
    except ModuleNotFoundError as error:
        if MissingExtra.excuses(error):
            raise MissingExtra(error.name or "a library") from error
        raise
    return getattr(module, name) if _LAZY[name] else module


def main() -> None:
    """The command line."""
    try:
        importlib.import_module(".cli", __name__).start()
    except ModuleNotFoundError as error:
        if MissingExtra.excuses(error):
            raise SystemExit(f"Error: {MissingExtra(error.name or 'a library')}") from None
        raise
