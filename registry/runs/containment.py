"""Runs in threads of their own, so that one which never comes back holds up nobody."""

from __future__ import annotations

import contextlib
import contextvars
import ctypes
import queue
import threading
import time
from collections.abc import Callable, Generator, Iterator
from typing import Any

from ..base.errors import Abandoned, OutOfTime
from ..base.incidents import Incidents, running
from ..base.torch_state import float32

GRACE = 1.0  # seconds that a run which was told to stop has for it before it is given up
LOOK = 0.25  # seconds between two looks whether anybody still waits
CLOSING = 10.0  # seconds that a run between two steps has to clear up


class Stopped(BaseException):
    """Raised in a run that is given up. Not an `Exception`, so that no plugin takes it for a fault of its own."""


class _Worker(threading.Thread):
    """Makes the steps of one run, each when it is asked for, and closes them, all in one thread."""

    def __init__(self, steps: Generator[Any, None, None], blame: Incidents) -> None:
        super().__init__(daemon=True, name=f"timmscope-run-{blame.plugin}")
        self._steps, self._blame = steps, blame
        self._context = contextvars.copy_context()
        self._asked: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self._made: queue.SimpleQueue[tuple[Any, BaseException | None]] = queue.SimpleQueue()
        self.busy = False

    def run(self) -> None:
        self._context.run(running.set, self._blame)
        with contextlib.suppress(Stopped):
            self._context.run(self._work)

    def _work(self) -> None:
        try:
            with contextlib.closing(self._steps):
                while self._asked.get():
                    with float32():
                        self._made.put((next(self._steps), None))
        except StopIteration as end:
            self._made.put((None, end))
        except BaseException as error:
            if not self.busy:  # nobody waits for an answer any more
                self._blame.add("does not end when it is told to stop", str(error.__cause__ or error))
            self._made.put((None, error))

    def step(self, deadline: float, wanted: Callable[[], bool]) -> Any:
        """The next step.

        Raises what the run raises, `StopIteration` at its end, `queue.Empty` when it takes longer, `Abandoned` when
        nobody wants it any more.
        """
        self.busy = True
        self._asked.put(True)
        value, error = self._wait(deadline, wanted)
        self.busy = False
        if error:
            try:
                raise error
            finally:
                del error  # or it would keep its own frames, and their tensors
        return value

    def _wait(self, deadline: float, wanted: Callable[[], bool]) -> tuple[Any, BaseException | None]:
        while True:
            left = max(0.0, deadline - time.monotonic())
            try:
                return self._made.get(timeout=min(LOOK, left))
            except queue.Empty:
                if left <= LOOK:
                    raise
                if not wanted():
                    raise Abandoned("Nobody waits for this run any more.") from None

    def close(self, interrupt: bool) -> None:
        """End the run: between two steps at once; in the midst of one by an exception, where that is allowed."""
        self._asked.put(False)
        if not self.busy:
            self.join(CLOSING)
        elif interrupt and self.ident:
            # Reaches Python code before its next line. A call into C runs to its end first.
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(self.ident), ctypes.py_object(Stopped))
            self.join(GRACE)
        if interrupt and self.is_alive():
            self._blame.left_behind(self)


def contained(
    steps: Generator[Any, None, None],
    seconds: float,
    title: str,
    blame: Incidents,
    wanted: Callable[[], bool] = lambda: True,
) -> Iterator[Any]:
    """Yield what `steps` yields, made in a thread of its own.

    Every step is made in that thread, and only when it is asked for. What a run holds, such as its view of a model, is
    given back when the thread ends and no sooner: a run that was given up may still use it.

    Args:
        steps: The run. Its first item says that everything is loaded, and is not handed on.
        seconds: How long it may take.
        title: The technique, for messages.
        blame: Receives what goes wrong.
        wanted: Whether anybody still waits for it; asked now and then, also in the midst of a step.

    Raises:
        OutOfTime: It took longer, also when it never yields.
        Abandoned: Nobody waits for it.
    """
    deadline = time.monotonic() + seconds
    worker = _Worker(steps, blame)
    worker.start()
    loaded = False
    try:
        while True:
            value = worker.step(deadline, wanted)
            if loaded:
                if time.monotonic() > deadline:
                    raise queue.Empty
                yield value
            loaded = True
    except StopIteration:
        return
    except queue.Empty:
        if worker.busy and loaded:
            blame.add(f"{title} was stopped in the midst of a step, at the end of its {seconds:g} s")
        what = title if loaded else f"Loading the model for {title}"
        remedy = "Use fewer steps or a smaller model." if loaded else "Try again later, or use a smaller model."
        raise OutOfTime(f"{what} took longer than the {seconds:g} s a run may take here. {remedy}") from None
    finally:
        worker.close(interrupt=loaded)  # loading is ours: it ends by itself, and leaves no lock behind
