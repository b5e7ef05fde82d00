"""Discovery: real plugins installed with pip, good and bad, and what is reported of each."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import types
from dataclasses import replace
from pathlib import Path

import pluggy
import pytest

from timmscope import InvalidInput, ModelSource, hookimpl
from timmscope.registry.base.settings import Settings
from timmscope.registry.plugins import hookspecs
from timmscope.registry.plugins.discovery import Plugins, _load, discover, plugins
from timmscope.registry.plugins.hookspecs import API_VERSION, OLDEST_API_VERSION

from ..references import CHELSEA

ROOT = Path(__file__).parents[2]
TOYS = ROOT / "tests" / "toy_plugins"
BROKEN = ("broken_import", "broken_declaration", "newer", "newer_name")

FRESH = """
import json, sys, timmscope
found = timmscope.plugins()
faded = timmscope.run("fade", image=sys.argv[1], steps=3)
previews = list(timmscope.stream("fade", image=sys.argv[1], steps=3))
mirrored = timmscope.run("mirror", image=sys.argv[1])
print(json.dumps({
    "techniques": {name: technique.plugin for name, technique in found.techniques.items()},
    "reports": {report.name: [report.version, report.techniques, report.failures] for report in found.reports},
    "grey": bool((faded.arrays["faded"][..., :1] == faded.arrays["faded"]).all()),
    "steps": len(previews) - 1,
    "mirrored": list(mirrored.arrays["picture"].shape),
    "plugin": faded.recipe["plugin"],
}))
"""


@pytest.fixture(scope="module")
def fresh(tmp_path_factory):
    """What a fresh process sees with the toy plugins installed."""
    target = tmp_path_factory.mktemp("installed")
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--no-compile", "--quiet"]
    toys = [str(TOYS / name) for name in ("fade", "clash", *BROKEN)]
    subprocess.run([sys.executable, "-m", "pip", "install", *options, "--target", str(target), *toys], check=True)
    done = subprocess.run(
        [sys.executable, "-c", FRESH, str(CHELSEA)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(target)},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout) | {"log": done.stderr}


def test_an_installed_plugin_is_found_and_runs(fresh):
    assert fresh["reports"]["fade"] == ["1.2.3", ["fade"], []]
    assert fresh["techniques"]["fade"] == "fade"
    assert fresh["grey"]
    assert fresh["steps"] == 3
    assert fresh["plugin"] == {"name": "fade", "version": "1.2.3"}


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        (
            "broken_import",
            "No module named 'a_library_that_is_not_there': a library the plugin needs",
        ),
        ("broken_declaration", "technique blur, parameter radius: no port declared; write  radius: Annotated["),
        ("newer", "it needs plugin API 99, this timmscope offers 1 to 1: run  pip install --upgrade timmscope"),
        ("newer_name", "a name this timmscope does not have: run  pip install --upgrade timmscope"),
        ("clash", "Technique 'saliency' is refused: plugin 'saliency' has that name already"),
    ],
)
def test_a_bad_plugin_is_reported_and_logged(fresh, name, reason):
    version, _, failures = fresh["reports"][name]
    assert version == "0.1.0"
    assert len(failures) == 1
    assert reason in failures[0]
    assert failures[0] in fresh["log"]


def test_bad_plugins_harm_nobody(fresh):
    builtin = {name: technique.plugin for name, technique in plugins().techniques.items()}
    assert fresh["techniques"] == builtin | {"fade": "fade", "mirror": "clash"}
    assert fresh["mirrored"][2] == 3
    good = set(fresh["reports"]) - {"clash", *BROKEN}
    assert all(not fresh["reports"][name][2] for name in good)


def loaded(*modules) -> Plugins:
    """What is found when these modules are plugins, in this order."""
    found, manager = Plugins(), pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    for name, module in modules:
        _load(found, manager, name, "1", module if callable(module) else lambda module=module: module)
    return found


def module(**hooks) -> types.ModuleType:
    made = types.ModuleType("toy")
    for name, hook in hooks.items():
        hook.__name__ = name
        setattr(made, name, hookimpl(hook))
    return made


SOURCE = ModelSource("toy", dict, "nowhere")
GOOD = module(register_model_sources=lambda register: register(SOURCE))


def leave():
    raise SystemExit("no GPU")


def stating(version) -> types.ModuleType:
    """A good plugin that states an API version."""
    made = module(register_model_sources=lambda register: register(replace(SOURCE, name="stating")))
    made.TIMMSCOPE_API = version
    return made


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (module(register_models=lambda register: None), "unknown hook"),
        (module(register_techniques=lambda registrar: None), "registrar"),
        (module(register_techniques=lambda register: register(SOURCE)), "takes a Technique, not ModelSource"),
        (module(register_model_sources=lambda register: register("toy")), "takes a ModelSource, not str"),
        (module(register_model_sources=lambda register: 1 / 0), "ZeroDivisionError"),
        (types.ModuleType("empty"), "it implements no hook; write  @hookimpl"),
        (leave, "SystemExit: no GPU"),
        (stating(API_VERSION + 1), f"it needs plugin API {API_VERSION + 1}, .* pip install --upgrade timmscope"),
        (stating(0), "written for plugin API 0, .* install a newer version of the plugin"),
        (stating("1"), f"TIMMSCOPE_API is '1', no whole number; write  TIMMSCOPE_API = {API_VERSION}"),
        (stating(True), "no whole number"),
    ],
)
def test_every_way_to_be_wrong_is_reported_and_stays_alone(bad, reason):
    found = loaded(("bad", bad), ("good", GOOD))
    report, good = found.reports
    assert len(report.failures) == 1
    assert re.search(reason, report.failures[0])
    assert good.failures == []
    assert list(found.model_sources) == ["toy"]
    assert found.model_sources["toy"].plugin == "good"


def test_of_two_plugins_of_one_name_the_second_is_refused():
    found = loaded(("same", GOOD), ("same", module(register_model_sources=lambda register: register("other"))))
    assert found.reports[0].failures == []
    assert len(found.reports[1].failures) == 1
    assert list(found.model_sources) == ["toy"]


@pytest.mark.parametrize("version", range(OLDEST_API_VERSION, API_VERSION + 1))
def test_every_api_version_that_is_offered_is_accepted(version):
    (report,) = loaded(("good", stating(version))).reports
    assert report.failures == []
    assert report.model_sources == ["stating"]


def test_a_plugin_that_is_switched_off_is_listed_and_not_imported(monkeypatch, caplog):
    monkeypatch.setattr(
        "timmscope.registry.base.settings.settings", lambda: Settings(disabled_plugins=" saliency, grad_cma")
    )
    found = discover()
    assert "saliency" not in found.techniques
    assert found.report("saliency").switched_off
    assert not found.report("grad_cam").switched_off
    assert "there is no plugin 'grad_cma'. Did you mean grad_cam" in caplog.text


def test_what_a_plugin_registered_before_it_failed_stays():
    def partly(register):
        register(SOURCE)
        raise RuntimeError("half way")

    (report,) = loaded(("partly", module(register_model_sources=partly))).reports
    assert report.model_sources == ["toy"]
    assert report.failures == ["RuntimeError: half way"]


def test_every_built_in_plugin_is_sound():
    built_in = [report for report in plugins().reports if report.version == "built in"]
    assert len(built_in) > 5
    assert {report.name: report.failures for report in built_in if report.failures} == {}


def test_an_unknown_technique_is_answered_with_close_names():
    with pytest.raises(InvalidInput, match=r"technique: got 'sailency', expected one of .* Did you mean saliency"):
        plugins().technique("sailency")


def test_every_hook_says_what_it_is_for():
    hooks = [hook for name, hook in vars(hookspecs).items() if hasattr(hook, "timmscope_spec")]
    assert len(hooks) == 3
    assert all(hook.__doc__.endswith(".") for hook in hooks)
