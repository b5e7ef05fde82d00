"""The list of situations and the tests that hold them name the same numbers."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
LISTED = re.findall(r"^\| (\d+) \|", (ROOT / "docs" / "cases.md").read_text(encoding="utf-8"), re.MULTILINE)
MARKED = {
    number
    for path in (ROOT / "tests").rglob("test_*.py")
    for numbers in re.findall(r"mark\.case\(([\d, ]+)\)", path.read_text(encoding="utf-8"))
    for number in numbers.split(", ")
}


@pytest.mark.parametrize("number", LISTED)
def test_a_situation_has_a_test(number):
    assert number in MARKED


def test_every_mark_is_listed():
    assert set(LISTED) >= MARKED
    assert [str(i) for i in range(1, len(LISTED) + 1)] == LISTED
