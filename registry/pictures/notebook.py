"""Parts of a result as HTML, for notebooks; every text is escaped."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Callable, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from . import render
from .panels import PANELS, SIDE, cell_text

TINY, REDUCED = 64, 160  # longest sides of the pictures of a wall that stay as they are, and of copies


def figure(data: bytes, kind: str, caption: str) -> str:
    """A picture file of a kind, such as png, with its caption."""
    text = html.escape(caption)
    source = f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
    return f'<figure><img src="{source}" alt="{text}"><figcaption>{text}</figcaption></figure>'


def drawn(label: str, draw: Callable[[Axes], None]) -> str:
    """What draws itself on axes, as a picture."""
    whole = Figure(figsize=(SIDE * 1.5, SIDE), layout="constrained")
    draw(whole.subplots())
    buffer = io.BytesIO()
    whole.savefig(buffer, format="png")
    return figure(buffer.getvalue(), "png", label)


def pictures(label: str, items: Sequence[tuple[Image.Image, str]], crisp: bool = False) -> str:
    """Pictures with their captions; many as a wall of small copies. The pixels of crisp ones stay squares."""
    if len(items) <= PANELS:
        return "".join(figure(render.png(picture), "png", caption) for picture, caption in items)
    tiny = all(max(picture.size) <= TINY for picture, _ in items)
    title = html.escape(f"{label}: {len(items):,} pictures{'' if tiny else ', as small copies'}")
    small = "".join(
        figure(render.png(picture) if tiny else _copy(picture), "png" if tiny else "webp", caption)
        for picture, caption in items
    )
    looks = "wall crisp" if crisp else "wall"
    return f'<figure class="{looks}"><figcaption>{title}</figcaption><div class="row">{small}</div></figure>'


def table(label: str, head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Rows under their titles."""
    cells = "".join(f"<th>{html.escape(title)}</th>" for title in head)
    body = "".join("<tr>" + "".join(f"<td>{html.escape(cell_text(c))}</td>" for c in row) + "</tr>" for row in rows)
    caption = html.escape(label)
    return f"<table><caption>{caption}</caption><thead><tr>{cells}</tr></thead><tbody>{body}</tbody></table>"


def sentence(label: str, text: str) -> str:
    """A text in the place of a picture."""
    return f"<p>{html.escape(label)}: {html.escape(text)}</p>"


def download(label: str, name: str, data: bytes) -> str:
    """A file behind a link."""
    source = f"data:application/octet-stream;base64,{base64.b64encode(data).decode()}"
    return f'<p>{html.escape(label)}: <a href="{source}" download="{html.escape(name)}">{html.escape(name)}</a></p>'


def _copy(picture: Image.Image) -> bytes:
    """A small copy of a picture, as a WebP file."""
    copy = picture.copy()
    copy.thumbnail((REDUCED, REDUCED), reducing_gap=2)
    buffer = io.BytesIO()
    copy.save(buffer, "WEBP", quality=85, method=2)
    return buffer.getvalue()
