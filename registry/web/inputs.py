"""Input ports on the web: the control on the page, the component of an endpoint, and what comes from clients.

Gradio checks only a part of what an input must be, and answers a wrong type with nothing at all. So the
components here hand over what came, unchecked, and the registry checks everything. Each kind of port has its entries.
"""

from __future__ import annotations

from functools import singledispatch
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.utils import get_upload_folder, is_in_or_equal

from ..base.errors import InvalidInput
from ..base.settings import settings
from ..declare.ports import (
    Choice,
    Choices,
    Files,
    Input,
    Layer,
    Layers,
    ModelName,
    ModelNames,
    Number,
    Photo,
    Photos,
    Point,
    Position,
    Switch,
    Target,
    Targets,
    Text,
    Unit,
    Units,
)
from ..declare.technique import Parameter
from ..models import catalogue
from ..photo_sets.sources import set_names
from ..photos.decoding import PhotoInput, decode, is_data_url
from ..plugins.discovery import plugins


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
    return unchecked(_api(parameter.port, parameter.name, _default(parameter)))


def page_input(parameter: Parameter) -> gr.components.Component:
    """The control of a parameter on the page."""
    common: dict[str, Any] = {"label": parameter.port.label, "info": parameter.help}
    return unchecked(_control(parameter.port, parameter.name, _default(parameter), common))


def read(parameter: Parameter, value: Any) -> Any:
    """A value as it came from the browser or a client, as the runner takes it.

    Raises:
        InvalidInput: A photo or file that was not uploaded.
    """
    return value if isinstance(value, PhotoInput) else _read(parameter.port, parameter.name, value)


def _default(parameter: Parameter) -> Any:
    return None if parameter.required else parameter.default


@singledispatch
def _api(port: Input, name: str, default: Any) -> gr.components.Component:
    """The component of an endpoint."""
    raise _missing(port)


@singledispatch
def _control(port: Input, name: str, default: Any, common: dict[str, Any]) -> gr.components.Component:
    """The control on the page, with its label and help in `common`."""
    raise _missing(port)


@singledispatch
def _read(port: Input, name: str, value: Any) -> Any:
    """What came for a port: most are values as they are."""
    return value


def _missing(port: Input) -> NotImplementedError:
    return NotImplementedError(f"{type(port).__name__} has no entry in {__name__}")


# On an endpoint


@_api.register(Photo)
def _(port: Photo, name: str, default: Any) -> gr.components.Component:
    return photo_input(label=name)


@_api.register(Files)
def _(port: Files, name: str, default: Any) -> gr.components.Component:
    return files_input(label=name)


@_api.register(Number)
@_api.register(Unit)
def _(port: Number | Unit, name: str, default: Any) -> gr.components.Component:
    return gr.Number(default, label=name)


@_api.register(Switch)
def _(port: Switch, name: str, default: Any) -> gr.components.Component:
    return gr.Checkbox(bool(default), label=name)


@_api.register(Choice)
@_api.register(Choices)
@_api.register(Text)
@_api.register(Units)
@_api.register(Point)
def _(port: Input, name: str, default: Any) -> gr.components.Component:
    text = "; ".join(map(str, default)) if isinstance(default, (list, tuple)) else default
    return gr.Textbox(text, label=name)


# On the page


@_control.register
def _(port: Photo, name: str, default: Any, common: dict[str, Any]) -> gr.components.Component:
    return photo_input(label=port.label, sources=["upload", "clipboard"], height=220)


@_control.register
def _(port: Files, name: str, default: Any, common: dict[str, Any]) -> gr.components.Component:
    return files_input(label=port.label, height=140)


@_control.register
def _(port: Photos, name: str, default: Any, common: dict[str, Any]) -> gr.components.Component:
    sets = [(title, name) for name, title in set_names().items()]
    return gr.Dropdown(sets, value=default, allow_custom_value=True, **common)


@_control.register
def _(port: Number, name: str, default: Any, common: dict[str, Any]) -> gr.components.Component:
    if "seed" in name:
        return gr.Number(default, precision=0, **common)
    step = port.step or (1 if port.whole else (port.maximum - port.minimum) / 100)
    return gr.Slider(port.minimum, port.maximum, default, step=step, **common)


@_control.register
def _(port: Choice, name: str, default: Any, common: dict[str, Any]) -> gr.components.Component:
    return gr.Radio(list(port.choices), value=default, **common)


@_control.register
def _(port: Choices, name: str, default: Any, common: dict[str, Any]) -> gr.components.Component:
    return gr.CheckboxGroup(list(port.choices), value=list(default or ()), **common)


@_control.register
def _(port: Switch, name: str, default: Any, common: dict[str, Any]) -> gr.components.Component:
    return gr.Checkbox(bool(default), **common)


@_control.register
def _(port: Unit, name: str, default: Any, common: dict[str, Any]) -> gr.components.Component:
    return gr.Number(default, precision=0, **common)


@_control.register(Layers)
@_control.register(Targets)
@_control.register(Units)
def _(port: Layers | Targets | Units, name: str, default: Any, common: dict[str, Any]) -> gr.components.Component:
    return _several([], port.limit, default, common)


@_control.register
def _(port: ModelNames, name: str, default: Any, common: dict[str, Any]) -> gr.components.Component:
    return _several(catalogue.model_names(plugins().model_sources), port.limit, default, common)


@_control.register
def _(port: Layer, name: str, default: Any, common: dict[str, Any]) -> gr.components.Component:
    return gr.Dropdown([], value=default, allow_custom_value=True, **common)


@_control.register(ModelName)
@_control.register(Point)
@_control.register(Position)
@_control.register(Target)
@_control.register(Text)
def _(port: Input, name: str, default: Any, common: dict[str, Any]) -> gr.components.Component:
    return gr.Textbox(default, **common)


def _several(known: list[str], limit: int, default: Any, common: dict[str, Any]) -> gr.components.Component:
    chosen = list(default or ())
    return gr.Dropdown(known, value=chosen, multiselect=True, allow_custom_value=True, max_choices=limit, **common)


# From clients


@_read.register
def _(port: Photo, name: str, value: Any) -> PhotoInput:
    return read_photo(name, value)


@_read.register
def _(port: Files, name: str, value: Any) -> list[Any]:
    return read_files(name, value)


def read_photo(name: str, value: Any) -> PhotoInput:
    """Decode an uploaded file, or a `data:` URL. No other path on the server is ever opened.

    Args:
        name: Name of the parameter.
        value: Gradio's file record, `{"path", "orig_name", "meta"}`, or a `data:` URL.
    """
    expected = Photo.accepts
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
        url if is_data_url(url) else Path(uploaded_file(name, record, Files.accepts))
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
