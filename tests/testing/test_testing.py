"""The check of plugins: good ones pass, and each fault is found, named, and answered with the line to write."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

import timmscope
from timmscope.registry.base.settings import Settings
from timmscope.registry.runs import runner

check = timmscope.testing.check
PLUGINS = Path(__file__).parents[1] / "toy_plugins"
EXAMPLES = PLUGINS.parents[1] / "examples"
TEMPLATE = PLUGINS.parents[1] / "docs" / "plugin-template"


def source(name: str) -> Path:
    (file,) = [file for folder in (PLUGINS, EXAMPLES) for file in folder.glob(f"{name}/timmscope_{name}.py")]
    return file


@pytest.fixture(scope="module")
def rude():
    """Techniques that do what they must not."""
    sys.path.insert(0, str(PLUGINS / "rude"))
    yield importlib.import_module("timmscope_rude")
    sys.path.remove(str(PLUGINS / "rude"))


@pytest.mark.parametrize(
    "plugin",
    [
        TEMPLATE / "timmscope_my_technique.py",
        source("fade"),
        source("digits"),
        # as the first two; and what they do is in tests/plugins/test_examples.py
        *(
            pytest.param(source(name), marks=pytest.mark.slow)
            for name in ("integrated_gradients", "torchvision_models")
        ),
    ],
    ids=lambda path: path.stem,
)
def test_good_plugins_pass(plugin):
    report = check(plugin)
    assert report.ok, report
    assert sum(check.passed is True for check in report.checks) > 3
    assert "torch" in sys.modules  # so that the check for light imports needs a process of its own


def test_a_built_in_technique_passes():
    report = check("guided_backprop", steps=1)
    assert report.ok, report
    assert {check.subject for check in report.checks} == {"plugin", "technique guided_backprop"}


@pytest.mark.parametrize(
    ("sin", "name", "reason"),
    [
        ("raises", "it runs", "ZeroDivisionError at timmscope_rude.py"),
        ("exits", "it runs", "SystemExit"),
        ("wrong_output", "it runs", "film, which it does not declare"),
        ("not_finite", "it runs", "not finite"),
        ("prints", "it prints nothing", "'all my secrets"),
        ("warns", "it prints nothing", "UserWarning: of everything"),
        ("leaves_a_hook", "it leaves no hooks", "leaves the network changed, hooks in stem"),
        ("writes", "it leaves no hooks", "writes into the weights"),
        ("forgets_its_seed", "same seed, same bits", "another picture"),
        ("forgets_its_seed", "it leaves global state alone", "numpy's random numbers"),
        ("goes_on", "it stops", "does not end when it is told to stop: generator ignored GeneratorExit"),
        ("accepts", "it refuses bad values", "is accepted"),
        ("raises", "its documentation", "no section 'What you see'"),
    ],
)
def test_each_sin_is_found(rude, sin, name, reason):
    report = check(getattr(rude, sin))
    assert not report.ok
    (found,) = [check for check in report.failed if check.name.startswith(name)]
    assert reason in found.reason
    assert f"FAILED   technique {sin}: {name}" in str(report)
    assert found.reason in str(report)


def test_a_run_without_end_is_found(rude, monkeypatch):
    monkeypatch.setattr(runner, "settings", lambda: Settings(time_budget=0.5))
    (found,) = [check for check in check(rude.never_comes_back).failed if check.name.startswith("it runs")]
    assert "took longer than the 0.5 s" in found.reason


@pytest.mark.parametrize(
    ("plugin", "reason", "write"),
    [
        (source("broken_import"), "No module named 'a_library_that_is_not_there'", ""),
        (source("broken_declaration"), "radius: no port declared; write  radius: Annotated[", ""),
        (source("clash"), "plugin 'saliency' has that name already", "def my_saliency("),
        (source("clash"), "it states no version", "TIMMSCOPE_API = 1"),
        (source("newer"), "it needs plugin API 99", ""),
        (source("newer_name"), "a name this timmscope does not have: run  pip install --upgrade timmscope", ""),
        ("no_such_plugin", "there is no plugin, technique, module or file 'no_such_plugin'", ""),
        ("salency", "Did you mean saliency", ""),
        ("../no/such.py", "there is no plugin", ""),
        ("", "there is no plugin", ""),
    ],
)
def test_what_cannot_be_loaded_is_answered(plugin, reason, write):
    report = check(plugin)
    assert not report.ok
    assert any(reason in check.reason and check.write == write for check in report.failed), report


@pytest.mark.slow
def test_a_declaration_that_imports_torch_is_found(tmp_path):
    heavy = tmp_path / "heavy_plugin.py"
    heavy.write_text(
        f"import torch\n{source('fade').read_text()}".replace("def fade", "def heavy").replace("(fade)", "(heavy)")
    )
    (found,) = check(heavy).failed
    assert found.name == "its declarations import without torch"
    assert found.write == "import torch  inside the functions"


def test_values_can_be_given(rude):
    report = check(rude.raises, steps=20)  # beyond its port
    (found,) = [check for check in report.failed if check.name.startswith("it runs")]
    assert "steps: got 20" in found.reason


def test_sets_and_models_that_are_wrong_are_found(tmp_path):
    wrong = tmp_path / "wrong_contributions.py"
    wrong.write_text(
        "from timmscope import ModelSource, PhotoSet, SetPhoto, hookimpl\n"
        "TIMMSCOPE_API = 1\n"
        "def build():\n"
        "    from torch import nn\n"
        "    return nn.Conv2d(3, 4, 3)\n"
        "@hookimpl\n"
        "def register_model_sources(register):\n"
        "    register(ModelSource('silent', dict, 'nowhere', build=build))\n"
        "    register(ModelSource('misfit', dict, 'nowhere', architecture='test_convnext'))\n"
        "@hookimpl\n"
        "def register_photo_sets(register):\n"
        "    register(PhotoSet('empty', 'Empty', list))\n"
        "    register(PhotoSet('text', 'Text', lambda: [SetPhoto('a', lambda: b'no photo')]))\n"
    )
    reasons = {check.subject: check.reason for check in check(wrong).failed}
    assert "its network says nothing of input_size" in reasons["model silent"]
    assert "does not fit the network" in reasons["model misfit"]
    assert "it is empty" in reasons["photo set empty"]
    assert "photos: got" in reasons["photo set text"]
