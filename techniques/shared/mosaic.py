"""Photos laid out on one picture: at their coordinates, or each in a cell of a grid."""

import functools
import math

from timmscope import render

OVERLAP = 0.65  # side of a photo at its coordinates, in shares of the side it would have on a grid
LARGEST = 256  # side of a photo on the picture, in pixels, at most
FRAME = 0.045  # width of a coloured frame, in shares of the photo
LEGEND = 0.016  # height of the letters of the legend, in shares of the width of the picture


def grid_cells(positions):
    """A cell for each point on the smallest grid that is nearly square, so that all together move the least.

    The cost of a cell is its squared distance to the point, after the points are stretched over the grid.

    Args:
        positions: [n, 2], x and y upwards.

    Returns:
        Rows and columns, int [n, 2], no two the same; the number of rows and of columns.

    Source:
        The linear assignment problem; scipy's `linear_sum_assignment`.
    """
    import numpy as np
    from scipy.optimize import linear_sum_assignment
    from scipy.spatial.distance import cdist

    columns = math.ceil(math.sqrt(len(positions)))
    rows = math.ceil(len(positions) / columns)
    cells = np.stack(list(np.mgrid[:rows, :columns]), axis=-1).reshape(-1, 2)
    points = stretched(positions) * (rows - 1, columns - 1)
    _, chosen = linear_sum_assignment(cdist(points, cells, "sqeuclidean"))
    return cells[chosen], rows, columns


def stretched(positions):
    """Points [n, 2], x and y upwards, as shares of the height from the top and of the width from the left."""
    import numpy as np

    span = np.ptp(positions, axis=0)
    shares = np.where(span > 0, (positions - positions.min(0)) / np.where(span > 0, span, 1), 0.5)
    return np.stack([1 - shares[:, 1], shares[:, 0]], axis=1)


def side(count: int, layout: str, width: int) -> int:
    """Side of each photo in pixels, on a map of `count` photos whose longest side is at most `width`."""
    across = math.ceil(math.sqrt(count))
    return max(1, min(LARGEST, int(width / across * (1 if layout == "grid" else OVERLAP))))


def plan(positions, layout: str, width: int, side: int):
    """Where the photos go.

    Args:
        positions: [n, 2], x and y upwards.
        layout: "scatter" or "grid".
        width: Longest side of the picture, in pixels, at most.
        side: Side of each photo, in pixels.

    Returns:
        Top and left of each photo, int [n, 2]; height and width of the picture.
    """
    import numpy as np

    if layout == "grid":
        cells, rows, columns = grid_cells(positions)
        return cells * side, (rows * side, columns * side)
    longest = min(width, 2 * LARGEST * math.ceil(math.sqrt(len(positions)))) - side
    span = np.ptp(positions, axis=0)[::-1]
    extent = longest * span / (span.max() or 1)  # one scale for both axes
    return (stretched(positions) * extent).round().astype(int), tuple(math.ceil(e) + side for e in extent.tolist())


def draw(places, size, pictures, labels):
    """The picture: every photo at its place, framed in the colour of its label, and a legend below.

    Args:
        places: Top and left of each photo, int [n, 2].
        size: Height and width.
        pictures: Square photos, PIL images of one size.
        labels: The label of each; empty where unknown.

    Returns:
        uint8 [height, width, 4]; what is empty is see-through, so that it fits light and dark pages.
    """
    import numpy as np
    from PIL import Image, ImageDraw

    colors = render.label_colors(labels)
    legend = legend_picture(colors, size[1]) if colors else None
    whole = Image.new("RGBA", (size[1], size[0] + (legend.height if legend else 0)))
    brush = ImageDraw.Draw(whole)
    for (top, left), picture, label in zip(places.tolist(), pictures, labels):
        whole.paste(picture, (left, top))
        if colors:
            frame = max(1, round(FRAME * picture.width))
            box = (left, top, left + picture.width - 1, top + picture.height - 1)
            brush.rectangle(box, outline=colors.get(label, render.NO_LABEL), width=frame)
    if legend:
        whole.paste(legend, (0, size[0]))
    return np.asarray(whole)


def legend_picture(colors, width: int):
    """The labels on their colours, in as many rows as it takes."""
    from PIL import Image, ImageDraw

    height = max(9, round(LEGEND * width))
    font, gap = letters(height), height // 2
    boxes, left, top = [], 0, gap
    for label in colors:
        text = label if len(label) <= 40 else f"{label[:39]}…"
        wide = min(width, round(font.getlength(text)) + 2 * gap)
        if left + wide > width:
            left, top = 0, top + 2 * height + gap
        boxes.append((text, colors[label], (left, top, left + wide - 1, top + 2 * height - 1)))
        left += wide + gap
    picture = Image.new("RGBA", (width, top + 2 * height))
    brush = ImageDraw.Draw(picture)
    for text, color, box in boxes:
        brush.rounded_rectangle(box, height // 2, fill=color)
        brush.text((box[0] + gap, (box[1] + box[3]) / 2), text, fill=contrast(color), font=font, anchor="lm")
    return picture


def contrast(color: str) -> str:
    """Black or white, whichever is easier to read on a colour #rrggbb."""
    red, green, blue = (int(color[i : i + 2], 16) for i in (1, 3, 5))
    return "black" if 0.299 * red + 0.587 * green + 0.114 * blue > 140 else "white"


@functools.lru_cache(maxsize=8)
def letters(height: int):
    """DejaVu Sans, which comes with matplotlib, in a height in pixels."""
    from matplotlib import font_manager
    from PIL import ImageFont

    return ImageFont.truetype(font_manager.findfont("DejaVu Sans"), height)
