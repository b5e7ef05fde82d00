"""Calls that are refused before any function sees them, where Gradio itself would stumble: 404 or 422, and why."""

from __future__ import annotations

import errno
import json
import logging
import re

from fastapi import HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..base.errors import InvalidInput, did_you_mean, shown
from ..base.names import readable
from ..plugins.discovery import plugins
from .answers import INTERNAL, MARKUP

DIRECT = ("/gradio_api/run/", "/gradio_api/api/")  # calls that do not go through the queue
EVENTS = ("/gradio_api/queue/data", "/gradio_api/call/")
SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")  # a half of a character beyond the first 65,536
DETAIL = 200  # characters of each thing that is wrong with a body
logger = logging.getLogger("timmscope.web")


async def refuse_name(request: Request, error: Exception) -> JSONResponse:
    """Answer a call of an endpoint that does not exist, on which Gradio itself stumbles, with 404 and what is close."""
    name = request.url.path.rstrip("/").rsplit("/", 1)[-1]
    logger.info("unknown endpoint %s: %s", shown(name), shown(error))
    expected, close = "one of those of /gradio_api/info", did_you_mean(name, plugins().techniques)
    return _answer(str(InvalidInput("endpoint", name, expected, close)), 404)


async def refuse_parameters(request: Request, error: Exception) -> JSONResponse:
    """Answer a call with unknown named parameters, on which Gradio itself stumbles, with 422 and their names."""
    if request.method == "GET":  # it gives none: a fault of the server, such as an answer that cannot be written
        raise error
    name = request.url.path.rstrip("/").rsplit("/", 1)[-1]
    logger.info("malformed call of %s: %s", shown(name), shown(error))
    if name == "upload":
        return _answer("files: got a part of a form without a file name, expected files.", 422)
    technique = plugins().techniques.get(name)
    expected = ", ".join(p.name for p in technique.parameters) if technique else "those of /gradio_api/info"
    try:
        given = [key for key in await request.json() if technique and key not in {p.name for p in technique.parameters}]
    except ValueError:
        given = []
    unknown = f"got {', '.join(shown(key) for key in given[:5])}, " if given else ""
    return _answer(f"parameters: {unknown}expected {expected}.", 422)


async def refuse_body(request: Request, error: Exception) -> JSONResponse:
    """Answer a malformed body with 422 and what is wrong with it; it is not repeated, since it may be of any size."""
    problems = error.errors()[:3] if isinstance(error, RequestValidationError) else []
    logger.info("malformed body of %s: %s", shown(request.url.path), [problem["type"] for problem in problems])
    texts = (f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}"[:DETAIL] for problem in problems)
    return _answer("; ".join(texts) or "malformed", 422)


async def refuse_path(request: Request, error: Exception) -> JSONResponse:
    """Answer the name of a file that no disk can hold with 404."""
    if not isinstance(error, OSError) or error.errno != errno.ENAMETOOLONG:
        raise error
    return _answer("There is no such file.", 404)


async def refuse_address(request: Request, error: Exception) -> JSONResponse:
    """Answer an address to fetch that is none, such as one with a control character, with 400."""
    return _answer(f"address: got {shown(request.url.path)}, expected one without control characters.", 400)


def _answer(detail: str, status: int) -> JSONResponse:
    return JSONResponse({"detail": readable(detail, lines=True).translate(MARKUP)}, status)


class Refusals:
    """Lets refusals end as what they are.

    Gradio answers a refused direct call with 500, and breaks the connection of a stream that nobody waits for.
    Lone surrogates, halves of characters, are refused here: JSON can give them, and no answer that repeats one could
    be written. Names of files are made `readable` instead, since whoever calls did not choose them.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        start: Message | None = None
        if scope.get("method") == "POST" and not Headers(scope=scope).get("content-type", "").startswith("multipart/"):
            body, receive = await _read(receive)
            if _has_lone_surrogates(body):
                logger.info("malformed body of %s: halves of characters", shown(path))
                await _answer("body: got halves of characters (\\ud800 to \\udfff), expected text.", 422)(
                    scope, receive, send
                )
                return

        async def corrected(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start" and message["status"] == 500:
                start = message  # what was wrong is in the body, which comes next
                return
            if start is not None:
                body = message.get("body", b"")
                refused = b'"error"' in body and INTERNAL.encode() not in body
                await send({**start, "status": 422} if refused else start)
                start = None
            await send(message)

        try:
            await self.app(scope, receive, corrected if path.startswith(DIRECT) else send)
        except RuntimeError as error:
            if not path.startswith(EVENTS) or not isinstance(error.__cause__, HTTPException):
                raise
            logger.info("no events: %s", shown(error.__cause__))  # the stream's last event says so too
            await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _read(receive: Receive) -> tuple[bytes, Receive]:
    """The body of a request, and what gives it once more, and then what comes after it."""
    messages: list[Message] = [await receive()]
    while messages[-1].get("more_body"):
        messages.append(await receive())
    left = iter(messages)

    async def again() -> Message:
        return next(left, None) or await receive()

    return b"".join(message.get("body", b"") for message in messages), again


def _has_lone_surrogates(body: bytes) -> bool:
    """Whether a JSON text gives a half of a surrogate pair without the other."""
    if not SURROGATE.search(body):
        return False
    try:
        json.dumps(json.loads(body), ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return True
    except (ValueError, RecursionError):  # whoever reads it refuses it
        return False
    return False
