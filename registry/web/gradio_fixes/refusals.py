"""Calls that are refused before any function sees them, where Gradio itself would stumble: 404 or 422, and why."""

from __future__ import annotations

import json
import logging
import re
from typing import Any

from fastapi import HTTPException, Request
from fastapi.exceptions import RequestValidationError
from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ...base.errors import excerpt
from ..answers import INTERNAL, json_answer
from .checks import wrong_call, wrong_form, wrong_path

DIRECT = ("/gradio_api/run/", "/gradio_api/api/")  # calls that do not go through the queue
EVENTS = ("/gradio_api/queue/data", "/gradio_api/call/")
SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")  # of a surrogate, which stands for a character only beside another
DETAIL = 200  # characters of each thing that is wrong with a body
logger = logging.getLogger("timmscope.web")


async def refuse_body(request: Request, error: Exception) -> JSONResponse:
    """Answer a malformed body with 422 and what is wrong with it; it is not repeated, since it may be of any size."""
    problems = error.errors()[:3] if isinstance(error, RequestValidationError) else []
    logger.info("malformed body of %s: %s", excerpt(request.url.path), [problem["type"] for problem in problems])
    texts = (f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}"[:DETAIL] for problem in problems)
    return json_answer("; ".join(texts) or "malformed", 422)


class Refusals:
    """Lets refusals end as what they are.

    Gradio answers a refused direct call with 500, and breaks the connection of a stream that nobody waits for.
    Lone surrogates are refused here: JSON can give them, and no answer that repeats one could
    be written. Names of files are made `readable` instead, since whoever calls did not choose them.

    Args:
        app: The app.
        page: Its page, whose functions can be called.
    """

    def __init__(self, app: ASGIApp, page: Any) -> None:
        self.app, self.page = app, page

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path, start = scope.get("path", ""), None
        refused, receive = await self._refused(scope, receive)
        if refused is not None:
            await refused(scope, receive, send)
            return

        async def corrected(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start" and message["status"] == 500:
                start = message  # what was wrong is in the body, which comes next
                return
            if start is not None:
                body = message.get("body", b"")
                await send({**start, "status": 422} if _is_refusal(body) else start)
                start = None
            await send(message)

        try:
            await self.app(scope, receive, corrected if path.startswith(DIRECT) else send)
        except RuntimeError as error:
            if not path.startswith(EVENTS) or not isinstance(error.__cause__, HTTPException):
                raise
            logger.info("no events: %s", excerpt(error.__cause__))  # the stream's last event says so too
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _refused(self, scope: Scope, receive: Receive) -> tuple[JSONResponse | None, Receive]:
        """The answer to a request that Gradio must not see, and what gives its body to whoever comes next."""
        path = scope.get("path", "")
        if (refused := wrong_path(path)) or scope.get("method") != "POST":
            return refused, receive
        kind = Headers(scope=scope).get("content-type", "")
        if kind.startswith("multipart/"):
            return wrong_form(path, kind), receive
        content, receive = await _read(receive)
        try:
            body = json.loads(content)
        except (ValueError, RecursionError):  # whoever reads it refuses it
            return None, receive
        if _has_lone_surrogates(content, body):
            logger.info("malformed body of %s: lone surrogates", excerpt(path))
            return json_answer("body: got lone surrogates (\\ud800 to \\udfff), expected text.", 422), receive
        return wrong_call(self.page, path, body) if "json" in kind else None, receive


async def _read(receive: Receive) -> tuple[bytes, Receive]:
    """The body of a request, and what gives it once more, and then what comes after it."""
    messages: list[Message] = [await receive()]
    while messages[-1].get("more_body"):
        messages.append(await receive())
    left = iter(messages)

    async def again() -> Message:
        return next(left, None) or await receive()

    return b"".join(message.get("body", b"") for message in messages), again


def _has_lone_surrogates(content: bytes, body: Any) -> bool:
    """Whether a JSON text gives a half of a surrogate pair without the other."""
    if not SURROGATE.search(content):
        return False
    try:
        json.dumps(body, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return True
    except RecursionError:  # whoever reads it refuses it
        return False
    return False


def _is_refusal(body: bytes) -> bool:
    """Whether the answer to a direct call is the caller's to mend."""
    said = json.loads(body)
    return isinstance(said, dict) and bool(said.get("error")) and INTERNAL not in said["error"]
