"""A plugin that imports a name of the future."""

from timmscope import Hologram  # noqa: F401
