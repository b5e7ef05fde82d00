"""The checks of a technique: documented, runs, streams, stops, repeats, refuses, and leaves nothing behind."""

from __future__ import annotations

import contextlib
import io
import random
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch

from ..base.errors import Declined, InvalidInput
from ..base.incidents import Incidents, running
from ..declare.technique import SECTIONS, Technique
from ..results.result import Preview, Result
from ..runs.runner import stream
from .report import Failure, Report, Skipped

MODELS = ("test_convnext", "test_resnet", "test_vit")  # tiny, of three kinds; a technique may decline two of them
QUIET = (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning)


class _Collected(Incidents):
    """Incidents that go into the report alone, and not into the log."""

    def add(self, text: str, details: str = "") -> None:
        self.found = [*self.found, f"{text}{f': {details}' if details else ''}"]

    found: list[str] = []  # noqa: RUF012 - replaced, never changed


@dataclass
class Trial:
    """The short runs of one technique, and what was seen beside their results.

    Args:
        technique: The technique.
        given: Values for its parameters; the others get short ones.
    """

    technique: Technique
    given: dict[str, Any]
    model: str = MODELS[0]
    printed: str = ""
    warned: list[str] = field(default_factory=list)
    incidents: list[str] = field(default_factory=list)

    def inputs(self) -> dict[str, Any]:
        """The inputs of a short run: each as short as its port allows."""
        from .short import generated_photos, smallest

        photo, *photos = generated_photos()
        short = smallest(self.technique, photo, self.model, photos)
        for parameter in self.technique.own_parameters:
            name, port = parameter.name, parameter.port
            if name in short and not parameter.takes_files:
                with contextlib.suppress(InvalidInput):
                    short[name] = port.check(name, port.nearest(short[name]))
                    continue
                del short[name]
        return short | {name: value for name, value in self.given.items() if name in _names(self.technique)}

    def steps(self, **more: Any) -> Iterator[Preview | Result]:
        """The steps of a short run."""
        return stream(self.technique, **(self.inputs() | more))

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Note what is printed, warned of, or left behind in the block. For a process that does nothing else."""
        mine, out = _Collected(self.technique.name), io.StringIO()
        whose = running.set(mine)
        try:
            with warnings.catch_warnings(record=True) as caught, contextlib.redirect_stdout(out):
                warnings.simplefilter("always")
                yield
        finally:
            running.reset(whose)
            self.printed += out.getvalue()
            self.warned += [f"{w.category.__name__}: {w.message}" for w in caught if not issubclass(w.category, QUIET)]
            self.incidents += mine.found


def _names(technique: Technique) -> set[str]:
    return {parameter.name for parameter in technique.parameters}


def check_technique(technique: Technique, report: Report, given: dict[str, Any]) -> None:
    """Make all checks of one technique.

    Args:
        technique: The technique.
        report: Receives them.
        given: Values for its parameters, where a short run needs others than the check would choose.
    """
    subject = f"technique {technique.name}"
    trial = Trial(replace(technique, plugin=""), given)  # without a plugin its incidents come to the trial
    report.examine(subject, "its documentation is complete", _documented, technique)
    run = report.examine(subject, "it runs on a tiny model and returns what it declares", _runs, trial)
    if run is None:
        return
    report.examine(subject, "it streams its steps", _streams, technique, *run)
    report.examine(subject, "same seed, same bits", _repeats, trial, run[1])
    report.examine(subject, "it stops between two steps", _stops, trial)
    report.examine(subject, "it leaves no hooks and no other change on the model", _leaves_the_model, trial)
    report.examine(subject, "it leaves global state alone", _leaves_global_state, trial)
    report.examine(subject, "it prints nothing and warns of nothing", _quiet, trial)
    report.examine(subject, "it refuses bad values", _refuses, trial)


def _documented(technique: Technique) -> None:
    if not technique.summary.endswith("."):
        raise Failure("the first line of its docstring is no sentence", '"""One sentence that says what it shows.')
    for title in SECTIONS:
        if len(technique.sections.get(title, "")) < 20:
            raise Failure(f"its docstring has no section {title!r}", f"{title}:")
    for parameter in technique.own_parameters:
        if not parameter.help.endswith((".", ")")):
            raise Failure(f"the help of {parameter.name} is no sentence", f"{parameter.name}: {parameter.help}.")


