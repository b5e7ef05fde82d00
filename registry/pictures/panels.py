"""Parts of a matplotlib figure: pictures, walls of them, bars, curves, points and tables; pyplot is left alone."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from PIL import Image

from . import render
from .values import Placed

COLUMNS, SIDE = 4, 3.2  # panels per row; height of a panel, in inches
WIDTH = SIDE * 1.15  # of a panel, in inches
PANELS = 12  # pictures of one output with a panel each; more are a wall, since every panel takes its time
FRAMES, ROWS, CELL = 4, 12, 60  # frames of an animation, rows of a table and letters of a cell in a figure
TABLE_SIZE, LETTER = 8, 0.6  # size of a table's text, in points; width of a letter, in sizes of its font
READ, LINES = 14, 3  # captions on a wall: letters per line from which one that is cut off says something, most lines
CAPTIONS = 300  # on a wall at most, since each takes its time too
DENSITY = 150  # pixels per inch of a wall
LINE = 38  # characters of a line of a sentence in a panel
COLOR = "#2f6f5e"


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


def pictures(label: str, items: Sequence[tuple[Image.Image, str]], step: int = 1) -> list[Panel]:
    """A panel for each picture with its caption; of many one wall, whose rows are multiples of `step` long."""
    if len(items) > PANELS:
        return [_wall(label, items, step)]
    return [Panel(_picture(*item)) for item in items]


def frames(label: str, animation: Any) -> list[Panel]:
    """A panel for each of a few frames of an animation, uint8 [frames, height, width, 3]."""
    chosen = np.linspace(0, len(animation) - 1, min(FRAMES, len(animation))).round().astype(int)
    of = f" of {len(animation)}" if len(animation) > FRAMES else ""
    return [Panel(_picture(Image.fromarray(animation[i]), f"{label}, frame {i + 1}{of}")) for i in chosen]


def _wall(label: str, pictures: Sequence[tuple[Image.Image, str]], step: int) -> Panel:
    """Many pictures as one, about as high as wide, with their captions where these can be read."""
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
        ax.set_title(f"{label}: {len(pictures):,} pictures, row by row{note}", fontsize=9, parse_math=False)
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


def sentence(label: str, text: str, ax: Axes) -> None:
    """A text in the place of a picture."""
    lines = "\n".join(textwrap.wrap(text, LINE))
    ax.text(0.5, 0.5, lines, ha="center", va="center", fontsize=9, parse_math=False, transform=ax.transAxes)
    ax.set_axis_off()
    ax.set_title(label, fontsize=9, parse_math=False)


def _picture(picture: Image.Image, caption: str) -> Callable[[Axes], None]:
    def draw(ax: Axes) -> None:
        ax.imshow(picture)
        ax.set_axis_off()
        ax.set_title(caption, fontsize=9, parse_math=False, wrap=True)

    return draw


def bars(label: str, scores: Mapping[str, float], ax: Axes) -> None:
    """A bar for each name."""
    ax.barh(range(len(scores)), list(scores.values()), color=COLOR)
    ax.set_yticks(range(len(scores)), list(scores), fontsize=8, parse_math=False)
    ax.invert_yaxis()
    ax.set_title(label, fontsize=9, parse_math=False)


def curves(label: str, values: Mapping[str, Sequence[float]], ax: Axes) -> None:
    """A line for each name, over the steps."""
    lines = [ax.plot(range(1, len(line) + 1), list(line))[0] for line in values.values()]
    for text in ax.legend(lines, list(values), fontsize=8).get_texts():
        text.set_parse_math(False)
    ax.set_xlabel("step")
    ax.set_title(label, fontsize=9, parse_math=False)


def points(label: str, value: Placed, ax: Axes) -> None:
    """Points in the colours of their labels, with a legend."""
    positions, colors = np.asarray(value.positions), render.label_colors(value.labels)
    x, y = positions.T
    ax.scatter(x, y, s=12, c=[colors.get(name, render.NO_LABEL) for name in value.labels])
    if colors:
        marks = [ax.scatter([], [], s=12, c=color) for color in colors.values()]
        legend = ax.legend(marks, list(colors), fontsize=6, loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
        for text in legend.get_texts():
            text.set_parse_math(False)
    ax.set_xticks([])
    ax.set_yticks([])
    ax.set_title(label, fontsize=9, parse_math=False)


def table(label: str, head: Sequence[str], rows: Sequence[Sequence[Any]]) -> Panel:
    """The first rows of a table, on a panel that they fit."""
    shown = [list(head)] * bool(head)
    shown += [[_cut(cell_text(cell)) for cell in row] for row in rows[:ROWS]]
    letters = [max(map(len, column)) + 3 for column in zip(*shown)]
    inches = sum(letters) * TABLE_SIZE * LETTER / 72
    wide = inches > WIDTH
    size = TABLE_SIZE * min(1, WIDTH * (COLUMNS if wide else 1) / inches)

    def draw(ax: Axes) -> None:
        widths = [count * size * LETTER / 72 / ax.get_window_extent().width * ax.figure.dpi for count in letters]
        drawn = ax.table(shown, colWidths=widths, loc="upper center", cellLoc="left", edges="horizontal")
        drawn.auto_set_font_size(False)
        drawn.set_fontsize(size)
        for cell in drawn.get_celld().values():
            cell.get_text().set_parse_math(False)
        ax.set_axis_off()
        more = f", {ROWS} of {len(rows):,} rows" if len(rows) > ROWS else ""
        ax.set_title(label + more, fontsize=9, parse_math=False)

    return Panel(draw, 0.25 * len(shown) + 0.4 if wide else SIDE, wide)


def _cut(text: str) -> str:
    return text if len(text) <= CELL else f"{text[:CELL]} …"


def cell_text(value: Any) -> str:
    """A cell of a table."""
    if value is None:
        return render.NOTHING
    return f"{value:.4g}" if isinstance(value, (float, np.floating)) else str(value)
