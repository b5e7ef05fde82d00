"""Blocks of code in the documentation, for the tests that run them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from .serving import ROOT

ADDRESS = "http://127.0.0.1:7860"  # where the documentation finds the app
BLOCK = re.compile(r"^```(\S+)(?: (\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A block of code: the page and line it is on, its language, how it is used (the word after it), and the code."""

    page: str
    line: int
    language: str
    use: str
    code: str

    @property
    def kind(self) -> tuple[str, str]:
        """Language and use, which decide how it is run."""
        return self.language, self.use


def blocks(page: str) -> list[Block]:
    """The blocks of a page, in order; every fence must belong to one.

    Args:
        page: Its path in the repository.
    """
    text = (ROOT / page).read_text(encoding="utf-8")
    found = [
        Block(page, text.count("\n", 0, match.start()) + 1, match[1], match[2] or "", match[3])
        for match in BLOCK.finditer(text)
    ]
    assert len(re.findall(r"^\s*(?:```|~~~)", text, re.MULTILINE)) == 2 * len(found), f"{page} has an odd fence"
    return found


def pages() -> list[str]:
    """Every page that people read, the README first, as paths in the repository."""
    others = [file for folder in (ROOT, ROOT / ".github") for file in sorted(folder.glob("*.md"))]
    files = [ROOT / "README.md", *others, *sorted((ROOT / "docs").rglob("*.md"))]
    return list(dict.fromkeys(file.relative_to(ROOT).as_posix() for file in files))


def prose(page: str) -> str:
    """A page without its blocks of code."""
    return BLOCK.sub("", (ROOT / page).read_text(encoding="utf-8"))


def executable(folder: Path, name: str, command: str) -> Path:
    """Make a command called `name` in a folder, for the PATH of a shell.

    Args:
        folder: The folder, made if missing.
        name: What it is called.
        command: What it runs, with the arguments it is given.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / name
    file.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
    file.chmod(0o755)
    return file
