"""The address of the page holds its settings, so that a link opens them again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from ..errors import InvalidInput
from ..ports import Number, Photo, Switch, Unit
from ..technique import Parameter, Technique
from .calls import given_values


def query(technique: Technique, values: Mapping[str, Any], sample: str = "") -> str:
    """The query string for a run: technique, sample photo, and every value that differs from its default."""
    given = {name: _text(v) for name, v in given_values(technique, dict(values)).items() if not isinstance(v, dict)}
    return "?" + urlencode({"technique": technique.name, **({"sample": sample} if sample else {}), **given})


def value_from(parameter: Parameter, params: Mapping[str, str]) -> Any:
    """The value a link gives to a parameter, or None when it gives none that the parameter accepts."""
    if parameter.name not in params or isinstance(parameter.port, Photo):
        return None
    text: Any = params[parameter.name]
    try:
        if isinstance(parameter.port, (Number, Unit)):
            text = float(text)
        elif isinstance(parameter.port, Switch):
            text = {"true": True, "false": False}.get(text.lower(), text)
        return parameter.port.check(parameter.name, text)
    except (InvalidInput, ValueError):
        return None  # a link is only a suggestion


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "; ".join(str(item) for item in value) if isinstance(value, list) else str(value)
