"""A plugin for a plugin API of the future."""

from timmscope import hookimpl

TIMMSCOPE_API = 99


@hookimpl
def register_techniques(register):
    raise RuntimeError("it must not come to this")
