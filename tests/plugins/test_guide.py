"""The plugin guide, followed to the letter: every block of it runs, from the template to the running tab."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import sysconfig

import pytest

import timmscope

from .. import markdown
from ..serving import ROOT, serving

PAGE = "docs/plugins.md"
SERVE, CLIENT = [("sh", "serve"), ("python", "client")]
RUN = {("sh", ""), ("python", ""), ("python", "plugin"), SERVE, CLIENT}  # the kinds of blocks that are run here


def blocks(language: str, use: str = "") -> list[str]:
    """The blocks of the guide of one kind, in order."""
    return [block.code for block in markdown.blocks(PAGE) if block.kind == (language, use)]


@pytest.fixture(scope="module")
def author(tmp_path_factory):
    """A folder with a copy of the repository, and the environment of a fresh venv that has timmscope as a wheel."""
    folder = tmp_path_factory.mktemp("author")
    (folder / "timmscope").symlink_to(ROOT)
    offline = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--no-compile"]
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "venv"], check=True)
    bin = folder / "venv" / "bin"
    (site,) = (folder / "venv").glob("lib/*/site-packages")
    # Everything but timmscope comes from the environment of the tests, so that no network is needed.
    (site / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n")
    subprocess.run([bin / "python", "-m", "pip", "install", *offline, ROOT], check=True, cwd=folder)
    variables = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    variables |= {"PATH": f"{bin}{os.pathsep}{os.environ['PATH']}", "PIP_NO_INDEX": "1", "PIP_NO_COMPILE": "1"}
    return folder, variables


@pytest.fixture(scope="module")
def followed(author):
    """What the commands of the guide print, one after the other in one shell."""
    folder, variables = author
    done = subprocess.run(
        ["bash", "-e", "-c", "\n".join(blocks("sh"))], cwd=folder, env=variables, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_commands_of_the_guide_work(author, followed):
    folder = author[0] / "timmscope-glow"
    assert re.search(r"plugin timmscope_glow\S*: \d+ passed, 0 failed", followed)
    assert re.search(r"\b2 passed", followed)
    assert re.search(r"glow +Glow: How active a layer is", followed)
    recipe = json.loads((folder / "out" / "recipe.json").read_text())
    assert recipe["plugin"] == {"name": "glow", "version": "0.1.0"}
    assert (folder / "out" / "overlay.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_python_of_the_guide_works(author, followed):
    folder, variables = author
    code = "\n".join(blocks("python"))
    done = subprocess.run(
        [folder / "venv/bin/python", "-c", code],
        cwd=folder / "timmscope-glow",
        env=variables,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "(224, 224) {'name': 'glow', 'version': '0.1.0'}" in done.stdout


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_it_has_a_tab_an_endpoint_and_a_tool(author, followed, tmp_path):
    folder, variables = author
    (served,), (code,) = blocks(*SERVE), blocks(*CLIENT)
    command = ["bash", "-c", f"exec {served}"]
    cwd = folder / "timmscope-glow"
    with serving(tmp_path, command=command, cwd=cwd, PATH=variables["PATH"]) as server:
        config = json.dumps(server.http.get("/../config").json())
        assert '"label": "Glow"' in config
        assert "glow" in [tool["name"] for tool in server.http.get("/mcp/schema").json()]
        code = code.replace(markdown.ADDRESS, server.url) + "\nprint(recipe)"
        done = subprocess.run([sys.executable, "-c", code], cwd=cwd, capture_output=True, text=True)
        assert done.stdout.strip().endswith("glow.json"), done.stderr


@pytest.mark.parametrize("index", range(len(blocks("python", "plugin"))))
def test_the_plugins_in_the_guide_pass_the_check(index, tmp_path):
    file = tmp_path / f"from_the_guide_{index}.py"
    file.write_text(blocks("python", "plugin")[index])
    report = timmscope.testing.check(file)
    assert report.ok, report
    assert len(report.checks) > 3


def test_no_block_of_the_guide_is_left_out():
    assert {block.kind for block in markdown.blocks(PAGE)} == RUN
