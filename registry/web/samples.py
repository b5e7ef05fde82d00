"""Sample photos on the page: files the server may serve, and buttons that put one into a photo input."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image

from .. import render
from ..photos import decode
from ..plugins import plugins
from ..runner import sample
from .temporary import cached

FIRST = "chelsea"
THUMBNAIL = 96  # pixels


def sample_file(name: str) -> str:
    """A sample photo as a file the server may serve."""
    source = sample(name)
    if isinstance(source, Path):
        return cached(source.read_bytes(), f"{name}{source.suffix}", keep=True)
    return cached(render.png(decode(source)), f"{name}.png", keep=True)


def chosen_file(name: str, otherwise: str) -> str | None:
    """The file of the sample that a link names, else of another one, else None."""
    name = name.removeprefix("sample:").rsplit(".", 1)[0]
    name = name if name in plugins().samples else otherwise
    return sample_file(name) if name in plugins().samples else None


def sample_files() -> gr.File:
    """All samples, out of sight, in the order of the plugins: the browser holds their addresses from the start."""
    return gr.File([sample_file(name) for name in plugins().samples], file_count="multiple", visible=False)


def sample_buttons(photo: Any, files: gr.File, prefix: str = "sample") -> None:
    """A button a sample, which puts it into the photo input at a click.

    It takes no way to the server and back: a run that is started right after the click sees the new photo.
    """
    with gr.Row(elem_classes="samples"):
        for index, name in enumerate(plugins().samples):
            button = gr.Button(name, icon=_thumbnail(name), size="sm", min_width=92, elem_id=f"{prefix}-{name}")
            button.click(None, files, photo, js=f"files => files[{index}]")


def _thumbnail(name: str) -> str:
    picture = decode(sample(name))
    picture.thumbnail((THUMBNAIL, THUMBNAIL), Image.Resampling.LANCZOS)
    return cached(render.png(picture), f"{name}-thumbnail.png", keep=True)
