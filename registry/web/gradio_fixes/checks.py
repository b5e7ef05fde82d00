"""What is wrong with a request, asked before Gradio sees it, which would stumble: a status and a sentence.

Nothing is caught here but what a check itself raises, so that an error of the server is never taken for a caller's.
"""

from __future__ import annotations

import logging
import re
from typing import Any, TypeVar

import httpx
from gradio.data_classes import ComponentServerJSONBody, PredictBody, SimplePredictBody
from gradio.route_utils import requote_proxied_url
from pydantic import BaseModel, ValidationError
from python_multipart.multipart import parse_options_header
from starlette.responses import JSONResponse

from ...base.errors import InvalidInput, did_you_mean, excerpt
from ...plugins.discovery import plugins
from ..answers import json_answer

CALL = re.compile(r"/gradio_api/(call/v2|call|run|api)/([^/]+)/?")
JOIN = "/gradio_api/queue/join"
COMPONENTS = ("/gradio_api/component_server", "/gradio_api/component_server/")
FILES = re.compile(r"/(?:static|assets|svelte)/(.*)", re.DOTALL)
ADDRESS = re.compile(r"/gradio_api/(?:file=|file/)(https?://.*)", re.DOTALL)
PROXY = "/gradio_api/proxy="
BOUNDARY = 256  # bytes between the parts of a form, as many as its parser takes
NAME, PATH = 255, 2_000  # bytes of a file's name, and of the path of any file that is served here
logger = logging.getLogger("timmscope.web")
Body = TypeVar("Body", bound=BaseModel)


def wrong_path(path: str) -> JSONResponse | None:
    """The answer to a request for a file or an address that there cannot be.

    Args:
        path: Its path, without escapes.
    """
    if path.endswith("\n") or (path.startswith(PROXY) and not _is_address(path.removeprefix(PROXY))):
        return json_answer(f"address: got {excerpt(path)}, expected one without control characters.", 400)
    if (found := ADDRESS.fullmatch(path)) and not _is_address(found[1]):
        return json_answer(f"File not allowed: {excerpt(found[1])}.", 403)
    if found := FILES.fullmatch(path):
        name = found[1].encode(errors="surrogatepass")
        if len(name) > PATH or any(len(part) > NAME for part in name.split(b"/")):
            return json_answer("There is no such file.", 404)
    return None


def wrong_form(path: str, kind: str) -> JSONResponse | None:
    """The answer to a form that cannot be read, or is for a function of a component, of which this page has none.

    Args:
        path: Its path, without escapes.
        kind: Its content type.
    """
    boundary = parse_options_header(kind)[1].get(b"boundary", b"")
    if len(boundary) > BOUNDARY:
        return json_answer(f"boundary: got {len(boundary):,} bytes, expected at most {BOUNDARY}.", 400)
    return _unknown(path) if path in COMPONENTS else None


def wrong_call(page: Any, path: str, body: Any) -> JSONResponse | None:
    """The answer to a call of what there is not. A body of another form is left to FastAPI, which refuses it.

    Args:
        page: The page.
        path: The path of a POST, without escapes.
        body: What its JSON says.
    """
    if not isinstance(body, dict):
        return None
    if path in COMPONENTS:
        question = _parsed(ComponentServerJSONBody, body)
        return None if question is None or question.component_id in page.blocks else _unknown(path)
    found = CALL.fullmatch(path)
    kind, name = found.groups() if found else ("", "")
    if kind == "call/v2":
        return _wrong_parameters(name, body)
    if kind == "call":
        return None if _parsed(SimplePredictBody, body) is None or _named(page, name) else _unknown(path)
    call = _parsed(PredictBody, body) if kind or path == JOIN else None
    if call is None or (path == JOIN and None in (call.session_hash, call.fn_index)):
        return None
    there = _named(page, name) if call.fn_index is None else call.fn_index in page.fns
    return None if there else _unknown(path)


def _is_address(text: str) -> bool:
    """Whether httpx reads an address and its host, as Gradio asks it to."""
    try:
        httpx.URL(requote_proxied_url(text)).host  # noqa: B018
    except (httpx.InvalidURL, UnicodeError):
        return False
    return True


def _named(page: Any, name: str) -> bool:
    return any(function.api_name == name for function in page.fns.values())


def _wrong_parameters(name: str, body: dict[str, Any]) -> JSONResponse | None:
    """The answer to a call with named parameters, where the technique or one of them is unknown."""
    if name not in plugins().techniques:
        return _unknown(name)
    known = [parameter.name for parameter in plugins().techniques[name].parameters]
    given = [key for key in body if key not in known]
    if not given or given == ["oauth_token"]:  # which Gradio drops
        return None
    unknown = ", ".join(excerpt(key) for key in given[:5])
    logger.info("malformed call of %s: unknown parameters %s", excerpt(name), unknown)
    return json_answer(f"parameters: got {unknown}, expected {', '.join(known)}.", 422)


def _unknown(path: str) -> JSONResponse:
    """404, and which name is close."""
    name = path.rstrip("/").rsplit("/", 1)[-1]
    logger.info("unknown endpoint %s", excerpt(name))
    expected, close = "one of those of /gradio_api/info", did_you_mean(name, plugins().techniques)
    return json_answer(str(InvalidInput("endpoint", name, expected, close)), 404)


def _parsed(kind: type[Body], body: dict[str, Any]) -> Body | None:
    """The body as Gradio reads it, or None where FastAPI will refuse it."""
    try:
        return kind.model_validate(body)
    except ValidationError:
        return None
