"""Where a run computes: here, or for what wants a GPU on ZeroGPU in the worker that has one.

Importing this module first keeps ZeroGPU's order: its package comes before anything touches CUDA.
"""

from __future__ import annotations

import logging
import os
import pickle
import time
from collections.abc import Iterator
from multiprocessing.pool import ExceptionWithTraceback  # type: ignore[attr-defined]
from typing import Any

from ..base import incidents
from ..base.settings import settings
from ..declare.technique import MODEL, WEIGHTS, Technique
from ..models import loading
from ..plugins.discovery import plugins
from ..results.result import Preview, Result
from ..runs.inputs import validate
from ..runs.runner import execute
from .runs import Run

ZERO_GPU = os.environ.get("SPACES_ZERO_GPU", "").lower() in ("1", "t", "true")  # as its package reads it
logger = logging.getLogger("timmscope.web")


def duration(name: str, inputs: dict[str, Any], every: float) -> int:
    """Whole seconds of a GPU to ask for, with the arguments of `on_gpu`."""
    return max(1, round(min(plugins().technique(name).gpu_time(inputs), settings().gpu_seconds)))


def on_gpu(name: str, inputs: dict[str, Any], every: float) -> Iterator[Any]:
    """Run a technique; on ZeroGPU in a worker with a GPU, to which everything goes and from which it comes pickled.

    Args:
        name: Name of the technique.
        inputs: From `validate`.
        every: Seconds between two previews.

    Yields:
        Previews and the result, or the error that ended it: what is raised in a worker would lose its text.
    """
    if ZERO_GPU:
        loading.compute_on("cuda")
    try:
        yield from seldom(execute(plugins().technique(name), inputs, duration(name, inputs, every)), every)
    except Exception as error:
        yield portable(error)


if ZERO_GPU:
    import spaces

    loading.compute_on("cpu")  # torch believes in a GPU here too; only the worker has one
    on_gpu = spaces.GPU(duration=duration)(on_gpu)


def preload() -> None:
    """On ZeroGPU, load the default model before any worker is forked: each inherits it."""
    if ZERO_GPU:
        with loading.lend(MODEL.default, WEIGHTS.default, plugins().model_sources) as model:
            logger.info("%s is loaded, default layer %s", model.name, model.default_layer)


def stream(run: Run, inputs: dict[str, Any], every: float) -> Iterator[Preview | Result]:
    """Run a technique for a client.

    Args:
        run: The run; it ends when nobody waits for it any more.
        inputs: Its parameters, as for `timmscope.stream`.
        every: Seconds between two previews.

    Raises:
        TimmscopeError: As `timmscope.stream`.
    """
    technique = run.technique
    given = validate(technique, inputs)  # refused before it waits for a GPU
    if not (ZERO_GPU and technique.gpu_time(given) and crosses(technique, given)):
        yield from seldom(execute(technique, given, wanted=run.wanted), every)
        return
    if technique.uses_model:
        with loading.lend(given["model"], given["weights"], plugins().model_sources):
            pass  # fetched while no GPU's time is spent on it
    for step in on_gpu(technique.name, given, every):
        if isinstance(step, Exception):
            raise step
        yield step


def seldom(steps: Iterator[Preview | Result], every: float) -> Iterator[Preview | Result]:
    """The result, and of the previews one in so many seconds: each costs the drawing of its pictures."""
    last = time.monotonic()
    for step in steps:
        if isinstance(step, Result):
            yield step
        elif time.monotonic() - last >= every and step.done < step.total:
            yield step
            last = time.monotonic()


def crosses(technique: Technique, inputs: dict[str, Any]) -> bool:
    """Whether the inputs can go to another process; photos of a plugin that cannot are computed on here."""
    try:
        pickle.dumps(inputs)
    except Exception as error:  # pickle raises nearly anything
        report = plugins().report(technique.plugin)
        owner = report.incidents if report else incidents.Incidents(technique.plugin)
        owner.add(f"{technique.title} runs without a GPU: its photos cannot go to another process", str(error))
        return False
    return True


def portable(error: Exception) -> ExceptionWithTraceback:
    """What becomes the error in another process, with its traceback as text."""
    wrapped = ExceptionWithTraceback(error, error.__traceback__)
    try:
        pickle.loads(pickle.dumps(wrapped))
        return wrapped
    except Exception:  # an exception of some library that does not survive it
        return ExceptionWithTraceback(RuntimeError(f"{wrapped.tb}"), None)
