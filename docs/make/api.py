"""The text of `docs/api.md`: every public name, with its signature and the first sentence of its docstring."""

from __future__ import annotations

import inspect
import re
from types import ModuleType
from typing import Any

import pluggy

import timmscope
from timmscope.registry.plugins import hookspecs

# Modules by what their names are for; a name of another module comes last.
CHAPTERS = {
    "Declare": ("declare.technique", "plugins.hookspecs", "models.source", "photos.sets"),
    "Inputs of a technique": ("declare.ports.words", "declare.ports.of_model", "declare.ports.of_photos"),
    "Outputs of a technique": ("declare.ports.pictured", "declare.ports.data"),
    "What it receives": (
        "vision.vision_model",
        "vision.explained",
        "photos.decoding",
        "vision.receptive_field",
        "vision.reading",
        "photo_sets.index",
    ),
    "What it returns": ("pictures.values",),
    "Run": (
        "runs.runner",
        "runs.inputs",
        "runs.recipes",
        "results.result",
        "plugins.discovery",
        "base.settings",
        "runs.lending",
    ),
    "Errors": ("base.errors",),
}
WITH_MEMBERS = ("What it receives", "Run")  # chapters that list what can be done with each class


def names() -> list[str]:
    """Every public name, also those that are loaded at first use."""
    return sorted(timmscope.__all__, key=lambda name: (name.lower(), name))


def api() -> str:
    """The page."""
    chapters: dict[str, list[str]] = {title: [] for title in CHAPTERS}
    modules = []
    for name in names():
        found = getattr(timmscope, name)
        if isinstance(found, ModuleType):
            modules.append(f"### `timmscope.{name}`\n\n{sentence(found)}\n\n" + "\n".join(functions(name, found)))
            continue
        home = getattr(found, "__module__", "").removeprefix("timmscope.registry.")
        title = next((title for title, homes in CHAPTERS.items() if home in homes), "Declare")
        chapters[title].append(line(name, found))
        if title in WITH_MEMBERS and inspect.isclass(found):
            chapters[title] += [f"  {member}" for member in members(found)]
    parts = [
        "# The Python API",
        "What `timmscope` offers to techniques and to programs, one line per name; the docstrings say more "
        "(`help(timmscope.run)`). Importing `timmscope` loads no torch.",
    ]
    parts += [f"## {title}\n\n" + "\n".join(lines) for title, lines in chapters.items()]
    hooks = [line(name, found) for name, found in vars(hookspecs).items() if name.startswith("register_")]
    parts += [
        "## Hooks\n\nA plugin implements any of these under `@hookimpl`; see [plugins](plugins.md).\n\n"
        + "\n".join(hooks)
    ]
    return "\n\n".join([*parts, "## Modules", *modules, "Made by `python -m docs.make.pages`."]) + "\n"


def line(name: str, found: Any) -> str:
    """One name: signature and first sentence."""
    return f"- `{name}{signature(found)}`: {sentence(found)}"


def members(found: type) -> list[str]:
    """The public methods and properties of a class."""
    lines = []
    for name, member in vars(found).items():
        if isinstance(member, classmethod):
            member = getattr(found, name)
        if not name.startswith("_") and (inspect.isroutine(member) or hasattr(member, "__get__")):
            lines.append(line(name, member))
    return lines


def functions(prefix: str, module: ModuleType) -> list[str]:
    """The public functions of a module."""
    own = getattr(module, "__all__", None) or [
        name for name, found in vars(module).items() if getattr(found, "__module__", "") == module.__name__
    ]
    return [line(f"{prefix}.{name}", getattr(module, name)) for name in own if not name.startswith("_")]


def signature(found: Any) -> str:
    """Parameters with their defaults, without annotations; nothing for a property, an exception or a marker."""
    if (
        not callable(found)
        or isinstance(found, pluggy.HookimplMarker)
        or (inspect.isclass(found) and issubclass(found, Exception))
    ):
        return ""
    try:
        parameters = inspect.signature(found).parameters.values()
    except ValueError:  # made as a dict is
        return "(**values)"
    plain = [p.replace(annotation=p.empty) for p in parameters if p.name != "self"]
    text = str(inspect.Signature(plain))
    return re.sub(r"=<.*?>(?=[,)])", "=...", text)


def sentence(found: Any) -> str:
    """The first paragraph of a docstring, on one line."""
    return " ".join((inspect.getdoc(found) or "").split("\n\n")[0].split())
