"""The wheel, installed away from the checkout: the same API under one top-level name, and the app."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from importlib.metadata import distributions

import pytest

from ..serving import ROOT, serving

pytestmark = pytest.mark.slow

PROBE = """
import json, sys
import timmscope, timmscope.registry.plugins.hookspecs
light = sorted({"torch", "gradio", "numpy", "PIL"} & set(sys.modules))
result = timmscope.run("saliency", image="sample:chelsea")
print(json.dumps({"file": timmscope.__file__, "light": light, "label": list(result["scores"].top(1))[0],
                  "failures": [f for r in timmscope.plugins().reports for f in r.failures],
                  "names": sorted(timmscope.__all__)}))
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder with the built wheel in it."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--quiet"]
    offline = ["--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*pip, "wheel", *offline, "--wheel-dir", str(folder), str(ROOT)], check=True, cwd=folder)
    (wheel,) = folder.glob("timmscope-*.whl")
    subprocess.run([*pip, "install", *offline, "--target", str(folder / "site"), str(wheel)], check=True, cwd=folder)
    return wheel, folder / "site"


def test_the_wheel_has_one_top_level_name(installed):
    names = zipfile.ZipFile(installed[0]).namelist()
    assert {name.split("/")[0].split("-")[0] for name in names} == {"timmscope"}
    assert {"timmscope/py.typed", "timmscope/app.py", "timmscope/assets/style.css"} <= set(names)


def test_it_runs_away_from_the_checkout(installed, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", PROBE],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(installed[1])},
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(done.stdout)
    assert found["file"].startswith(str(installed[1]))
    assert found["light"] == []
    assert found["label"] == "tiger cat"
    assert found["failures"] == []


def test_its_command_line_runs_a_technique(installed, tmp_path):
    (distribution,) = distributions(path=[str(installed[1])])
    assert [(script.name, script.value) for script in distribution.entry_points] == [("timmscope", "timmscope:main")]
    command = ["run", "saliency", "--image", "sample:chelsea", "--weights", "random", "--model", "test_vit"]
    done = subprocess.run(
        [sys.executable, "-m", "timmscope", *command],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(installed[1])},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "out/arrays.npz" in done.stdout.splitlines()
    assert (tmp_path / "out" / "heatmap.png").is_file()


def test_its_app_serves(installed, tmp_path, cat):
    command = [sys.executable, "-m", "timmscope", "serve"]
    with serving(tmp_path, command=command, cwd=tmp_path, PYTHONPATH=str(installed[1])) as server:
        assert server.call("saliency", {"image": server.upload(cat)})[0] == "complete"
