"""What surrounds the code: continuous integration, releases, forms and settings of tools say what the project says."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys

import pytest
import yaml

import timmscope
from timmscope.registry.plugins import hookspecs

from ..markdown import blocks, executable, pages, prose
from ..serving import ROOT

WORKFLOWS = ROOT / ".github" / "workflows"
FORMS = ROOT / ".github" / "ISSUE_TEMPLATE"
PYPROJECT = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
CI = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
YAML = [*sorted((ROOT / ".github").rglob("*.yml")), ROOT / ".pre-commit-config.yaml"]


def read(path):
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def steps(workflow: str) -> list[dict]:
    """The steps of all jobs of a workflow."""
    return [step for job in read(WORKFLOWS / workflow)["jobs"].values() for step in job.get("steps", ())]


def commands(workflow: str) -> list[str]:
    return [step["run"] for step in steps(workflow) if "run" in step]


# Tests


def test_the_readme_and_the_integration_run_the_same_tests():
    (readme,) = [block.code.strip() for block in blocks("README.md") if "pytest" in block.code]
    command = readme.rpartition(" && ")[2]
    assert command.startswith(".venv/bin/python -m pytest")
    lines = [line.strip() for line in CI.splitlines()]
    assert [line for line in lines if "pytest" in line] == [command, f"{command} -m slow"]
    assert f"`{command} -m slow`" in prose("README.md")
    run = commands("tests.yml")
    assert sorted(run) == [".ci/run", ".ci/run quick"]  # and so no line of its own that could differ


# Commands that only say what they were asked for; an environment is made of them.
SAY = """#!/bin/sh
echo "$(basename "$0") $*" >> said
case "$*" in
  "-m venv .venv") mkdir -p .venv/bin; for c in python pip ruff mypy; do cp "$0" .venv/bin/$c; done ;;
  *"--target build/wheel .") mkdir -p build/wheel ;;
