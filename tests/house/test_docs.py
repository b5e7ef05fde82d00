"""The documentation: as the declarations say, complete, without dead links, and every block of code works."""

from __future__ import annotations

import ast
import importlib.util
import json
import os
import re
import subprocess
import sys

import httpx
import pluggy
import pytest
import skimage.data
from PIL import Image

import timmscope
from docs.make import pages as make_docs
from timmscope.registry.cli.execute import technique_command
from timmscope.registry.declare.technique import SECTIONS
from timmscope.registry.plugins import hookspecs
from timmscope.registry.runs import runner

from ..markdown import ADDRESS, Block, blocks, executable, pages, prose
from ..plugins import test_guide as test_author_path
from ..serving import ROOT, serving

PAGES = pages()
MADE = make_docs.pages()
TECHNIQUES = {technique.name: technique for technique in make_docs.techniques()}
TESTS = "-m pytest -n 3"  # what .ci/run has, too: test_project.py
RUN_HERE = ("README.md", "docs/clients.md")
RUN_TOO = ("docs/techniques/grad_cam.md",)  # the same functions made the calls of the others, which are read closely
RUN = (*RUN_HERE, *RUN_TOO)  # a minute and a half; tests/house/test_faces.py has the same ways in the quick part
ELSEWHERE = {test_author_path.PAGE: test_author_path.RUN}  # pages and the kinds of blocks that their own test runs
WAYS = {
    ("python", ""): "run, one after the other in one namespace a page",
    ("sh", ""): "run by bash, in the folder of the page",
    ("python", "plugin"): "examined by timmscope.testing.check",
    ("sh", "serve"): "run by the test of the plugin guide, which has the same command",
    (
        "sh",
        "install",
    ): "read: its files are there; what it ends in starts the server of the tests, or is the tests",
    ("json", ""): "its address is asked",
    ("mermaid", ""): "read: every arrow has two ends",
}


# What is written


