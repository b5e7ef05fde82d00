"""Discovery: every plugin is found and loaded on its own, and a broken one is a reported failure.

Entry points are loaded one by one, since pluggy's own loader stops at the first that fails.
"""

from __future__ import annotations

import copyreg
import functools
import importlib
import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from importlib import metadata
from typing import Any

import pluggy

from ..base.errors import DeclarationError, InvalidInput, did_you_mean
from ..base.incidents import Incidents, running
from ..declare.technique import Technique
from ..models.source import ModelSource
from ..photos.sets import PhotoSet, SetPhoto
from . import hookspecs
from .hookspecs import API_VERSION, OLDEST_API_VERSION

BUILT_IN = "timmscope.techniques"  # package of the built-in plugins
ENTRY_POINTS = "timmscope.techniques"  # group of the installed ones
logger = logging.getLogger("timmscope.plugins")


@dataclass
class PluginReport:
    """What one plugin brought, and what went wrong with it."""

    name: str
    version: str
    techniques: list[str] = field(default_factory=list)
    model_sources: list[str] = field(default_factory=list)
    photo_sets: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    switched_off: bool = False
    incidents: Incidents = field(init=False)

    def __post_init__(self) -> None:
        self.incidents = Incidents(self.name)


@dataclass
class Plugins:
    """Everything the plugins brought, by name, and a report on each plugin."""

    techniques: dict[str, Technique] = field(default_factory=dict)
    model_sources: dict[str, ModelSource] = field(default_factory=dict)
    photo_sets: dict[str, PhotoSet] = field(default_factory=dict)
    reports: list[PluginReport] = field(default_factory=list)

    def technique(self, name: str) -> Technique:
        """The technique called `name`.

        Raises:
            InvalidInput: There is none; the text has the close matches.
        """
        if name not in self.techniques:
            known = ", ".join(self.techniques)
            raise InvalidInput("technique", name, f"one of {known}", did_you_mean(str(name), self.techniques))
        return self.techniques[name]

    def report(self, plugin: str) -> PluginReport | None:
        """The report on the plugin called `plugin`, if there is one."""
        return next((report for report in self.reports if report.name == plugin), None)

    @functools.cached_property
    def samples(self) -> dict[str, SetPhoto]:
        """The photos that are offered as inputs, by name; of two with one name the first."""
        samples: dict[str, SetPhoto] = {}
        for group in self.photo_sets.values():
            if group.samples:
                try:
                    for photo in group.photos():
                        samples.setdefault(photo.name, photo)
                except Exception:  # whatever a plugin raises must not take the page along
                    logger.exception("plugin %s: photo set %s cannot be listed", group.plugin, group.name)
        return samples


@functools.cache
def plugins() -> Plugins:
    """The plugins of this process, discovered at the first call: the built-in ones, then the installed ones."""
    return discover()


def _installed(name: str) -> Technique:
    return plugins().technique(name)


# Into another process goes the name of a technique: a decorated function cannot.
copyreg.pickle(Technique, lambda technique: (_installed, (technique.name,)))


def discover() -> Plugins:
    """Load the built-in plugins and every entry point of the group `timmscope.techniques` that is not switched off."""
    found, off = Plugins(), _switched_off()
    manager = _manager()
    everything: list[tuple[str, str, Callable[[], Any]]] = [
        (module.rpartition(".")[2], "built in", functools.partial(importlib.import_module, f"{BUILT_IN}.{module}"))
        for module in importlib.import_module(BUILT_IN).PLUGINS
    ]
    for entry in metadata.entry_points(group=ENTRY_POINTS):
        everything.append((entry.name, entry.dist.version if entry.dist else "?", entry.load))
    for name, version, load in everything:
        if name in off:
            found.reports.append(PluginReport(name, version, switched_off=True))
        else:
            _load(found, manager, name, version, load)
    for name in off - {name for name, _, _ in everything}:
        close = did_you_mean(name, [name for name, _, _ in everything])
        logger.warning("TIMMSCOPE_DISABLED_PLUGINS: there is no plugin %r. %s", name, close)
    return found


def load_alone(name: str, load: Callable[[], Any]) -> Plugins:
    """What one plugin brings when it is the only one, and the report on it: for a plugin in the making.

    Args:
        name: What it is called in the report.
        load: Imports it and returns the module.
    """
    found = Plugins()
    _load(found, _manager(), name, "not installed", load)
    return found


