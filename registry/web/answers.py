"""Errors on the web: every answer is a sentence for the user; everything else stays in the log."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator

import gradio as gr
from starlette.requests import Request
from starlette.responses import JSONResponse

from ..base.errors import TechniqueFailed, TimmscopeError, excerpt
from ..base.names import readable
from .runs import new_request

logger = logging.getLogger("timmscope.web")
INTERNAL = "Internal error"
MARKUP = str.maketrans({"<": "‹", ">": "›"})  # messages repeat what was given, and pages show messages as HTML


@contextlib.contextmanager
def answered(event: str | None = None) -> Iterator[str]:
    """Turn what is raised in the block into an answer: the error's own text, or the request's id, which is yielded.

    Args:
        event: As for `new_request`.
    """
    request = new_request(event)
    try:
        yield request
    except gr.Error:
        raise
    except TechniqueFailed as error:
        logger.exception("incident %s", request)
        raise refusal(f"{error} The server's log has the details, under {request}.") from None
    except TimmscopeError as error:
        raise refusal(str(error)) from None
    except Exception:
        logger.exception("incident %s", request)
        raise refusal(_fault(request)) from None


async def answer_fault(request: Request, error: Exception) -> JSONResponse:
    """Answer a request whose route failed with 500 and an id, under which the log has the traceback."""
    number = new_request()
    logger.error("incident %s at %s", number, excerpt(request.scope["path"]), exc_info=error)
    return json_answer(_fault(number), 500)


def refusal(message: str) -> gr.Error:
    """An error whose text a client or the page shows."""
    return gr.Error(_text(message), print_exception=False)


def json_answer(detail: str, status: int) -> JSONResponse:
    """An answer beside the queue, such as a refusal, in the form that FastAPI's own have."""
    return JSONResponse({"detail": _text(detail)}, status)


def _fault(request: str) -> str:
    return f"{INTERNAL} {request}. This is a fault of the server, not of your input; its log has the details."


def _text(message: str) -> str:
    return readable(message, lines=True).translate(MARKUP)
