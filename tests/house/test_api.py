"""The API is written down: every public name says what it takes and gives, in which shapes, and what it raises."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from types import ModuleType

import timmscope
from timmscope.registry.base import errors

ARRAYS = ("Tensor", "ndarray")
MODULES = ("gradients", "synthesis", "testing", "render", "rounding")
ERRORS = {name for name, found in vars(errors).items() if inspect.isclass(found) and issubclass(found, Exception)}
OWN = ("__init__", "__call__")


def public() -> dict[str, object]:
    """Every public function and class, by the name a reader would use."""
    found = {name: getattr(timmscope, name) for name in timmscope.__all__}
    for name in MODULES:
        module = found[name]
        own = getattr(module, "__all__", None) or [
            key for key, value in vars(module).items() if getattr(value, "__module__", "") == module.__name__
        ]
        found |= {f"{name}.{key}": getattr(module, key) for key in own if not key.startswith("_")}
    return {
        name: value
        for name, value in found.items()
        if (inspect.isclass(value) or inspect.isroutine(value)) and not isinstance(value, ModuleType)
    }


def functions(name: str, found: object) -> dict[str, tuple[object, str]]:
    """The functions of a name, with the docstring that speaks of each: of a class its public methods."""
    if not inspect.isclass(found):
        return {name: (found, inspect.getdoc(found) or "")}
    listed = {}
    for key, member in vars(found).items():
        plain = member.fget if isinstance(member, property) else getattr(member, "__func__", member)
        plain = getattr(plain, "func", plain)  # of a cached property
        if inspect.isfunction(plain) and (not key.startswith("_") or key in OWN) and inspect.getsourcefile(plain):
            bases = [base for base in found.__mro__ if base.__module__.startswith("timmscope")]
            text = "\n".join(base.__doc__ or "" for base in bases) if key in OWN else inspect.getdoc(plain)
            listed[f"{name}.{key}"] = plain, text or ""
    return listed


EVERY = {key: value for name, found in public().items() for key, value in functions(name, found).items()}
CLASSES = {name: found for name, found in public().items() if inspect.isclass(found)}


def source(function: object) -> ast.AST | None:
    try:
        return ast.parse(textwrap.dedent(inspect.getsource(function)))  # type: ignore[arg-type]
    except (OSError, TypeError, SyntaxError):  # made by a decorator
        return None


def test_every_public_name_has_a_docstring():
    for name, found in public().items():
        text = inspect.getdoc(found) or ""
        assert len(text.split()) > 2, name
        assert not text.startswith(f"{name}("), "a dataclass writes such a text by itself"


def test_arrays_have_shapes():
    for name, (function, text) in EVERY.items():
        notes = {key: str(note) for key, note in getattr(function, "__annotations__", {}).items()}
        arrays = [key for key, note in notes.items() if any(kind in note for kind in ARRAYS) and "Callable" not in note]
        shapes = re.search(r"\[[^\]]*\]|scalar|[Aa]s for", text)
        assert shapes or not arrays, f"{name}: give the shapes of {arrays}"


def test_errors_are_named():
    for name, (function, text) in EVERY.items():
        tree = source(function) or ast.Module([], [])
        raised = {
            node.exc.func.id
            for node in ast.walk(tree)
            if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and isinstance(node.exc.func, ast.Name)
        }
        for error in raised & ERRORS:
            assert error in text or "Raises as" in text or "As for" in text, f"{name} raises {error}: say so"


def test_parameters_are_described():
    """All of those that have more than two; one or two are clear from the first sentence."""
    for name, (function, text) in EVERY.items():
        if inspect.isclass(function) or not inspect.isfunction(function) or name.endswith("__call__"):
            continue
        parameters = [p for p in inspect.signature(function).parameters.values() if p.name not in ("self", "cls")]
        plain = [p.name for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
        missing = [key for key in plain if not re.search(rf"\b{key}\b", text)]
        assert len(plain) <= 2 or not missing, f"{name}: describe {missing} under Args:"
