"""A result for people: as HTML for notebooks, and as one matplotlib figure. Nothing of pyplot's state is touched."""

from __future__ import annotations

import base64
import html
import io
import math
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from ..declare.ports import WALL, Animation, Curves, Output, Points, Scores, Table
from ..pictures import render
from ..pictures.values import Absent, Placed
from .result import Result

COLUMNS, SIDE = 4, 3.2  # panels a row; height of a panel, in inches
WIDTH = SIDE * 1.15  # of a panel, in inches
PANELS = 12  # pictures of one output with a panel each; more are a wall, since every panel takes its time
FRAMES, ROWS, CELL = 4, 12, 60  # frames of a film, rows of a table and letters of a cell in a figure
TABLE_SIZE, LETTER = 8, 0.6  # size of a table's text, in points; width of a letter, in sizes of its font
READ, LINES = 14, 3  # captions on a wall: letters a line from which one that is cut off says something, and most lines
CAPTIONS = 300  # on a wall at most, since each takes its time too
DENSITY = 150  # pixels an inch of a wall
TINY, REDUCED = 64, 160  # longest sides of the pictures of a wall in a notebook that stay as they are, and of copies
LINE = 38  # characters of a line of a sentence in a panel
COLOR = "#2f6f5e"
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
    """The result as one figure: a panel for each picture, for the scores, for the curves and for each table.

    Of many pictures there is a wall, on one panel as wide as the figure; so are large tables. These come last.
    """
    panels = [panel for port in result.technique.outputs for panel in _panels(port, result)]
    small, wide = ([panel for panel in panels if panel.wide == is_wide] for is_wide in (False, True))
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


@dataclass
class Panel:
    """A part of a figure.

    Args:
        draw: Draws it.
        height: In inches.
        wide: It takes a row for itself.
    """

    draw: Callable[[Axes], None]
    height: float = SIDE
    wide: bool = False


def _html(port: Output, result: Result) -> str:
    value = result.outputs[port.name]
    label = html.escape(port.label)
    if isinstance(value, Absent):
        return f"<p>{label}: {html.escape(value.why)}</p>"
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
    pictures = result.pictures[port.name]
    if len(pictures) <= PANELS:
        return "".join(_figure(render.png(picture), "png", caption) for picture, caption in pictures)
    tiny = all(max(picture.size) <= TINY for picture, _ in pictures)
    title = html.escape(f"{port.label}: {len(pictures):,} pictures{'' if tiny else ', as small copies'}")
    small = "".join(
        _figure(render.png(picture) if tiny else _copy(picture), "png" if tiny else "webp", caption)
        for picture, caption in pictures
    )
    looks = "wall crisp" if getattr(port, "crisp", False) else "wall"
    return f'<figure class="{looks}"><figcaption>{title}</figcaption><div class="row">{small}</div></figure>'


def _copy(picture: Image.Image) -> bytes:
    """A small copy of a picture, as a WebP file."""
    copy = picture.copy()
    copy.thumbnail((REDUCED, REDUCED), reducing_gap=2)
    buffer = io.BytesIO()
    copy.save(buffer, "WEBP", quality=85, method=2)
    return buffer.getvalue()


def _figure(data: bytes, kind: str, caption: str) -> str:
    text = html.escape(caption)
    source = f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
    return f'<figure><img src="{source}" alt="{text}"><figcaption>{text}</figcaption></figure>'


