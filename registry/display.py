"""A result for people: as HTML for notebooks, and as one matplotlib figure. Nothing of pyplot's state is touched."""

from __future__ import annotations

import base64
import html
import io
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from . import render
from .ports import Animation, Curves, Output, Points, Scores, Table
from .result import Result
from .values import Placed

COLUMNS, SIDE = 4, 3.2  # panels a row; height of a panel, in inches
FRAMES, ROWS = 4, 12  # frames of a film and rows of a table in a figure
COLOR = "#2f6f5e"
STYLE = (
    "<style>.timmscope{font-family:system-ui,sans-serif}.timmscope .row{display:flex;flex-wrap:wrap;gap:12px}"
    ".timmscope figure{margin:0;max-width:100%}.timmscope img{height:240px;max-width:100%;object-fit:contain}"
    ".timmscope figcaption{font-size:85%;max-width:320px}.timmscope td,.timmscope th{text-align:left;padding:2px 8px}"
    ".timmscope .notes{font-size:90%}</style>"
)


def page(result: Result) -> str:
    """The result as HTML: title, pictures with captions, scores, curves, tables and notes; every text is escaped."""
    parts = [_html(port, result) for port in result.technique.outputs]
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
    """The result as one figure: a panel for each picture, for the scores, for the curves and for each table."""
    panels = [panel for port in result.technique.outputs for panel in _panels(port, result)]
    columns = min(COLUMNS, len(panels))
    rows = math.ceil(len(panels) / columns)
    whole = Figure(figsize=(columns * SIDE * 1.15, rows * SIDE + 0.5), layout="constrained")
    axes = np.atleast_1d(np.asarray(whole.subplots(rows, columns))).ravel()
    for draw, ax in zip(panels, axes):
        draw(ax)
    for ax in axes[len(panels) :]:
        ax.set_axis_off()
    whole.suptitle(result.technique.title, parse_math=False)
    return whole


def _html(port: Output, result: Result) -> str:
    value = result.outputs[port.name]
    label = html.escape(port.label)
    if isinstance(port, Scores):
        head, rows = ("Class", "Probability"), [(name, f"{score:.1%}") for name, score in value.top().items()]
        return _table(label, head, rows)
    if isinstance(port, Table):
        return _table(label, port.columns, value)
    if isinstance(port, (Curves, Points)):
        drawn = Figure(figsize=(SIDE * 1.5, SIDE), layout="constrained")
        draw = _curves if isinstance(port, Curves) else _points
        draw(port, value, drawn.subplots())  # type: ignore[arg-type]  # each with its port
        buffer = io.BytesIO()
        drawn.savefig(buffer, format="png")
        return _figure(buffer.getvalue(), "png", port.label)
    if isinstance(port, Animation):
        return _figure(render.film(value), "webp", port.label)
    return "".join(_figure(render.png(picture), "png", caption) for picture, caption in result.pictures[port.name])


def _figure(data: bytes, kind: str, caption: str) -> str:
    text = html.escape(caption)
    source = f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
    return f'<figure><img src="{source}" alt="{text}"><figcaption>{text}</figcaption></figure>'


def _table(label: str, head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    cells = "".join(f"<th>{html.escape(title)}</th>" for title in head)
    body = "".join("<tr>" + "".join(f"<td>{html.escape(_text(c))}</td>" for c in row) + "</tr>" for row in rows)
    return f"<table><caption>{label}</caption><thead><tr>{cells}</tr></thead><tbody>{body}</tbody></table>"


def _panels(port: Output, result: Result) -> list[Callable[[Axes], None]]:
    value = result.outputs[port.name]
    if isinstance(port, Scores):
        return [lambda ax: _bars(port, value.top(), ax)]
    if isinstance(port, Table):
        return [lambda ax: _grid(port, value, ax)]
    if isinstance(port, Curves):
        return [lambda ax: _curves(port, value, ax)]
    if isinstance(port, Points):
        return [lambda ax: _points(port, value, ax)]
    if isinstance(port, Animation):
        chosen = np.linspace(0, len(value) - 1, min(FRAMES, len(value))).round().astype(int)
        frames = [(Image.fromarray(value[i]), f"{port.label}, frame {i + 1}") for i in chosen]
        return [_picture(*frame) for frame in frames]
    return [_picture(*item) for item in result.pictures[port.name]]


def _picture(picture: Image.Image, caption: str) -> Callable[[Axes], None]:
    def draw(ax: Axes) -> None:
        ax.imshow(picture)
        ax.set_axis_off()
        ax.set_title(caption, fontsize=9, parse_math=False, wrap=True)

    return draw


def _bars(port: Scores, scores: dict[str, float], ax: Axes) -> None:
    ax.barh(range(len(scores)), list(scores.values()), color=COLOR)
    ax.set_yticks(range(len(scores)), list(scores), fontsize=8, parse_math=False)
    ax.invert_yaxis()
    ax.set_title(port.label, fontsize=9, parse_math=False)


def _curves(port: Curves, curves: dict[str, Sequence[float]], ax: Axes) -> None:
    lines = [ax.plot(range(1, len(values) + 1), list(values))[0] for values in curves.values()]
    for text in ax.legend(lines, list(curves), fontsize=8).get_texts():
        text.set_parse_math(False)
    ax.set_xlabel("step")
    ax.set_title(port.label, fontsize=9, parse_math=False)


def _points(port: Points, value: Placed, ax: Axes) -> None:
    positions, colors = np.asarray(value.positions), render.label_colors(value.labels)
    x, y = positions.T
    ax.scatter(x, y, s=12, c=[colors.get(label, render.NO_LABEL) for label in value.labels])
    if colors:
        marks = [ax.scatter([], [], s=12, c=color) for color in colors.values()]
        legend = ax.legend(marks, list(colors), fontsize=6, loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
        for text in legend.get_texts():
            text.set_parse_math(False)
    ax.set_xticks([])
    ax.set_yticks([])
    ax.set_title(port.label, fontsize=9, parse_math=False)


def _grid(port: Table, rows: Sequence[Sequence[Any]], ax: Axes) -> None:
    shown = [[_text(cell) for cell in row] for row in rows[:ROWS]]
    table = ax.table(cellText=shown, colLabels=list(port.columns) or None, loc="upper center", cellLoc="left")
    for cell in table.get_celld().values():
        cell.get_text().set_parse_math(False)
    ax.set_axis_off()
    more = f", {ROWS} of {len(rows)} rows" if len(rows) > ROWS else ""
    ax.set_title(port.label + more, fontsize=9, parse_math=False)


def _text(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, (float, np.floating)) else str(value)