@pytest.mark.parametrize("path", MADE, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_the_page_is_as_the_declarations_say(path):
    assert path.read_text(encoding="utf-8") == MADE[path], "run  python -m docs.make.pages"


def test_there_is_no_page_or_picture_of_a_technique_that_is_gone():
    assert {path.stem for path in make_docs.PAGES.glob("*.md")} == {*TECHNIQUES, "README"}
    assert {path.stem for path in make_docs.PICTURES.iterdir()} == set(TECHNIQUES)


@pytest.mark.parametrize("name", TECHNIQUES)
def test_the_page_of_a_technique_is_complete(name):
    technique = TECHNIQUES[name]
    text = (make_docs.PAGES / f"{name}.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert headings == [*SECTIONS, "Parameters", "Outputs", "Calls"]
    for item in (*technique.parameters, *technique.outputs):
        assert f"\n| `{item.name}` |" in text
    assert text.count("$$") % 2 == 0
    assert not re.search(r"[^\n]\$\$|\$\$[^\n]", text), "a displayed formula stands on lines of its own"


@pytest.mark.parametrize("name", TECHNIQUES)
def test_the_picture_of_a_technique_is_small_and_shows_something(name):
    file = make_docs.PICTURES / f"{name}.jpg"
    assert file.stat().st_size <= make_docs.BYTES
    with Image.open(file) as picture:
        assert 200 <= picture.width <= make_docs.WIDTH
        assert len(picture.convert("L").quantize(32).getcolors()) > 8


def test_every_public_name_and_every_hook_is_documented():
    text = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    marked = pluggy.PluginManager(hookspecs.PROJECT)
    marked.add_hookspecs(hookspecs)
    hooks = {name for name in vars(marked.hook) if not name.startswith("_")}
    assert "register_techniques" in hooks
    for name in {*timmscope.__all__, *hooks}:
        module = f"### `timmscope.{name}`\n" in text
        assert module or re.search(rf"^- `{name}[(`].*: [A-Zn]\w*.+\.$", text, re.MULTILINE), name
    guide = (ROOT / test_author_path.PAGE).read_text(encoding="utf-8")
    assert all(hook in guide or hook in (ROOT / "README.md").read_text(encoding="utf-8") for hook in hooks)


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere(page):
    text = re.sub(r"`[^`\n]*`", "", prose(page))
    links = re.findall(r"\]\(([^)\s]+)\)|(?:src|href)=\"([^\"]+)\"", text)
    for link in map("".join, links):
        target, _, anchor = link.partition("#")
        if "://" in target:
            continue
        file = (ROOT / page).parent / target if target else ROOT / page
        assert file.resolve().is_relative_to(ROOT)
        assert file.is_file(), f"{page} links to {link}"
        if anchor:
            titles = re.findall(r"^#+ (.+)$", file.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in [re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles]


@pytest.mark.parametrize("page", PAGES)
def test_nothing_of_the_machine_it_was_written_on_is_in_it(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    assert str(ROOT) not in text
    assert not re.search(r"(?<![\w./:])/(?:work|home|root|Users|tmp|mnt)/\w|\bat 0x[0-9a-f]{6}", text)


@pytest.mark.parametrize("page", PAGES)
def test_every_program_it_names_is_there(page):
    for module in set(re.findall(r"python3? -m ([\w.]+)", (ROOT / page).read_text(encoding="utf-8"))):
        assert importlib.util.find_spec(module), module


def test_the_plan_of_the_architecture_names_what_is_there():
    (diagram,) = [block for block in blocks("docs/architecture.md") if block.language == "mermaid"]
    named = set(re.findall(r"\b(\w+)\[", diagram.code))
    arrows = [line for line in re.sub(r'\["[^"]*"\]', "", diagram.code).splitlines() if "-->" in line]
    assert len(arrows) > 10
    assert {end.strip() for arrow in arrows for end in arrow.split("-->")} == named
    rows = re.findall(r"^\| (`.+?) \|", prose("docs/architecture.md"), re.MULTILINE)
    places = {place for row in rows for place in re.findall(r"`([\w./]+)`", row)}
    assert places >= {
        f"registry/{room.name}/" for room in (ROOT / "registry").iterdir() if (room / "__init__.py").exists()
    }
    assert [place for place in places if not (ROOT / place).exists()] == []


# What is run


def unclaimed(page: str) -> list[Block]:
    """The blocks of a page that no test runs."""
    if page in ELSEWHERE:
        return [block for block in blocks(page) if block.kind not in ELSEWHERE[page]]
    return [block for block in blocks(page) if block.kind not in WAYS]


@pytest.mark.parametrize("page", PAGES)
def test_nobody_left_a_block_out(page):
    assert not unclaimed(page)
    others = {block.kind for block in blocks(page)} - {("mermaid", "")}
    assert not others or page in RUN_HERE or page in ELSEWHERE or page.startswith("docs/techniques/")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The working folder of a page: photos in it, and the commands of an installed timmscope."""
    (tmp_path / "photos").mkdir()
    cat, coffee = (Image.fromarray(array) for array in (skimage.data.chelsea(), skimage.data.coffee()))
    cat.save(tmp_path / "photo.jpg")
    cat.save(tmp_path / "photos" / "cat.jpg")
    coffee.save(tmp_path / "photos" / "coffee.jpg")
    commands = executable(tmp_path / "bin", "timmscope", f"{sys.executable} -m timmscope").parent
    monkeypatch.setenv("PATH", os.pathsep.join([str(commands), os.path.dirname(sys.executable), os.environ["PATH"]]))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("page", RUN)
def test_the_blocks_of_a_page_work(page, folder, server):
    names: dict = {}
    for block in blocks(page):
        code, where = block.code.replace(ADDRESS, server.url), f"{page}, line {block.line}"
        if block.kind == ("python", ""):
            exec(compile("\n" * block.line + code, page, "exec"), names)  # with the lines of the page
        elif block.kind == ("sh", ""):
            done = subprocess.run(["bash", "-e", "-o", "pipefail", "-c", code], capture_output=True, text=True)
            assert done.returncode == 0, f"{where}: {done.stdout}{done.stderr}"
            assert "event: error" not in done.stdout, f"{where}: {done.stdout}"
            assert "event: complete" in done.stdout or "/gradio_api/call" not in code.replace("$APP", "/gradio_api")
        elif block.kind == ("python", "plugin"):
            (folder / "from_the_page.py").write_text(code)
            report = timmscope.testing.check(folder / "from_the_page.py")
            assert report.ok, report
        elif block.kind == ("json", ""):
            (address,) = re.findall(r'"url": "(.*?)"', json.dumps(json.loads(code)))
            hello = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "a", "version": "1"}}
            question = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello}
            accept = {"Accept": "application/json, text/event-stream"}
            assert httpx.post(address, json=question, headers=accept, trust_env=False).is_success, where
        elif block.kind == ("sh", "serve"):
            assert block.code in test_author_path.blocks(*test_author_path.SERVE)
        else:
            assert block.kind == ("sh", "install")
            read_install(block.code)
    assert names


def read_install(code: str) -> None:
    """An installation cannot be run without an index: what it names must be there, and what it ends in is run."""
    subprocess.run(["bash", "-n", "-c", code], check=True)
    environment, install, last = re.split(r" && |\n", code.strip())
    assert environment == "python3 -m venv .venv"
    requirements = ROOT / install.removeprefix(".venv/bin/pip install -q -r ")
    assert requirements.is_file()
    start = serving.__wrapped__.__defaults__[0]
    assert last.removeprefix(".venv/bin/python ") in (" ".join(start[1:]), TESTS)


def test_pip_is_asked_for_extras_that_there_are():
    extras = re.findall(r"^(\w+) = \[$", (ROOT / "pyproject.toml").read_text().split("optional-dependencies]")[1], re.M)
    assert extras
    for page in PAGES:
        for extra in re.findall(r"timmscope\[(\w+)\]", (ROOT / page).read_text(encoding="utf-8")):
            assert extra in extras, page


@pytest.mark.parametrize("name", TECHNIQUES)
def test_the_calls_of_a_technique_are_accepted(name):
    technique = TECHNIQUES[name]
    local, shell, remote, curl = blocks(f"docs/techniques/{name}.md")
    (call,) = [node for node in ast.walk(ast.parse(local.code)) if isinstance(node, ast.Call) and node.keywords]
    given = {keyword.arg: ast.literal_eval(keyword.value) for keyword in call.keywords}
    assert given == make_docs.example(technique)
    values = runner.validate(technique, given)
    assert set(values) == {parameter.name for parameter in technique.parameters}

    says = 'timmscope() { printf "%s\\0" "$@"; }\n'  # in its place, what it is given
    said = subprocess.run(["bash", "-c", says + shell.code], capture_output=True, text=True, check=True).stdout
    command, chosen, *options = said.split("\0")[:-1]
    assert (command, chosen) == ("run", name)
    parsed = technique_command(technique).make_context(name, options).params
    assert runner.validate(technique, {key: parsed[key] for key in given}).keys() == values.keys()
    assert {key for key in values if parsed.get(key) not in (None, False)} == set(given)  # False: a switch left alone

    assert all(f" {key}=" in remote.code for key in given)
    assert all(json.dumps(key) in curl.code for key in given)
