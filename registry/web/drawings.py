"""Outputs that Gradio has no component for: photos as points that show themselves, and pictures to zoom into."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image

from ..pictures import render
from ..pictures.values import Placed

HERE = Path(__file__).parent
REDUCED = 1200  # longest side of the copy of a large picture on the page, in pixels
QUALITY = 82  # of copies that only the page shows
LARGE = """<a class="large" target="_blank" ${value ? `href="${value.whole.url}"` : 'hidden'}>
<img alt="${label}" ${value ? `src="${value.reduced.url}"` : ''}>
<span>${value ? `Open the whole picture: ${value.size}` : ''}</span></a>"""
LARGE_STYLE = ".large[hidden] { display: none; } .large img { display: block; width: 100%; margin: 1.7rem 0 0.4rem; }"


def scatter(label: str) -> gr.HTML:
    """The component of points: pointing at one shows the photo."""
    template, style, script = ((HERE / f"scatter.{kind}").read_text("utf-8") for kind in ("html", "css", "js"))
    return gr.HTML(
        html_template=template, css_template=style, js_on_load=script, label=label, show_label=True, container=True
    )


def scatter_value(value: Placed, cached: Any) -> dict[str, Any]:
    """What the scatter component receives: the points, the colours of labels, and all photos in one picture."""
    sprite = render.sprite(value.pictures)
    return {
        "points": value.records(),
        "colors": render.label_colors(value.labels),
        "columns": sprite.width // value.pictures.shape[2],
        "sprite": _served(cached(_webp(sprite), "photos.webp")),
    }


def large_picture(label: str) -> gr.HTML:
    """The component of a picture to zoom into: a reduced copy that opens the whole one."""
    return gr.HTML(html_template=LARGE, css_template=LARGE_STYLE, label=label, show_label=True, container=True)


def large_value(picture: Image.Image, file: str, cached: Any) -> dict[str, Any]:
    """What that component receives.

    Args:
        picture: The whole picture.
        file: Where the server has it, as PNG.
        cached: Writes a file that the server may serve.
    """
    copy = picture.copy()
    copy.thumbnail((REDUCED, REDUCED), Image.Resampling.LANCZOS)
    size = f"{picture.width:,} x {picture.height:,} pixels, {Path(file).stat().st_size / 2**20:.1f} MiB"
    return {"reduced": _served(cached(_webp(copy), "reduced.webp")), "whole": _served(file), "size": size}


def _webp(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "WEBP", quality=QUALITY)
    return buffer.getvalue()


def _served(path: str) -> dict[str, Any]:
    """A file as Gradio hands it to the browser, where it gets an address."""
    return {"path": path, "meta": {"_type": "gradio.FileData"}}