esac
"""


@pytest.fixture
def integration(tmp_path):
    """Run a copy of .ci/run with such commands, in a folder where an earlier run has left things."""
    for folder in (".ci", ".venv/stale", "build/wheel/stale"):
        (tmp_path / folder).mkdir(parents=True)
    shutil.copy(ROOT / ".ci" / "run", tmp_path / ".ci" / "run")
    for name in ("chromium", "python3"):
        executable(tmp_path / "bin", name, "").write_text(SAY)
    path = f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"

    def run(*arguments: str) -> tuple[subprocess.CompletedProcess, list[str]]:
        command = [tmp_path / ".ci" / "run", *arguments]
        done = subprocess.run(command, env={"PATH": path}, cwd=tmp_path, capture_output=True, text=True)
        said = [file.read_text() for file in (tmp_path / "said", tmp_path / "build/wheel/said") if file.exists()]
        return done, "".join(said).splitlines()

    return run


@pytest.mark.parametrize(("arguments", "parts"), [((), ["", " -m slow"]), (("quick",), [""])])
def test_the_integration_runs_everything_in_a_fresh_environment(integration, tmp_path, arguments, parts):
    done, said = integration(*arguments)
    assert done.returncode == 0, done.stderr
    assert said == [
        "python3 -m venv .venv",
        "pip install --quiet --requirement requirements-dev.txt",
        "ruff check .",
        "ruff format --check .",
        "pip install --quiet --no-deps --no-build-isolation --no-index --target build/wheel .",
        *(f"python -m pytest -n 3{part}" for part in parts),
        "mypy --config-file ../../pyproject.toml -p timmscope",  # in the wheel, where it says so
    ]
    assert not list(tmp_path.rglob("stale"))


def test_the_integration_refuses_what_it_does_not_know(integration):
    done, said = integration("quik")
    assert (done.returncode, done.stderr, said) == (2, "usage: .ci/run [quick]\n", [])


def test_every_place_names_the_same_pythons():
    found = read(WORKFLOWS / "tests.yml")["jobs"]["tests"]["strategy"]["matrix"]["python"]
    minors = [int(version.removeprefix("3.")) for version in found]  # text: as a number 3.10 would be 3.1
    assert minors == list(range(minors[0], minors[-1] + 1))
    assert f'requires-python = ">={found[0]}"' in PYPROJECT
    assert f'target-version = "py3{minors[0]}"' in PYPROJECT
    assert re.findall(r'"Programming Language :: Python :: (3\.\d+)"', PYPROJECT) == found
    named = {page: re.findall(r"Python (3\.\d+) to (3\.\d+)", prose(page)) for page in pages()}
    assert {both for spans in named.values() for both in spans} == {(found[0], found[-1])}
    assert named["README.md"]
    assert named["docs/operators.md"]
    slow = [step["if"] for step in steps("tests.yml") if step.get("run") == ".ci/run"]
    (quick,) = [step["if"] for step in steps("tests.yml") if step.get("run") == ".ci/run quick"]
    assert slow == [quick.replace("!=", "==")]
    assert re.findall(r"'(.*?)'", quick)[0] in found


# Releases


@pytest.fixture
def checkout(tmp_path):
    """As much of a checkout as its version takes, with that version in the changelog."""
    (tmp_path / "timmscope").mkdir()
    for file in ("pyproject.toml", "timmscope/__init__.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / file, tmp_path / file)
    (tmp_path / "CHANGELOG.md").write_text(f"## [Unreleased]\n\n## [{timmscope.__version__}] - 2026-01-31\n")
    return tmp_path


def compare(checkout, tag: str) -> subprocess.CompletedProcess:
    """Run the step of the release that compares."""
    (step,) = [command for command in commands("release.yml") if "GITHUB_REF_NAME" in command]
    path = os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]])
    environment = {"PATH": path, "GITHUB_REF_NAME": tag}
    return subprocess.run(["bash", "-e", "-c", step], cwd=checkout, env=environment, capture_output=True, text=True)


def test_a_release_goes_on_where_tag_version_and_changelog_agree(checkout):
    done = compare(checkout, f"v{timmscope.__version__}")
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_tag_that_is_not_the_version_is_refused(checkout):
    done = compare(checkout, "v99.0.0")
    assert done.returncode == 1
    assert done.stdout == f"The tag is v99.0.0, but timmscope/__init__.py says {timmscope.__version__}.\n"


def test_a_version_without_a_part_of_the_changelog_is_refused(checkout):
    (checkout / "CHANGELOG.md").write_text(f"## [Unreleased]\n\nThis will be {timmscope.__version__}.\n")
    done = compare(checkout, f"v{timmscope.__version__}")
    assert done.returncode == 1
    assert done.stdout == f"CHANGELOG.md has no part for {timmscope.__version__}.\n"


def test_only_the_job_that_publishes_may_and_it_waits_for_the_tests():
    jobs = read(WORKFLOWS / "release.yml")["jobs"]
    assert [name for name, job in jobs.items() if "id-token" in job.get("permissions", {})] == ["publish"]
    assert set(jobs["publish"]["needs"]) == set(jobs) - {"publish"}
    assert jobs["tests"]["uses"] == "./.github/workflows/tests.yml"
    for file in WORKFLOWS.iterdir():
        assert read(file)["permissions"] == {"contents": "read"}
        assert "secrets." not in file.read_text(encoding="utf-8")
    guide = prose("docs/releases.md")
    assert f"(`{jobs['publish']['environment']}`)" in guide


def test_what_builds_a_release_is_pinned():
    (command,) = [command for command in commands("release.yml") if "requirements-dev.txt" in command]
    pattern = re.search(r"grep -E '(.*?)'", command)[1]
    pins = re.findall(pattern, (ROOT / "requirements-dev.txt").read_text(), re.MULTILINE)
    assert sorted(pins) == ["build", "hatchling"]


def test_the_changelog_has_this_version_or_says_that_it_comes():
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert headings[0] == "[Unreleased]"
    assert all(re.fullmatch(r"\[\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d", heading) for heading in headings[1:])
    released = [tuple(map(int, re.findall(r"\d+", heading)[:3])) for heading in headings[1:]]
    assert released == sorted(released, reverse=True)
    unreleased = re.split(r"^## ", text, flags=re.MULTILINE)[1]
    current = tuple(int(number) for number in re.findall(r"\d+", timmscope.__version__))
    assert current in released or f"This will be {timmscope.__version__}" in unreleased


# Forms and tools


@pytest.mark.parametrize("path", YAML, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_it_is_yaml(path):
    assert read(path)


def test_every_workflow_says_when_and_where():
    for file in WORKFLOWS.iterdir():
        workflow = read(file)
        assert workflow[True]  # `on`, as YAML 1.1 reads it
        for job in workflow["jobs"].values():
            assert "uses" in job or job["runs-on"]
            assert all(("uses" in step) != ("run" in step) for step in job.get("steps", ()))
            for step in job.get("steps", ()):
                assert re.fullmatch(r"[\w-]+/[\w-]+@[\w./-]+", step.get("uses", "a/b@v1"))
                subprocess.run(["bash", "-n", "-c", step.get("run", "")], check=True)


def test_forms_ask_each_question_once_and_a_bug_for_its_recipe():
    forms = [path for path in sorted(FORMS.iterdir()) if path.name != "config.yml"]
    assert [path.stem for path in forms] == ["bug", "technique"]
    for path in forms:
        form = read(path)
        assert {"name", "description", "body"} <= set(form)
        names = [field["id"] for field in form["body"]]
        assert len(names) == len(set(names))
        assert all(field["attributes"]["label"] for field in form["body"])
    required = {f["id"] for f in read(FORMS / "bug.yml")["body"] if f.get("validations", {}).get("required")}
    assert "recipe" in required


def test_hooks_before_a_commit_use_the_linter_of_the_project_and_let_its_files_pass():
    hooks = {hook["id"]: (repo, hook) for repo in read(YAML[-1])["repos"] for hook in repo["hooks"]}
    ruff = re.search(r"^ruff==(\S+)", (ROOT / "requirements-dev.txt").read_text(), re.MULTILINE)[1]
    assert hooks["ruff-check"][0]["rev"] == hooks["ruff-format"][0]["rev"] == f"v{ruff}"
    (limit,) = hooks["check-added-large-files"][1]["args"]
    largest = max(file.stat().st_size for folder in ("assets", "docs") for file in (ROOT / folder).rglob("*.*"))
    assert largest <= 1024 * int(limit.removeprefix("--maxkb="))


def test_the_project_has_one_address():
    urls = dict(
        re.findall(r'^(\w+) = "(https://.*)"$', PYPROJECT.split("[project.urls]")[1].split("[project.")[0], re.M)
    )
    assert {"Homepage", "Documentation", "Source", "Issues", "Changelog"} == set(urls)
    for url in urls.values():
        assert url.startswith(urls["Source"])
        place = re.fullmatch(r".*/(?:tree|blob)/main/(.*)", url)
        assert not place or (ROOT / place[1]).exists()
    texts = [(ROOT / page).read_text(encoding="utf-8") for page in pages()] + [file.read_text() for file in YAML]
    ours = {url for text in texts for url in re.findall(r"https://github\.com/[\w-]*timmscope[\w-]*/[\w-]+", text)}
    assert ours == {urls["Source"]}


def test_the_guide_for_contributors_names_what_is_there():
    places = re.findall(r"`([\w.-]+/[\w./-]*)(?: \w+)?`", prose("CONTRIBUTING.md"))
    assert {"registry/synthesis/objectives.py", "techniques/__init__.py", "registry/declare/ports/"} <= set(places)
    assert [place for place in places if not (ROOT / place).exists()] == []
    rooms = {f"registry/{file.parent.name}/" for file in (ROOT / "registry").glob("*/__init__.py")}
    assert rooms <= set(places)


def test_what_is_promised_is_what_there_is():
    text = prose("docs/releases.md")
    hooks = {name for name, found in vars(hookspecs).items() if hasattr(found, "timmscope_spec")}
    assert set(re.findall(r"`(register_\w+)`", text)) == hooks
    for name in ("API_VERSION", "OLDEST_API_VERSION"):
        assert f"`{name}`" in text
        assert isinstance(getattr(hookspecs, name), int)
    for name in ("synthesis", "gradients", "testing"):
        assert f"`{name}`" in text
        assert name in timmscope.__all__
        assert getattr(timmscope, name).__all__
