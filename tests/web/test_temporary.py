"""Files the server may serve: whole, bounded in bytes, and the page's own stay."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import timmscope
from timmscope.registry.web import temporary


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    return tmp_path


def aged(path: str, age: int) -> str:
    os.utime(path, (1000 - age, 1000 - age))
    return path


def test_equal_files_share_a_path_and_are_whole(folder):
    path = temporary.cached(b"one", "a.txt")
    assert temporary.cached(b"one", "a.txt") == path
    assert Path(path).read_bytes() == b"one"
    assert [file.name for file in folder.rglob("*") if file.is_file()] == ["a.txt"]


def test_the_oldest_go_when_there_are_too_many_bytes(folder):
    old, young = aged(temporary.cached(b"x" * 100, "old"), 9), aged(temporary.cached(b"y" * 100, "young"), 1)
    assert temporary.sweep(folder, 200) == 200
    assert os.path.exists(old)
    assert temporary.sweep(folder, 150) == 100
    assert not os.path.exists(old)
    assert not Path(old).parent.exists()
    assert os.path.exists(young)


def test_what_the_page_is_made_of_stays(folder):
    page = aged(temporary.cached(b"x" * 100, "page.png", keep=True), 9)
    result = aged(temporary.cached(b"y" * 100, "result.png"), 1)
    assert temporary.sweep(folder, 100) == 100
    assert os.path.exists(page)
    assert not os.path.exists(result)


def test_what_cannot_be_written_is_an_answer(folder):
    (folder / "file").write_text("no folder")
    os.environ["GRADIO_TEMP_DIR"] = str(folder / "file")
    with pytest.raises(timmscope.TimmscopeError, match="has no room for results now"):
        temporary.cached(b"one", "a.txt")