def _runs(trial: Trial) -> tuple[list[Preview], Result]:
    from .short import blanks

    reasons = []
    for trial.model in MODELS:
        try:
            with trial.watched():
                *previews, result = trial.steps()
        except Declined as declined:
            reasons.append(f"{trial.model}: {declined}")
            if not trial.technique.uses_model:
                break
            continue
        assert isinstance(result, Result)
        with tempfile.TemporaryDirectory() as folder:
            result.save(folder)  # draws every picture
        if found := blanks(result):
            raise Failure(
                f"{'; '.join(found)}: one value throughout shows nothing",
                "raise Declined('why there is nothing to show')",
            )
        return [step for step in previews if isinstance(step, Preview)], result
    raise Failure(f"it declines every model it was tried on. {' '.join(reasons)}")


def _streams(technique: Technique, previews: list[Preview], _result: Result) -> None:
    if not technique.streams:
        raise Skipped("It returns its result at once.")
    if any(not preview.total for preview in previews):
        raise Failure("a step does not say how far it is", "yield Outputs(...).at(step, steps)")
    done = [preview.done for preview in previews]
    if done != sorted(done) or previews[-1].done > previews[-1].total:
        raise Failure(f"its progress goes back or beyond the end: {done}", "yield Outputs(...).at(step, steps)")


def _repeats(trial: Trial, before: Result) -> None:
    with trial.watched():
        *_, again = trial.steps()
    assert isinstance(again, Result)
    for port in before.technique.outputs:
        files, again_files = (
            [*port.files(result[port.name])] if port in result.present else [] for result in (before, again)
        )
        if files != again_files:
            raise Failure(
                f"two runs with the same values give another file of {port.name}", "leave out times and names"
            )
    for name in {**before.arrays, **again.arrays}:
        one, two = (result.arrays.get(name, np.empty(0)) for result in (before, again))
        if not np.array_equal(one, two, equal_nan=True):  # an empty cell of a table is NaN
            raise Failure(
                f"two runs with the same values give another {name}",
                "generator = torch.Generator().manual_seed(seed)  and hand it to every random function",
            )


def _stops(trial: Trial) -> None:
    if not trial.technique.streams:
        raise Skipped("It has no steps.")
    with trial.watched():
        steps = trial.steps()
        next(steps)
        steps.close()  # type: ignore[attr-defined]
    if found := [text for text in trial.incidents if "stop" in text]:
        raise Failure(found[0], "yield outside of try: ... except:, and clear up in finally:")


def _leaves_the_model(trial: Trial) -> None:
    if not trial.technique.uses_model:
        raise Skipped("It uses no model.")
    if found := [text for text in trial.incidents if "network" in text or "weights" in text]:
        raise Failure(found[0], "with model.record(layer) as outputs:  or handle.remove() in finally:")


def _leaves_global_state(trial: Trial) -> None:
    before = _global_state()
    with trial.watched():
        filters = list(warnings.filters)
        list(trial.steps())
        changed = ["the filters of warnings"] if warnings.filters != filters else []
    changed += [name for name, value in _global_state().items() if value != before[name]]
    if changed:
        raise Failure(
            f"it changes {', '.join(changed)}, which belong to everybody",
            "generator = torch.Generator().manual_seed(seed)  instead of torch.manual_seed(seed)",
        )


def _global_state() -> dict[str, Any]:
    return {
        "torch's random numbers": torch.random.get_rng_state().tolist(),
        "numpy's random numbers": repr(np.random.get_state()),
        "Python's random numbers": random.getstate(),
        "torch's threads": torch.get_num_threads(),
        "torch's default type": torch.get_default_dtype(),
        "torch's determinism": torch.are_deterministic_algorithms_enabled(),
    }


def _quiet(trial: Trial) -> None:
    if trial.printed.strip():
        raise Failure(
            f"it prints {trial.printed.strip()[:200]!r}", "return Outputs(...).note('what people should know')"
        )
    if trial.warned:
        raise Failure(f"it warns: {trial.warned[0][:200]}")


def _refuses(trial: Trial) -> None:
    for parameter in trial.technique.parameters:
        for value in [object(), *parameter.port.bad_values()]:
            try:
                with trial.watched():
                    next(iter(trial.steps(**{parameter.name: value})))
            except InvalidInput as error:
                if error.parameter not in (parameter.name, "photos"):
                    raise Failure(
                        f"{parameter.name}={value!r} is answered with an error of {error.parameter}: {error}",
                        f"raise InvalidInput({parameter.name!r}, given, expected)",
                    ) from None
            else:
                raise Failure(f"{parameter.name}={value!r} is accepted, though it accepts {parameter.port.accepts}")
