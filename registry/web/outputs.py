"""Output ports on the web: the component on the page, that of an endpoint, and what each receives.

Each kind of port has its entries; a kind without one is an error, never a picture.
"""

from __future__ import annotations

import html
import json
from functools import singledispatch
from typing import Any

import gradio as gr
import pandas as pd

from ..declare.ports import (
    WALL,
    Animation,
    Curves,
    File,
    Gallery,
    Heatmap,
    Heatmaps,
    Output,
    Picture,
    Points,
    Scores,
    Table,
)
from ..pictures import render
from ..pictures.values import Absent
from ..results.result import Result
from . import drawings
from .temporary import cached


def api_output(port: Output) -> gr.components.Component:
    """The component of an output on a public endpoint."""
    return _component(port, port.name, False)


def page_output(port: Output) -> gr.components.Component:
    """The component of an output on the page."""
    return _component(port, port.label, True)


def component_value(port: Output, value: Any, for_page: bool) -> Any:
    """What the component of an output receives for a value of a technique; the sentence of one that is absent."""
    return _absent(port, value.why, for_page) if isinstance(value, Absent) else _value(port, value, for_page)


def is_wall(port: Output) -> bool:
    """Whether an output is many small pictures that stand close together."""
    return getattr(port, "columns", 1) >= WALL if port.several else False


@singledispatch
def _component(port: Output, label: str, for_page: bool) -> gr.components.Component:
    """The component of an output."""
    raise _missing(port)


@singledispatch
def _value(port: Output, value: Any, for_page: bool) -> Any:
    """What the component receives."""
    raise _missing(port)


@singledispatch
def _absent(port: Output, why: str, for_page: bool) -> Any:
    """What the component receives where there is nothing; the notes say why."""
    return None


def _missing(port: Output) -> NotImplementedError:
    return NotImplementedError(f"{type(port).__name__} has no entry in {__name__}")


# Pictures


@_component.register(Picture)
@_component.register(Heatmap)
@_component.register(Animation)
def _(port: Output, label: str, for_page: bool) -> gr.components.Component:
    if for_page and getattr(port, "large", False):
        return drawings.large_picture(label)
    return gr.Image(label=label, format="png", interactive=False, buttons=["download", "fullscreen"], alt_text=label)


@_value.register(Picture)
@_value.register(Heatmap)
def _(port: Picture | Heatmap, value: Any, for_page: bool) -> Any:
    picture, _ = port.pictures(value)[0]
    file = cached(render.png(picture), f"{port.name}.png")
    return drawings.large_value(picture, file, cached) if for_page and getattr(port, "large", False) else file


@_component.register(Gallery)
@_component.register(Heatmaps)
def _(port: Gallery | Heatmaps, label: str, for_page: bool) -> gr.components.Component:
    looks = {"wall": is_wall(port), "crisp": port.crisp, "selects": bool(port.selects)}
    return gr.Gallery(
        label=label,
        format="png",
        columns=port.columns,
        object_fit="contain",
        interactive=False,
        height="auto",
        allow_preview=not port.selects,  # there a click chooses
        elem_classes=[name for name, is_so in looks.items() if is_so],
    )


@_value.register(Gallery)
@_value.register(Heatmaps)
def _(port: Gallery | Heatmaps, value: Any, for_page: bool) -> Any:
    return [(cached(render.png(picture), f"{port.name}.png"), caption) for picture, caption in port.pictures(value)]


@_value.register
def _(port: Animation, value: Any, for_page: bool) -> Any:
    return cached(render.animation(value), f"{port.name}.webp")


# Data


@_component.register
def _(port: Scores, label: str, for_page: bool) -> gr.components.Component:
    return gr.Label(label=label, num_top_classes=6)


@_value.register
def _(port: Scores, value: Any, for_page: bool) -> Any:
    return value.top()


@_absent.register
def _(port: Scores, why: str, for_page: bool) -> Any:
    return why


@_component.register
def _(port: Table, label: str, for_page: bool) -> gr.components.Component:
    if for_page:
        return gr.Dataframe(headers=list(port.columns), label=label, interactive=False)
    return gr.JSON(label=label)


@_value.register
def _(port: Table, value: Any, for_page: bool) -> Any:
    return [[row[0], *(_number(number) for number in row[1:])] for row in value] if for_page else value


@_component.register
def _(port: Curves, label: str, for_page: bool) -> gr.components.Component:
    if for_page:
        return gr.LinePlot(x="step", y="value", color="curve", label=label, height=220)
    return gr.JSON(label=label)


@_value.register
def _(port: Curves, value: Any, for_page: bool) -> Any:
    if not for_page:
        return {name: [float(v) for v in values] for name, values in value.items()}
    rows = [(i + 1, float(v), name) for name, values in value.items() for i, v in enumerate(values)]
    return pd.DataFrame(rows, columns=["step", "value", "curve"])


@_component.register
def _(port: Points, label: str, for_page: bool) -> gr.components.Component:
    return drawings.scatter(label) if for_page else gr.JSON(label=label)


@_value.register
def _(port: Points, value: Any, for_page: bool) -> Any:
    return drawings.scatter_value(value, cached) if for_page else value.records()


@_absent.register(Table)
@_absent.register(Curves)
@_absent.register(Points)
def _(port: Output, why: str, for_page: bool) -> Any:
    return None if for_page else {"absent": why}


@_component.register
def _(port: File, label: str, for_page: bool) -> gr.components.Component:
    return gr.File(label=label, interactive=False)


@_value.register
def _(port: File, value: Any, for_page: bool) -> Any:
    return cached(value, port.file_name)


def _number(number: Any) -> str:
    """A number of a table, for people."""
    if number is None:
        return render.NOTHING
    return str(number) if isinstance(number, int) else f"{number:.3g}"


def files(result: Result) -> tuple[str, str]:
    """Paths of the arrays (.npz) and the recipe (.json) of a result, ready to serve."""
    name = result.technique.name
    recipe = json.dumps(result.recipe, indent=2, ensure_ascii=False).encode()
    return cached(result.npz(), f"{name}.npz"), cached(recipe, f"{name}.json")


def status(text: str, done: int = 0, total: int = 0) -> str:
    """A line of text with a progress bar, as HTML; the text is escaped."""
    share = f'<progress max="{total}" value="{done}" aria-label="Progress"></progress>' if total > done else ""
    return f'<div class="status" role="status">{share}<span>{html.escape(text)}</span></div>'


def notes(lines: Any) -> str:
    """Sentences about a result, as HTML; each is escaped."""
    return '<ul class="notes">' + "".join(f"<li>{html.escape(line)}</li>" for line in lines) + "</ul>"
