"""The address of the page holds its settings, so that a link opens them again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from ..base.errors import InvalidInput
from ..declare.technique import FILES, Parameter, Technique
from .calls import given_values


def query(technique: Technique, values: Mapping[str, Any]) -> str:
    """The query string for a run: technique, every value that differs from its default, and photos by their names.

    The page finds sample photos again by these names; the first photo is called "sample".
    """
    given = {"technique": technique.name}
    first = technique.photo and technique.photo.name
    for name, value in given_values(technique, dict(values)).items():
        if name == FILES.name:
            continue  # they are not for everyone who has the link
        if not isinstance(value, dict):
            given[name] = _text(value)
        elif isinstance(value.get("orig_name"), str):
            given["sample" if name == first else name] = value["orig_name"]
    return "?" + urlencode(given)


def value_from(parameter: Parameter, params: Mapping[str, str]) -> Any:
    """The value a link gives to a parameter, or None when it gives none that the parameter accepts."""
    if parameter.name not in params or parameter.takes_files:
        return None
    port = parameter.port
    try:
        return port.check(parameter.name, port.parse(params[parameter.name]))
    except InvalidInput:
        return None  # a link is only a suggestion


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "; ".join(str(item) for item in value) if isinstance(value, list) else str(value)
