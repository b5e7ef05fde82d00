"""The hooks a plugin may implement: the whole extension surface of timmscope."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from ..declare.technique import Technique
    from ..models.source import ModelSource
    from ..photos.sets import PhotoSet

PROJECT = "timmscope"
API_VERSION = 1  # of what plugins import and implement; raised when something a plugin may use changes or goes
OLDEST_API_VERSION = 1  # plugins for this one still work
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def register_techniques(register: Callable[[Technique], None]) -> None:
    """Call `register` with each technique the plugin adds."""


@hookspec
def register_model_sources(register: Callable[[ModelSource], None]) -> None:
    """Call `register` with each model whose weights the plugin brings."""


@hookspec
def register_photo_sets(register: Callable[[PhotoSet], None]) -> None:
    """Call `register` with each photo set the plugin adds."""