def _table(label: str, head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    cells = "".join(f"<th>{html.escape(title)}</th>" for title in head)
    body = "".join("<tr>" + "".join(f"<td>{html.escape(_text(c))}</td>" for c in row) + "</tr>" for row in rows)
    return f"<table><caption>{label}</caption><thead><tr>{cells}</tr></thead><tbody>{body}</tbody></table>"


def _panels(port: Output, result: Result) -> list[Panel]:
    value = result.outputs[port.name]
    if isinstance(value, Absent):
        return [Panel(lambda ax: _sentence(port, value, ax))]
    if isinstance(port, Scores):
        return [Panel(lambda ax: _bars(port, value.top(), ax))]
    if isinstance(port, Table):
        return [_grid(port, value)]
    if isinstance(port, Curves):
        return [Panel(lambda ax: _curves(port, value, ax))]
    if isinstance(port, Points):
        return [Panel(lambda ax: _points(port, value, ax))]
    if isinstance(port, Animation):
        chosen = np.linspace(0, len(value) - 1, min(FRAMES, len(value))).round().astype(int)
        of = f" of {len(value)}" if len(value) > FRAMES else ""
        return [Panel(_picture(Image.fromarray(value[i]), f"{port.label}, frame {i + 1}{of}")) for i in chosen]
    pictures = result.pictures[port.name]
    return [_wall(port, pictures)] if len(pictures) > PANELS else [Panel(_picture(*item)) for item in pictures]


def _wall(port: Output, pictures: Sequence[tuple[Image.Image, str]]) -> Panel:
    """Many pictures as one, about as high as wide, with their captions where these can be read."""
    step = getattr(port, "columns", 1)
    step = step if step >= WALL else 1  # from there on a row of the page may mean something
    width, height = pictures[0][0].size
    columns = step * math.ceil(math.sqrt(len(pictures) * height / width) / step)
    cell = COLUMNS * WIDTH / columns  # inches
    size = min(9, max(6.5, 2.5 * cell))  # of captions, in points
    letters = int(cell * 72 / size / LETTER)
    texts: list[list[str]] = []
    if len(pictures) <= CAPTIONS and letters >= min(READ, max(len(caption) for _, caption in pictures)):
        texts = [textwrap.wrap(caption, letters, max_lines=LINES, placeholder=" …") for _, caption in pictures]
    lines = max(map(len, texts), default=0)
    tiles = render.same_size([_fitted(picture, round(cell * DENSITY)) for picture, _ in pictures])
    side, (across, down) = tiles[0].shape[1] / cell, (tiles[0].shape[1], tiles[0].shape[0])  # pixels an inch
    gap, strip = max(1, round(0.04 * side)), math.ceil(lines * size * 1.3 / 72 * side)
    whole = render.wall([render.below(tile, strip) for tile in tiles], columns, gap)

    def draw(ax: Axes) -> None:
        ax.imshow(whole)
        ax.set_axis_off()
        note = "" if texts else "; their captions are in result.pictures"
        ax.set_title(f"{port.label}: {len(pictures):,} pictures, row by row{note}", fontsize=9, parse_math=False)
        for i, text in enumerate(texts):
            x, y = i % columns * (across + gap) + across / 2, i // columns * (down + strip + gap) + down
            ax.text(x, y, "\n".join(text), size=size, ha="center", va="top", parse_math=False).set_in_layout(False)

    return Panel(draw, COLUMNS * WIDTH * whole.shape[0] / whole.shape[1] + 0.3, wide=True)


def _fitted(picture: Image.Image, side: int) -> np.ndarray:
    """A picture of a wall: at most `side` pixels wide, and the pixels of a tiny one enlarged as they are."""
    copy = picture.copy()
    copy.thumbnail((side, picture.height), reducing_gap=2)
    times = max(1, side // copy.width)
    return np.asarray(copy).repeat(times, axis=0).repeat(times, axis=1)


def _sentence(port: Output, value: Absent, ax: Axes) -> None:
    text = "\n".join(textwrap.wrap(value.why, LINE))
    ax.text(0.5, 0.5, text, ha="center", va="center", fontsize=9, parse_math=False, transform=ax.transAxes)
    ax.set_axis_off()
    ax.set_title(port.label, fontsize=9, parse_math=False)


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


def _grid(port: Table, rows: Sequence[Sequence[Any]]) -> Panel:
    """The first rows of a table, on a panel that they fit."""
    shown = [list(port.columns)] * bool(port.columns)
    shown += [[_cut(_text(cell)) for cell in row] for row in rows[:ROWS]]
    letters = [max(map(len, column)) + 3 for column in zip(*shown)]
    inches = sum(letters) * TABLE_SIZE * LETTER / 72
    wide = inches > WIDTH
    size = TABLE_SIZE * min(1, WIDTH * (COLUMNS if wide else 1) / inches)

    def draw(ax: Axes) -> None:
        widths = [count * size * LETTER / 72 / ax.get_window_extent().width * ax.figure.dpi for count in letters]
        table = ax.table(shown, colWidths=widths, loc="upper center", cellLoc="left", edges="horizontal")
        table.auto_set_font_size(False)
        table.set_fontsize(size)
        for cell in table.get_celld().values():
            cell.get_text().set_parse_math(False)
        ax.set_axis_off()
        more = f", {ROWS} of {len(rows):,} rows" if len(rows) > ROWS else ""
        ax.set_title(port.label + more, fontsize=9, parse_math=False)

    return Panel(draw, 0.25 * len(shown) + 0.4 if wide else SIDE, wide)


def _cut(text: str) -> str:
    return text if len(text) <= CELL else f"{text[:CELL]} …"


def _text(value: Any) -> str:
    if value is None:
        return render.NOTHING
    return f"{value:.4g}" if isinstance(value, (float, np.floating)) else str(value)
