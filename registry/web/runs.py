"""The runs of this server: which go on, who waits for them, in which queue, and a line in the log when they end."""

from __future__ import annotations

import contextlib
import itertools
import logging
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from gradio.context import LocalContext

from ..base.errors import Abandoned, excerpt
from ..base.logs import request_id
from ..base.settings import settings
from ..declare.technique import Technique
from ..models import loading

LIGHT, HEAVY = "light", "heavy"  # concurrency ids: a light run never waits for a heavy one
logger = logging.getLogger("timmscope.runs")
_going: dict[int, Run] = {}
_numbers = itertools.count()


@dataclass(eq=False)
class Run:
    """One run of a client.

    Args:
        request: Its id, which answers and log lines share.
        technique: The technique.
        model: Name of the model, as the client gave it.
        session: The page it was started on; empty for an endpoint.
    """

    request: str
    technique: Technique
    model: str
    session: str = ""
    start: float = field(default_factory=time.monotonic)
    stopped: bool = False
    _event: str | None = field(default_factory=lambda: LocalContext.event_id.get(None))
    _page: Any = field(default_factory=lambda: LocalContext.blocks.get(None))

    def wanted(self) -> bool:
        """Whether the client still waits for it. Asked from any thread."""
        if self.stopped:
            return False
        if self._event is None or self._page is None:  # called beside the queue
            return True
        jobs = [job for job in list(self._page._queue.active_jobs) if job]
        return any(event._id == self._event and event.alive for job in jobs for event in job)


def limit(lane: str) -> int:
    """Runs at the same time: one heavy run where they share a GPU, as many as the operator allows elsewhere."""
    if lane == LIGHT:
        return settings().parallel_runs
    return 1 if loading.default_device().type == "cuda" else settings().heavy_runs


def lane(technique: Technique) -> str:
    """The queue in which the runs of a technique wait."""
    return HEAVY if technique.heavy else LIGHT


def queued(technique: Technique) -> dict[str, Any]:
    """The options of an event that runs a technique."""
    return {"concurrency_id": lane(technique), "concurrency_limit": limit(lane(technique))}


def new_request(event: str | None = None) -> str:
    """An id for the current call; for a queued one the start of the id that its client was given.

    Args:
        event: That id, where Gradio has not put it into the context, as it does around a function.
    """
    request = (event or LocalContext.event_id.get(None) or uuid.uuid4().hex)[:8]
    request_id.set(request)
    return request


@contextlib.contextmanager
def noted(request: str, technique: Technique, model: Any, session: str = "") -> Iterator[Run]:
    """A run goes on while the block does. A line in the log says how it ended."""
    run, number = Run(request, technique, excerpt(model), session), next(_numbers)
    _going[number] = run
    outcome = "done"
    try:
        yield run
    except (GeneratorExit, Abandoned):
        outcome = "stopped"
        raise
    except BaseException as error:
        outcome = type(error).__name__
        raise
    finally:
        del _going[number]
        fields = {
            "request": request,
            "technique": technique.name,
            "model": run.model,
            "seconds": round(time.monotonic() - run.start, 3),
            "outcome": outcome,
        }
        logger.info("run %s", " ".join(f"{k}={v}" for k, v in fields.items()), extra={"run": fields})


def going() -> list[Run]:
    """The runs that go on."""
    return list(_going.values())


def stop(session: str, technique: str) -> None:
    """Stop the runs of a technique that were started on a page, also in the midst of a step."""
    for run in going():
        if session and run.session == session and run.technique.name == technique:
            run.stopped = True


def waiting_in(page: Any) -> dict[str, int]:
    """How many runs wait in each queue."""
    return {name: len(queue.queue) for name, queue in list(page._queue.event_queue_per_concurrency_id.items())}
