"""Checking a plugin before it is published, with everything that a run needs made up: no network, no photos."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from ..base.errors import did_you_mean
from ..declare.technique import Technique
from ..plugins.discovery import Plugins, load_alone, plugins
from ..plugins.hookspecs import API_VERSION
from .contributions import check_model_source, check_photo_set
from .report import Check, Failure, Report, Skipped
from .techniques import check_technique

__all__ = ["Check", "Report", "check"]


def check(plugin: str | Path | ModuleType | Technique, **inputs: Any) -> Report:
    """Check a plugin, or one technique, as strangers and their photos will.

    Its declarations, and of each technique: documentation, a run on a tiny model, streaming, stopping, the same bits
    for the same seed, no hooks left, no prints, bad values refused. Of each model: that it can be built and sees a
    photo. Of each photo set: that it lists photos. Needs no network. For a process that does nothing else meanwhile,
    since prints and warnings belong to a whole process.

    Args:
        plugin: Name of an installed plugin or technique, of a module that can be imported, or the path of one; or the
            module or technique itself.
        **inputs: Values for parameters, where a short run needs others than the check chooses.

    Returns:
        The report. Nothing is raised, whatever the plugin does.
    """
    name = plugin.name if isinstance(plugin, Technique) else getattr(plugin, "__name__", str(plugin))
    report = Report(name)
    found = report.examine("plugin", "it is found, imports and declares what it brings", _load, plugin, report)
    if found is None:
        return report
    for technique in found.techniques.values():
        check_technique(technique, report, inputs)
    for source in found.model_sources.values():
        check_model_source(source, report)
    for photos in found.photo_sets.values():
        check_photo_set(photos, report)
    return report


def _load(plugin: str | Path | ModuleType | Technique, report: Report) -> Plugins:
    """What the plugin brings. Raises `Failure` with what is wrong with its declarations."""
    if isinstance(plugin, Technique):
        return Plugins(techniques={plugin.name: plugin})
    name = report.plugin
    if isinstance(plugin, str) and (installed := plugins().report(plugin)):
        found = Plugins(
            {key: plugins().techniques[key] for key in installed.techniques},
            {key: plugins().model_sources[key] for key in installed.model_sources},
            {key: plugins().photo_sets[key] for key in installed.photo_sets},
            [installed],
        )
    elif isinstance(plugin, str) and plugin in plugins().techniques:
        return Plugins(techniques={plugin: plugins().techniques[plugin]})
    elif isinstance(plugin, ModuleType):
        found = load_alone(name, lambda: plugin)
        _check_module(plugin, report)
    else:
        path = Path(plugin)
        folder, module_name = (path.parent, path.stem) if path.suffix == ".py" else (Path.cwd(), str(plugin))
        with _importable_from(folder):
            if not _exists(module_name):
                close = did_you_mean(name, [*(report.name for report in plugins().reports), *plugins().techniques])
                raise Failure(f"there is no plugin, technique, module or file {name!r}. {close}".strip())
            found = load_alone(name, lambda: importlib.import_module(module_name))
        if module := sys.modules.get(module_name):
            _check_module(module, report)
    if failures := found.reports[0].failures:
        raise Failure("; ".join(failures))
    for key, technique in found.techniques.items():
        other = plugins().techniques.get(key)
        if other and other.function.__module__ != technique.function.__module__:
            raise Failure(f"technique {key!r}: plugin {other.plugin!r} has that name already", f"def my_{key}(")
    return found


@contextlib.contextmanager
def _importable_from(folder: Path) -> Iterator[None]:
    """Let modules in `folder` be imported while the block lasts."""
    before = list(sys.path)
    sys.path.insert(0, str(folder.resolve()))
    try:
        yield
    finally:
        sys.path[:] = before


def _exists(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def _check_module(module: ModuleType, report: Report) -> None:
    report.examine("plugin", "it states the API it was written for", _states_api, module)
    report.examine("plugin", "its declarations import without torch", _imports_light, module)


def _states_api(module: ModuleType) -> None:
    if not hasattr(module, "TIMMSCOPE_API"):
        raise Failure("it states no version and is taken for API 1", f"TIMMSCOPE_API = {API_VERSION}")


def _imports_light(module: ModuleType) -> None:
    """In a fresh process, since torch is long loaded in this one."""
    if not module.__file__:
        raise Skipped("It has no file.")
    depth = module.__name__.count(".") + (Path(module.__file__).name == "__init__.py")
    folder = Path(module.__file__).parents[depth]
    code = f"import sys, {module.__name__}; sys.exit(100 * ('torch' in sys.modules))"
    paths = os.pathsep.join([str(folder), *sys.path])
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": paths}, capture_output=True, timeout=60
    )
    if done.returncode == 100:
        raise Failure("importing it imports torch, which takes seconds", "import torch  inside the functions")
