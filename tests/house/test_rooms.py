"""The rooms: one direction of imports, one name for everything, and techniques that use the API alone."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from ..serving import ROOT

SOURCES = [file for room in ("timmscope", "registry", "techniques", "examples") for file in (ROOT / room).rglob("*.py")]
OTHERS = [file for room in ("tests", "benchmarks", "docs") for file in (ROOT / room).rglob("*.py")]


def imported(file: Path) -> list[str]:
    """What a file imports by its whole name."""
    nodes = list(ast.walk(ast.parse(file.read_text(encoding="utf-8"))))
    found = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    return found + [node.module or "" for node in nodes if isinstance(node, ast.ImportFrom) and not node.level]


def test_a_room_imports_from_rooms_below_it_only():
    code = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert "2 kept, 0 broken" in done.stdout


def test_everything_is_imported_as_timmscope():
    for file in (ROOT / "app.py", *SOURCES, *OTHERS):
        roots = {name.partition(".")[0] for name in imported(file)}
        assert not roots & {"registry", "techniques"}, f"{file}: import timmscope.registry, else it is loaded twice"


@pytest.mark.parametrize("room", ["techniques", "examples"])
def test_techniques_use_the_api_alone(room):
    for file in (ROOT / room).rglob("*.py"):
        private = [name for name in imported(file) if name.startswith(("timmscope.registry", "timmscope.techniques"))]
        assert not private, f"{file.name}: {private}"
