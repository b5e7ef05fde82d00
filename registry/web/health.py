"""For whoever watches the server: what it is, what it does now, and that it does it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from timmscope import __version__

from ..models import loading
from . import runs


def route(page: Callable[[], Any]) -> Route:
    """The route `/health`. It waits for nothing, so that it answers while runs go on.

    Args:
        page: Returns the page whose queues are reported.
    """

    async def health(request: Request) -> JSONResponse:
        waiting = runs.waiting_in(page())
        return JSONResponse(
            {
                "status": "ok",
                "version": __version__,
                "device": str(loading.default_device()),
                "models": loading.cache().names,
                "runs": Counter(run.technique.name for run in runs.going()),
                "waiting": {lane: waiting.get(lane, 0) for lane in (runs.LIGHT, runs.HEAVY)},
            }
        )

    return Route("/health", health)
