"""Running a technique: validate, resolve, lend a model, run, check, and keep the recipe."""

from __future__ import annotations

import collections
import contextlib
import logging
import traceback
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

from ..base import incidents
from ..base.errors import OutOfMemory, TechniqueFailed, TimmscopeError
from ..base.incidents import Incidents
from ..base.memory import free_memory, is_out_of_memory
from ..base.settings import settings
from ..declare.technique import Technique
from ..models import loading
from ..photos.decoding import PhotoInput
from ..photos.sets import PhotoList
from ..pictures.values import Absent, Outputs
from ..plugins.discovery import plugins
from ..results.result import BrokenOutput, Preview, Result, check_outputs, make_readable
from .call import RunCall
from .containment import contained
from .inputs import validate
from .recording import make_recipe

logger = logging.getLogger("timmscope.runs")


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
        call = RunCall(technique, given, model)
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
        recipe = make_recipe(technique, given, call)
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
