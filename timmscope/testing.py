"""For tests of plugins and techniques: the check before publishing, and the shortest honest call of any technique."""

from .registry.testing import *  # noqa: F403
from .registry.testing import __all__  # noqa: F401
