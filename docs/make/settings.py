"""The table of settings in docs/operators.md, from the settings themselves.

python -m docs.make.settings
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from timmscope.registry.base.settings import Settings

PAGE = Path(__file__).parents[1] / "operators.md"
HEAD = "| variable | default | what it sets |\n|---|---|---|\n"
UNITS = {2**30: "GiB", 2**20: "MiB"}


def table() -> str:
    """A row for each setting."""
    rows = []
    for name, field in Settings.model_fields.items():
        rows.append(f"| `TIMMSCOPE_{name.upper()}` | {_shown(name, field.default)} | {field.description} |\n")
    return HEAD + "".join(rows)


def _shown(name: str, value: Any) -> str:
    if value == "":
        return "empty"
    if name.endswith("_bytes"):
        size, unit = next((size, unit) for size, unit in UNITS.items() if value % size == 0)
        return f"`{value}` ({value // size} {unit})"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def written() -> str:
    """The table as the page has it."""
    text = PAGE.read_text(encoding="utf-8")
    return text[text.index(HEAD) :].split("\n\n", 1)[0] + "\n"


def main() -> None:
    """Write the table into the page."""
    text = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(text.replace(written(), table()), encoding="utf-8")


if __name__ == "__main__":
    main()
