"""Ports to Gradio components: one table for inputs, one for outputs.

Gradio checks only a part of what an input must be, and answers a wrong type with nothing at all. So the
input components here hand over what came, unchecked, and the registry checks everything.
"""

from __future__ import annotations

import html
import json
from pathlib import Path
from typing import Any

import gradio as gr
import pandas as pd
from gradio.utils import get_upload_folder, is_in_or_equal

from ..base.errors import InvalidInput
from ..base.settings import settings
from ..declare import ports
from ..declare.technique import Parameter
from ..models import catalogue
from ..photo_sets.sources import set_names
from ..photos.decoding import PhotoInput, decode, is_data_url
from ..pictures import render
from ..pictures.values import Absent
from ..plugins.discovery import plugins
from ..results.result import Result
from . import drawings
from .temporary import cached

JSON = (ports.Table, ports.Curves, ports.Points)  # outputs that an endpoint gives as JSON


def unchecked(component: gr.components.Component) -> Any:
    """Let a component's input values reach the handler as they came.

    The instance is changed and not its class: Gradio writes a file beside the source of every component class.
    """
    schema = component.api_info()
    component.preprocess = lambda payload: payload  # type: ignore[method-assign]
    component.data_model = None
    component.api_info = lambda: schema  # type: ignore[method-assign]
    return component


def photo_input(**options: Any) -> Any:
    """A photo input that hands over Gradio's file record."""
    return unchecked(gr.Image(type="filepath", **options))


def files_input(**options: Any) -> Any:
    """An input of several files that hands over a list of Gradio's file records."""
    component = unchecked(gr.File(file_count="multiple", **options))
    # A schema without references: Gradio's own has some, which lead nowhere once it is part of an MCP tool's schema.
    schema = {"title": "Files", "type": "array", "items": gr.Image(type="filepath", render=False).api_info()}
    component.api_info = lambda: schema
    return component


def api_input(parameter: Parameter) -> gr.components.Component:
    """The component of a parameter on a public endpoint: photos, numbers, booleans, and text for all the rest."""
    port, default = parameter.port, None if parameter.required else parameter.default
    if isinstance(port, ports.Photo):
        return photo_input(label=parameter.name)
    if isinstance(port, ports.Files):
        return files_input(label=parameter.name)
    if isinstance(port, (ports.Number, ports.Unit)):
        return unchecked(gr.Number(default, label=parameter.name))
    if isinstance(port, ports.Switch):
        return unchecked(gr.Checkbox(bool(default), label=parameter.name))
    return unchecked(
        gr.Textbox(
            "; ".join(map(str, default)) if isinstance(default, (list, tuple)) else default, label=parameter.name
        )
    )


def page_input(parameter: Parameter) -> gr.components.Component:
    """The control of a parameter on the page."""
    port, default = parameter.port, None if parameter.required else parameter.default
    common: dict[str, Any] = {"label": port.label, "info": parameter.help}
    if isinstance(port, ports.Photo):
        return photo_input(label=port.label, sources=["upload", "clipboard"], height=220)
    if isinstance(port, ports.Files):
        return files_input(label=port.label, height=140)
    if isinstance(port, ports.Photos):
        sets = [(title, name) for name, title in set_names().items()]
        return unchecked(gr.Dropdown(sets, value=default, allow_custom_value=True, **common))
    if isinstance(port, ports.Number):
        if "seed" in parameter.name:
            return unchecked(gr.Number(default, precision=0, **common))
        step = port.step or (1 if port.whole else (port.maximum - port.minimum) / 100)
        return unchecked(gr.Slider(port.minimum, port.maximum, default, step=step, **common))
    if isinstance(port, ports.Choice):
        return unchecked(gr.Radio(list(port.choices), value=default, **common))
    if isinstance(port, ports.Choices):
        return unchecked(gr.CheckboxGroup(list(port.choices), value=list(default or ()), **common))
    if isinstance(port, ports.Switch):
        return unchecked(gr.Checkbox(bool(default), **common))
    if isinstance(port, ports.Unit):
        return unchecked(gr.Number(default, precision=0, **common))
    if isinstance(port, (ports.Layers, ports.Targets, ports.ModelNames, ports.Units)):
        chosen = list(default or ())
        known = catalogue.model_names(plugins().model_sources) if isinstance(port, ports.ModelNames) else []
        return unchecked(
            gr.Dropdown(
                known, value=chosen, multiselect=True, allow_custom_value=True, max_choices=port.limit, **common
            )
        )
    if isinstance(port, ports.Layer):
        return unchecked(gr.Dropdown([], value=default, allow_custom_value=True, **common))
    return unchecked(gr.Textbox(default, **common))


def read(parameter: Parameter, value: Any) -> Any:
    """A value as it came from the browser or a client, as the runner takes it.

    Raises:
        InvalidInput: A photo or file that was not uploaded.
    """
    if isinstance(parameter.port, ports.Files):
        return read_files(parameter.name, value)
    if not isinstance(parameter.port, ports.Photo) or isinstance(value, PhotoInput):
        return value
    return read_photo(parameter.name, value)