def _manager() -> pluggy.PluginManager:
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    return manager


def _switched_off() -> set[str]:
    """Names of the plugins that the operator switched off."""
    try:
        from ..base.settings import settings
    except ModuleNotFoundError:  # without the app extra nothing runs, so that nothing can be switched off
        return set()
    return {name.strip() for name in settings().disabled_plugins.split(",") if name.strip()}


def _load(found: Plugins, manager: pluggy.PluginManager, name: str, version: str, load: Callable[[], Any]) -> None:
    report = PluginReport(name, version)
    found.reports.append(report)
    whose = running.set(report.incidents)
    try:
        plugin = load()
        check_api_version(plugin)
        _register(manager, plugin, name)
        others = [other for other in manager.get_plugins() if other is not plugin]
        registers = {
            "register_techniques": _registrar(Technique, found.techniques, report.techniques, report),
            "register_model_sources": _registrar(ModelSource, found.model_sources, report.model_sources, report),
            "register_photo_sets": _registrar(PhotoSet, found.photo_sets, report.photo_sets, report),
        }
        for hook, register in registers.items():
            manager.subset_hook_caller(hook, others)(register=register)
    except (Exception, SystemExit) as error:  # whatever a plugin raises is its failure, not ours
        _fail(report, f"{type(error).__name__}: {error}{_remedy(error)}")
        logger.debug("plugin %s", name, exc_info=True)
    finally:
        running.reset(whose)


def check_api_version(plugin: Any) -> None:
    """Refuse a plugin that was written for an API this timmscope does not offer.

    Args:
        plugin: The plugin's module; its `TIMMSCOPE_API` is the version it was written for, 1 when it states none.

    Raises:
        DeclarationError: Too new, too old, or no whole number.
    """
    stated = getattr(plugin, "TIMMSCOPE_API", 1)
    offered = f"this timmscope offers {OLDEST_API_VERSION} to {API_VERSION}"
    if not isinstance(stated, int) or isinstance(stated, bool):
        raise DeclarationError(f"TIMMSCOPE_API is {stated!r}, no whole number; write  TIMMSCOPE_API = {API_VERSION}")
    if stated > API_VERSION:
        raise DeclarationError(f"it needs plugin API {stated}, {offered}: run  pip install --upgrade timmscope")
    if stated < OLDEST_API_VERSION:
        raise DeclarationError(
            f"it was written for plugin API {stated}, {offered}: install a newer version of the plugin"
        )


def _remedy(error: BaseException) -> str:
    """What helps against an error at import, where that is known."""
    if isinstance(error, ModuleNotFoundError):
        return ": a library the plugin needs is not installed; the plugin's dependencies should name it"
    if isinstance(error, ImportError) and error.name == "timmscope":
        return ": the plugin wants a name this timmscope does not have: run  pip install --upgrade timmscope"
    return ""


def _register(manager: pluggy.PluginManager, plugin: Any, name: str) -> None:
    """Register a plugin with pluggy, which checks the names and arguments of its hooks."""
    try:
        manager.register(plugin, name)
        manager.check_pending()
        if not manager.get_hookcallers(plugin):
            raise DeclarationError("it implements no hook; write  @hookimpl  above  def register_techniques(register):")
    except Exception:
        if manager.get_plugin(name) is plugin:  # left registered, it would fail the check of every later plugin
            manager.unregister(plugin)
        raise


def _registrar(kind: type[Any], table: dict[str, Any], names: list[str], report: PluginReport) -> Callable[[Any], None]:
    """The `register` callable handed to one plugin for one kind of contribution."""

    def register(item: Any) -> None:
        if not isinstance(item, kind):
            raise DeclarationError(f"register() takes a {kind.__name__}, not {type(item).__name__}")
        if item.name in table:
            owner = table[item.name].plugin
            _fail(report, f"{kind.__name__} {item.name!r} is refused: plugin {owner!r} has that name already")
        else:
            table[item.name] = replace(item, plugin=report.name)
            names.append(item.name)

    return register


def _fail(report: PluginReport, reason: str) -> None:
    report.failures.append(reason)
    logger.error("plugin %s %s: %s", report.name, report.version, reason)
