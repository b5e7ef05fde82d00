"""The synthesis engine: canvases, objectives, transforms, regularizers, optimizers and the loop. It loads torch."""

from .registry.synthesis import *  # noqa: F403
from .registry.synthesis import __all__  # noqa: F401