def read_photo(name: str, value: Any) -> PhotoInput:
    """Decode an uploaded file, or a `data:` URL. No other path on the server is ever opened.

    Args:
        name: Name of the parameter.
        value: Gradio's file record, `{"path", "orig_name", "meta"}`, or a `data:` URL.
    """
    expected = ports.Photo.accepts
    url = value.get("url") if isinstance(value, dict) else value
    if is_data_url(url):
        return PhotoInput(decode(url, name, settings().max_pixels))
    path = uploaded_file(name, value, expected)
    label = value.get("orig_name")
    picture = decode(path, name, settings().max_pixels)
    return PhotoInput(picture, label if isinstance(label, str) and label else Path(path).name)


def read_files(name: str, value: Any) -> list[Any]:
    """The uploaded files of a list of file records, none when it is empty.

    Args:
        name: Name of the parameter.
        value: A list of Gradio's file records or `data:` URLs, or a single one.
    """
    records = value if isinstance(value, list) else [value] if value else []
    urls = [record.get("url") if isinstance(record, dict) else record for record in records]
    return [
        url if is_data_url(url) else Path(uploaded_file(name, record, ports.Files.accepts))
        for url, record in zip(urls, records)
    ]


def uploaded_file(name: str, record: Any, expected: str) -> str:
    """The path in a file record, where it is that of an uploaded file.

    Raises:
        InvalidInput: No record, or one that names something else on the server.
    """
    path = record.get("path") if isinstance(record, dict) else None
    if not isinstance(path, str):
        raise InvalidInput(name, record, expected, "Upload a photo or choose an example.")
    # Gradio checks only records that carry its own `meta`; others could name any file, or the folder of all uploads.
    if "\0" in path or not is_in_or_equal(path, get_upload_folder()) or not Path(path).is_file():
        raise InvalidInput(
            name, Path(path).name, "an uploaded file", "Upload the file first (POST /gradio_api/upload)."
        )
    return path


def api_output(port: ports.Output) -> gr.components.Component:
    """The component of an output on a public endpoint."""
    if isinstance(port, JSON):
        return gr.JSON(label=port.name)
    return output(port, port.name)


def page_output(port: ports.Output) -> gr.components.Component:
    """The component of an output on the page."""
    if isinstance(port, ports.Table):
        return gr.Dataframe(headers=list(port.columns), label=port.label, interactive=False)
    if isinstance(port, ports.Curves):
        return gr.LinePlot(x="step", y="value", color="curve", label=port.label, height=220)
    if isinstance(port, ports.Points):
        return drawings.scatter(port.label)
    if isinstance(port, ports.Picture) and port.large:
        return drawings.large_picture(port.label)
    return output(port, port.label)


def is_wall(port: ports.Output) -> bool:
    """Whether an output is many small pictures that stand close together."""
    return isinstance(port, (ports.Gallery, ports.Heatmaps)) and port.columns >= ports.WALL


def output(port: ports.Output, label: str) -> gr.components.Component:
    """The component of an output that is the same on the page and on an endpoint."""
    if isinstance(port, (ports.Gallery, ports.Heatmaps)):
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
    if isinstance(port, ports.Scores):
        return gr.Label(label=label, num_top_classes=6)
    return gr.Image(label=label, format="png", interactive=False, buttons=["download", "fullscreen"], alt_text=label)


def shown(port: ports.Output, value: Any, for_page: bool) -> Any:
    """What the component of an output receives for a value of a technique."""
    if isinstance(value, Absent):  # the sentence, where the component takes text
        if isinstance(port, ports.Scores):
            return value.why
        return {"absent": value.why} if not for_page and isinstance(port, JSON) else None
    if isinstance(port, ports.Scores):
        return value.top()
    if isinstance(port, ports.Table):
        return [[row[0], *(_number(number) for number in row[1:])] for row in value] if for_page else value
    if isinstance(port, ports.Points):
        return drawings.scatter_value(value, cached) if for_page else value.records()
    if isinstance(port, ports.Curves):
        if not for_page:
            return {name: [float(v) for v in values] for name, values in value.items()}
        rows = [(i + 1, float(v), name) for name, values in value.items() for i, v in enumerate(values)]
        return pd.DataFrame(rows, columns=["step", "value", "curve"])
    if isinstance(port, ports.Animation):
        return cached(render.film(value), f"{port.name}.webp")
    files = [
        (cached(render.png(picture), f"{port.name}.png"), caption) for picture, caption in render.pictures(port, value)
    ]
    if for_page and isinstance(port, ports.Picture) and port.large:
        return drawings.large_value(render.pictures(port, value)[0][0], files[0][0], cached)
    return files if isinstance(port, (ports.Gallery, ports.Heatmaps)) else files[0][0]


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
