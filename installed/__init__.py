"""timmscope: a microscope for vision networks. The public API when installed; the twin of `timmscope.py`."""

from .registry import *  # noqa: F403
from .registry import __all__, __getattr__, __version__, main  # noqa: F401
