"""Running a technique: validate, resolve, lend a model, run, check, and keep the recipe."""

from __future__ import annotations

import collections
import contextlib
import functools
import logging
import os
import platform
import traceback
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field, replace
from importlib import metadata
from pathlib import Path
from typing import Any

from ..base import incidents
from ..base.errors import Declined, InvalidInput, OutOfMemory, TechniqueFailed, TimmscopeError, did_you_mean
from ..base.incidents import Incidents
from ..base.memory import free_memory, is_out_of_memory
from ..base.rounding import conditions
from ..base.settings import settings
from ..declare import ports
from ..declare.technique import Parameter, Technique
from ..models import catalogue, loading
from ..photo_sets import sources as photo_sources
from ..photos.decoding import PhotoInput, decode, is_data_url
from ..photos.sets import PhotoList
from ..pictures.values import Absent, Outputs
from ..plugins.discovery import plugins
from ..results.result import BrokenOutput, Preview, Result, check_outputs, make_readable
from ..vision.vision_model import VisionModel
from .containment import contained

logger = logging.getLogger("timmscope.runs")
LIBRARIES = ("torch", "timm", "captum", "numpy", "pillow", "opencv-python-headless")


def run(name: str | Technique, /, **inputs: Any) -> Result:
    """Run a technique to its end.

    Args:
        name: Name of the technique, such as "saliency", or a technique that need not be installed.
        **inputs: Its parameters by name; those with a default may be left out. A photo may be a file path,
            bytes, a `data:` URL, a PIL image, an array such as `decode` takes, or "sample:chelsea" for a sample photo.

    Returns:
        Pictures, raw arrays and recipe.

    Raises:
        TimmscopeError: A refused value, a technique that does not apply, weights that cannot be had.
    """
    (last,) = collections.deque(stream(name, **inputs), maxlen=1)  # keeps no preview: they would fill the memory
    assert isinstance(last, Result)
    return last


def stream(name: str | Technique, /, **inputs: Any) -> Iterator[Preview | Result]:
    """Run a technique step by step: previews while it works, then the result. Closing the iterator stops it.

    Args:
        name: Name of the technique, or a technique.
        **inputs: As for `run`.

    Raises:
        TimmscopeError: As for `run`; also when the time budget is used up, when the technique itself fails, and when
            it returns something other than it declares.
    """
    technique = name if isinstance(name, Technique) else plugins().technique(name)
    yield from execute(technique, validate(technique, inputs))


def execute(
    technique: Technique,
    given: dict[str, Any],
    seconds: float = float("inf"),
    wanted: Callable[[], bool] = lambda: True,
) -> Iterator[Preview | Result]:
    """Run a technique whose inputs are checked, as `stream` does.

    Args:
        technique: The technique.
        given: From `validate`.
        seconds: How long it may take, where that is less than the time budget.
        wanted: Whether anybody still waits for it; asked now and then, also in the midst of a step.

    Raises:
        TimmscopeError: As for `stream`; `Abandoned` when nobody waits for it.
    """
    report = plugins().report(technique.plugin)
    blame = report.incidents if report else incidents.running.get() or Incidents(technique.plugin)
    seconds = min(seconds, settings().time_budget)
    yield from contained(_run(technique, given), seconds, technique.title, blame, wanted)


def _run(technique: Technique, given: dict[str, Any]) -> Generator[Any, None, None]:
    """Yield None when everything is loaded, previews, and the result."""
    context = (
        loading.lend(given["model"], given["weights"], plugins().model_sources)
        if technique.uses_model
        else contextlib.nullcontext()
    )
    with context as model:
        call = Resolver(technique, given, model)
        arguments = call.arguments
        yield None
        outputs = Outputs()
        while True:
            try:
                with contextlib.closing(_steps(technique, arguments)) as steps:  # its hooks go before the model does
                    for outputs in steps:
                        _check(technique, outputs, complete=not technique.streams)
                        if technique.streams:
                            yield Preview(technique, outputs, outputs.done, outputs.total)
                break
            except OutOfMemory:
                if not (model and model.shrink_batches()):
                    raise
                logger.warning("%s of %s: out of memory, once more in smaller batches", technique.name, model.name)
        _check(technique, outputs, complete=True)
        recipe = make_recipe(technique, given, call, model)
    absent = [value.why for value in outputs.values() if isinstance(value, Absent)]
    left_out = [note for value in given.values() if isinstance(value, PhotoList) for note in value.notes]
    recipe["notes"] = list(dict.fromkeys([*call.notes, *outputs.notes, *absent, *left_out]))  # for those who get files
    photos = {name: value for name, value in given.items() if isinstance(value, PhotoInput)}
    yield Result(technique, outputs, recipe, tuple(recipe["notes"]), photos)


def _steps(technique: Technique, arguments: dict[str, Any]) -> Generator[Outputs, None, None]:
    try:
        if technique.streams:
            yield from technique.function(**arguments)
        else:
            yield technique.function(**arguments)
    except TimmscopeError:
        raise
    except (Exception, SystemExit) as error:  # whatever a plugin raises is its failure, and named as such
        if is_out_of_memory(error):
            traceback.clear_frames(error.__traceback__)  # they hold the tensors
            free_memory()
            raise OutOfMemory(
                f"The memory of this server is too small for {technique.title} with these inputs. Use a smaller model, "
                "a smaller picture, or fewer things at once."
            ) from error
        *_, frame = traceback.extract_tb(error.__traceback__)
        what = f"{type(error).__name__} at {Path(frame.filename).name}:{frame.lineno}"
        incidents.report(f"{technique.title} failed: {what}", str(error))
        raise TechniqueFailed(technique.title, technique.plugin, what) from error


