"""A result for people: as HTML for notebooks, and as one matplotlib figure. Nothing of pyplot's state is touched."""

from __future__ import annotations

import html
from typing import Any

from matplotlib.figure import Figure

from ..declare.ports import Output
from ..pictures import notebook, panels
from ..pictures.panels import COLUMNS, WIDTH, Panel
from ..pictures.values import Absent
from .result import Result

STYLE = (
    "<style>.timmscope{font-family:system-ui,sans-serif}.timmscope .row{display:flex;flex-wrap:wrap;gap:12px}"
    ".timmscope figure{margin:0;max-width:100%}.timmscope img{height:240px;max-width:100%;object-fit:contain}"
    ".timmscope figcaption{font-size:85%;max-width:320px}.timmscope td,.timmscope th{text-align:left;padding:2px 8px}"
    ".timmscope .notes{font-size:90%}.timmscope .wall{flex-basis:100%}.timmscope .wall img{height:112px}"
    ".timmscope .crisp img{image-rendering:pixelated}.timmscope .wall .row{gap:4px}"
    ".timmscope .wall .row figcaption{font-size:65%;max-width:120px}</style>"
)


def page(result: Result) -> str:
    """The result as HTML: title, pictures with captions, scores, curves, tables and notes; every text is escaped."""
    parts = [_html(port, result.outputs[port.name]) for port in result.technique.outputs]
    pictures = "".join(part for part in parts if part.startswith("<figure"))
    others = "".join(part for part in parts if not part.startswith("<figure"))
    made_of = result.recipe.get("model", {})
    model = html.escape(f"{made_of['name']}, {made_of['weights']} weights") if made_of else ""
    notes = "".join(f"<li>{html.escape(note)}</li>" for note in result.notes)
    return (
        f'{STYLE}<div class="timmscope"><h3>{html.escape(result.technique.title)}</h3><p>{model}</p>'
        f'<div class="row">{pictures}</div><div class="row">{others}</div>'
        f"{f'<ul class=notes>{notes}</ul>' if notes else ''}</div>"
    )


def figure(result: Result) -> Figure:
    """The result as one figure: a panel for each picture, for the scores, for the curves and for each table.

    Of many pictures there is a wall, on one panel as wide as the figure; so are large tables. These come last.
    """
    found = [panel for port in result.technique.outputs for panel in _panels(port, result.outputs[port.name])]
    small, wide = ([panel for panel in found if panel.wide == is_wide] for is_wide in (False, True))
    rows = [*(small[i : i + COLUMNS] for i in range(0, len(small), COLUMNS)), *([panel] for panel in wide)]
    columns = COLUMNS if wide else len(rows[0])
    heights = [row[0].height for row in rows]
    whole = Figure(figsize=(columns * WIDTH, sum(heights) + 0.5), layout="constrained")
    grid = whole.add_gridspec(len(rows), columns, height_ratios=heights)
    for i, row in enumerate(rows):
        for j, panel in enumerate(row):
            panel.draw(whole.add_subplot(grid[i, :] if panel.wide else grid[i, j]))
    whole.suptitle(result.technique.title, parse_math=False)
    return whole


def _html(port: Output, value: Any) -> str:
    return notebook.sentence(port.label, value.why) if isinstance(value, Absent) else port.html(value)


def _panels(port: Output, value: Any) -> list[Panel]:
    if isinstance(value, Absent):
        return [Panel(lambda ax: panels.sentence(port.label, value.why, ax))]
    return port.panels(value)
