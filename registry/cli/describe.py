"""A technique's declaration as text and as JSON values."""

from __future__ import annotations

import textwrap
from typing import Any

from ..declare.technique import Parameter, Technique

WIDTH = 100


def brief(technique: Technique) -> dict[str, Any]:
    """What a list says of it."""
    return {
        "name": technique.name,
        "title": technique.title,
        "family": technique.family,
        "plugin": technique.plugin,
        "summary": " ".join(technique.summary.split()),
    }


def full(technique: Technique) -> dict[str, Any]:
    """Everything it declares."""
    return {
        **brief(technique),
        "streams": technique.streams,
        "sections": technique.sections,
        "parameters": [
            {
                "name": parameter.name,
                "label": parameter.port.label,
                "help": parameter.help,
                "accepts": parameter.port.accepts,
                "required": parameter.required,
                "default": None if parameter.required else parameter.default,
            }
            for parameter in technique.parameters
        ],
        "outputs": [
            {"name": port.name, "label": port.label, "shape": port.shape, "optional": port.optional}
            for port in technique.outputs
        ],
    }


def text(technique: Technique) -> str:
    """Everything it declares, to read."""
    origin = f"{technique.family}, from the plugin {technique.plugin}"
    parts = [f"{technique.title} ({technique.name}): {origin}", "", _wrapped(technique.summary)]
    for title, body in technique.sections.items():
        parts += ["", title, textwrap.indent(body, "  ")]
    parts += ["", "Parameters"]
    for parameter in technique.parameters:
        parts += [f"  {parameter.name}", _wrapped(f"{parameter.help} {bounds(parameter)}", "    ")]
    parts += ["", "Outputs"]
    parts += [
        f"  {port.name}: {port.label}{f', float32 {port.gives}' if port.shape else ''}" for port in technique.outputs
    ]
    return "\n".join(parts)


def bounds(parameter: Parameter) -> str:
    """What a parameter accepts and what it is when left out, as a sentence or two."""
    accepts = f"Accepts {parameter.port.accepts}." if parameter.port.accepts else ""
    if parameter.required:
        return f"{accepts} Required.".strip()
    return f"{accepts} Default: {default_text(parameter.default)}.".strip()


def flag(name: str, on: bool = True) -> str:
    """The option of the parameter called `name`; of a switch, the one that sets it so."""
    return f"--{'' if on else 'no-'}{name.replace('_', '-')}"


def default_text(default: Any) -> str:
    """A default as a shell would take it."""
    if isinstance(default, bool):
        return str(default).lower()
    if isinstance(default, (list, tuple)):
        default = "; ".join(str(item) for item in default)
    return "empty" if default == "" else f"{default:g}" if isinstance(default, float) else str(default)


def _wrapped(body: str, indent: str = "") -> str:
    return textwrap.fill(" ".join(body.split()), WIDTH, initial_indent=indent, subsequent_indent=indent)
