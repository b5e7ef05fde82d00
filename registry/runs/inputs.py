"""The inputs of a run: checked by their ports, defaults filled in, photos decoded, photo sets listed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from ..base.errors import InvalidInput, did_you_mean
from ..base.settings import settings
from ..declare.ports import SAMPLE, Photo
from ..declare.technique import Technique
from ..photos.decoding import PhotoInput, decode, is_data_url
from ..photos.sets import PhotoList
from ..plugins.discovery import plugins


def validate(technique: Technique, inputs: dict[str, Any]) -> dict[str, Any]:
    """Check every value by its port and fill in the defaults.

    Returns:
        A canonical value for each parameter of the technique, photos decoded and photo sets listed.

    Raises:
        InvalidInput: An unknown parameter, a missing one, a refused value, or a model that there is not.
    """
    parameters = {parameter.name: parameter for parameter in technique.parameters}
    for name in inputs:
        if name not in parameters:
            expected = f"one of the parameters of {technique.name}: {', '.join(parameters)}"
            raise InvalidInput("parameter", name, expected, did_you_mean(name, parameters))
    given = {}
    for name, parameter in parameters.items():
        if name in inputs:
            given[name] = parameter.port.check(name, inputs[name])
        elif parameter.required:
            raise InvalidInput(name, None, parameter.port.accepts or "a value")
        else:
            given[name] = parameter.default
    return {name: parameters[name].port.prepare(name, value, given, Here()) for name, value in given.items()}


class Here:
    """What there is by name in this process, as `ports.Known` says."""

    def photo(self, parameter: str, value: Any) -> PhotoInput:
        """A photo, decoded."""
        return photo_input(parameter, value)

    def photo_set(self, parameter: str, name: str, files: list[Any]) -> PhotoList:
        """A photo set, listed; of `files` where there are any."""
        from ..photo_sets import sources

        return sources.resolve(name, files, parameter)

    def require_model(self, parameter: str, name: str) -> None:
        """Refuse the name of a model that there is not, before anything is loaded or computed."""
        from ..models import catalogue

        try:
            catalogue.find(name, plugins().model_sources)
        except InvalidInput as error:
            raise InvalidInput(parameter, error.given, error.expected, error.remedy) from None

    def names(self, kind: str) -> list[str]:
        """Names to choose from; of models those of plugins, since timm's own would need torch."""
        found = plugins()
        tables: dict[str, Mapping[str, Any]] = {
            "samples": found.samples,
            "models": found.model_sources,
            "photo sets": found.photo_sets,
        }
        return list(tables[kind])


def photo_input(name: str, value: Any) -> PhotoInput:
    """The photo given for the parameter `name`, decoded.

    Raises:
        InvalidInput: No photo.
    """
    if isinstance(value, PhotoInput):
        return value
    if value is None:
        raise InvalidInput(name, None, Photo.accepts, "Upload a photo or choose an example.")
    named = isinstance(value, (str, os.PathLike)) and not is_data_url(value)
    label = str(value).rsplit("/", 1)[-1] if named else "photo"
    if isinstance(value, str) and value.startswith(SAMPLE):
        label, value = value, sample(value.removeprefix(SAMPLE), name)
    return PhotoInput(decode(value, name, settings().max_pixels), label)


def sample(name: str, parameter: str = "image") -> Any:
    """The sample photo called `name`, as anything `decode` takes.

    Raises:
        InvalidInput: There is none; the text has the close matches.
    """
    samples = plugins().samples
    if name not in samples:
        raise InvalidInput(parameter, name, f"one of the samples {', '.join(samples)}", did_you_mean(name, samples))
    return samples[name].load()
