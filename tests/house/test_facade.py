"""The import facade: the same names in a checkout and installed, and nothing heavy loaded."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import timmscope
from timmscope.techniques import PLUGINS

ROOT = Path(__file__).parents[2]


def run_fresh(code: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.strip()


def test_import_loads_nothing_heavy():
    heavy = {"torch", "gradio", "numpy", "PIL", "timm", "captum", "cv2", "matplotlib", "huggingface_hub", "pydantic"}
    loaded = run_fresh("import sys, timmscope; timmscope.Technique, timmscope.VisionModel; print(*sys.modules)").split()
    assert "timmscope.registry.declare.technique" in loaded
    assert not heavy & set(loaded)


def test_declarations_need_no_heavy_import():
    modules = ", ".join(f"timmscope.techniques.{module}" for module in PLUGINS)
    heavy = {"torch", "numpy", "matplotlib", "timm", "gradio"}
    assert run_fresh(f"import sys, {modules}; print(*{heavy!r} & {{*sys.modules}})") == ""


def test_the_hooks_have_one_name():
    code = (
        "import timmscope.registry.plugins.hookspecs as hooks, timmscope; print(hooks.hookimpl is timmscope.hookimpl)"
    )
    assert run_fresh(code) == "True"


def test_every_public_name_is_there():
    for name in [*timmscope.__all__, "main", "__version__"]:
        assert getattr(timmscope, name) is not None
    assert set(timmscope._LAZY) < set(timmscope.__all__)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="'timmscope' has no attribute 'sailency'"):
        timmscope.sailency  # noqa: B018


def test_a_missing_library_is_named_with_the_command_that_brings_it():
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "import timmscope\n"
        "try: timmscope.run\n"
        "except timmscope.MissingExtra as error: print(error)"
    )
    assert run_fresh(code) == "torch is not installed: run  pip install 'timmscope[app]'"