def _check(technique: Technique, outputs: Any, complete: bool) -> None:
    """`check_outputs`, with what it finds reported as an incident of the plugin too; then `make_readable`."""
    try:
        check_outputs(technique, outputs, complete)
        make_readable(technique, outputs)
    except BrokenOutput as error:
        incidents.report(str(error))
        raise


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
    given = {name: _validated(parameter, inputs) for name, parameter in parameters.items()}
    for name, parameter in parameters.items():
        if isinstance(parameter.port, (ports.ModelName, ports.ModelNames)):
            _find_models(name, given[name])
        elif isinstance(parameter.port, ports.Photos):
            given[name] = photo_sources.resolve(given[name], given["files"], name)
        elif isinstance(given[name], PhotoInput):
            given[name] = replace(given[name], fit=given.get("fit", False))
    return given


def _validated(parameter: Parameter, inputs: dict[str, Any]) -> Any:
    name, port = parameter.name, parameter.port
    if name not in inputs:
        if parameter.required:
            raise InvalidInput(name, None, port.accepts or "a value")
        return parameter.default
    value = inputs[name]
    return photo_input(name, value) if isinstance(port, ports.Photo) else port.check(name, value)


def photo_input(name: str, value: Any) -> PhotoInput:
    """The photo given for the parameter `name`, decoded.

    Raises:
        InvalidInput: No photo.
    """
    if isinstance(value, PhotoInput):
        return value
    if value is None:
        raise InvalidInput(name, None, ports.Photo.accepts, "Upload a photo or choose an example.")
    named = isinstance(value, (str, os.PathLike)) and not is_data_url(value)
    label = str(value).rsplit("/", 1)[-1] if named else "photo"
    if isinstance(value, str) and value.startswith("sample:"):
        label, value = value, sample(value.removeprefix("sample:"), name)
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


@dataclass
class Resolver:
    """Turns checked values into the arguments of the technique: names are looked up in the model.

    Args:
        technique: The technique.
        given: From `validate`.
        model: The lent model, or None for a technique without one.
    """

    technique: Technique
    given: dict[str, Any]
    model: VisionModel | None
    resolved: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @functools.cached_property
    def arguments(self) -> dict[str, Any]:
        """The arguments by name. Raises `InvalidInput` for a name the model does not have."""
        arguments: dict[str, Any] = {"model": self.model} if self.technique.uses_model else {}
        for parameter in self.technique.own_parameters:
            name, port, value = parameter.name, parameter.port, self.given[parameter.name]
            if isinstance(port, ports.Targets):
                value = [self.model.labels.find(text, name) for text in value if text]  # type: ignore[union-attr]
            elif isinstance(port, ports.Target):
                value = self.model.labels.find(value, name) if value else None  # type: ignore[union-attr]
            elif isinstance(port, ports.Layers):
                value = [self._layer(name, layer, False) for layer in value]
            elif isinstance(port, ports.Layer):
                value = self._layer(name, value, port.optional)
            elif isinstance(port, ports.Unit):
                value = None if value == -1 else value
            elif isinstance(port, ports.Position):
                value = tuple(int(part) for part in value.split(",")) if value else None
            if not isinstance(value, PhotoInput) and value != self.given[name]:
                self.resolved[name] = list(value) if isinstance(value, tuple) else value  # as JSON has it
            arguments[name] = value
        return arguments

    def _layer(self, name: str, value: str, optional: bool) -> str:
        assert self.model is not None
        if value:
            if value not in self.model.layers:
                expected = (
                    f"a layer of {self.model.name}, such as {self.model.default_layer or next(iter(self.model.layers))}"
                )
                raise InvalidInput(name, value, expected, did_you_mean(value, self.model.layers))
            return value
        if optional:
            return ""
        if not self.model.default_layer:
            raise Declined(f"{self.model.name} has no layer with a spatial grid, which {self.technique.title} needs.")
        self.notes.append(
            f"Layer: {self.model.default_layer}, the last one with a spatial grid that reaches the score."
        )
        return self.model.default_layer


def _find_models(parameter: str, given: str | list[str]) -> None:
    """Refuse the name of a model that there is not, before anything is loaded or computed."""
    for name in [given] if isinstance(given, str) else given:
        try:
            catalogue.find(name, plugins().model_sources)
        except InvalidInput as error:
            raise InvalidInput(parameter, error.given, error.expected, error.remedy) from None


def make_recipe(
    technique: Technique, given: dict[str, Any], call: Resolver, model: VisionModel | None
) -> dict[str, Any]:
    """Everything that reproduces the run, as JSON values."""
    inputs = {name: _recorded(value) for name, value in given.items() if name != "files"}  # the set stands for them
    report = plugins().report(technique.plugin)
    recipe: dict[str, Any] = {
        "technique": technique.name,
        "plugin": {"name": technique.plugin, "version": report.version if report else "?"},
        "inputs": inputs,
        "resolved": call.resolved,
        "libraries": versions(),
    }
    if model:
        recipe |= {
            "model": {"name": model.name, "weights": model.weights, "origin": model.origin},
            **conditions(model.device),
        }
    return recipe


def _recorded(value: Any) -> Any:
    """An input as the recipe keeps it."""
    if isinstance(value, PhotoInput):
        size = {"width": value.picture.width, "height": value.picture.height}
        return {"name": value.name, **size, "sha256": value.sha256}
    if isinstance(value, PhotoList):
        return {
            "name": value.name,
            "photos": len(value),
            "skipped": len(value.skipped),
            "identity": value.identity,
        }
    return value


@functools.cache
def versions() -> dict[str, str]:
    """Versions of what computes, by name."""
    from timmscope import __version__  # a checkout is not installed, and has a version nevertheless

    found = {"python": platform.python_version(), "timmscope": __version__}
    for library in LIBRARIES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[library] = metadata.version(library)
    return found
