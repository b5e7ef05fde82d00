"""Sample photos on the page: files the server may serve, and buttons that put one into a photo input."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image

from ..photos.decoding import decode
from ..pictures import render
from ..plugins.discovery import plugins
from ..runs.inputs import sample
from .temporary import cached

FIRST = "chelsea"
THUMBNAIL = 96  # pixels
logger = logging.getLogger("timmscope.web")


class Samples:
    """The sample photos of a page; one that cannot be read or kept is left out.

    The browser holds the addresses of their files from the start. A click on one takes no way to the server and back,
    so that a run that is started right after it sees the new photo.
    """

    def __init__(self) -> None:
        self._files: dict[str, str] = {}
        self._thumbnails: dict[str, str] = {}
        for name in plugins().samples:
            try:
                self._thumbnails[name], self._files[name] = _thumbnail(name), _file(name)
            except Exception:  # a plugin's photo, or a full disk: the page is of use without it
                logger.exception("sample %s cannot be shown", name)
        self._addresses = gr.File([*self._files.values()], file_count="multiple", visible=False)

    def file(self, name: str, otherwise: str) -> str | None:
        """The file of the sample that a link names, else of another one, else None."""
        name = name.removeprefix("sample:").rsplit(".", 1)[0]
        return self._files.get(name, self._files.get(otherwise))

    def buttons(self, photo: Any, prefix: str = "sample") -> None:
        """A button per sample, which puts it into the photo input at a click."""
        with gr.Row(elem_classes="samples"):
            for index, name in enumerate(self._files):
                button = gr.Button(
                    name, icon=self._thumbnails[name], size="sm", min_width=92, elem_id=f"{prefix}-{name}"
                )
                button.click(None, self._addresses, photo, js=f"files => files[{index}]")


def _file(name: str) -> str:
    source = sample(name)
    if isinstance(source, Path):
        return cached(source.read_bytes(), f"{name}{source.suffix}", keep=True)
    return cached(render.png(decode(source)), f"{name}.png", keep=True)


def _thumbnail(name: str) -> str:
    picture = decode(sample(name))
    picture.thumbnail((THUMBNAIL, THUMBNAIL), Image.Resampling.LANCZOS)
    return cached(render.png(picture), f"{name}-thumbnail.png", keep=True)
