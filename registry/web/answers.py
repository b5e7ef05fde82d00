"""Errors on the web: every answer is a sentence for the user; everything else stays in the log."""

from __future__ import annotations

import contextlib
import logging
import uuid
from collections.abc import Iterator
from typing import Any

import gradio as gr
from fastapi import Request
from fastapi.responses import JSONResponse

from ..errors import InvalidInput, TechniqueFailed, TimmscopeError, did_you_mean, shown
from ..plugins import plugins

logger = logging.getLogger("timmscope.web")
MARKUP = str.maketrans({"<": "‹", ">": "›"})  # messages repeat what was given, and pages show messages as HTML


@contextlib.contextmanager
def answered() -> Iterator[None]:
    """Turn what is raised in the block into an answer: the error's own text, or an incident number."""
    try:
        yield
    except gr.Error:
        raise
    except TechniqueFailed as error:
        incident = uuid.uuid4().hex[:8]
        logger.exception("incident %s", incident)
        raise gr.Error(
            f"{error} The server's log has the details, under {incident}.".translate(MARKUP), print_exception=False
        ) from None
    except TimmscopeError as error:
        raise gr.Error(str(error).translate(MARKUP), print_exception=False) from None
    except Exception:
        incident = uuid.uuid4().hex[:8]
        logger.exception("incident %s", incident)
        raise gr.Error(
            f"Internal error {incident}. This is a fault of the server, not of your input; its log has the details.",
            print_exception=False,
        ) from None


async def refuse_name(request: Request, error: Exception) -> JSONResponse:
    """Answer a call of an endpoint that does not exist, on which Gradio itself stumbles, with 404 and what is close."""
    name = request.url.path.rstrip("/").rsplit("/", 1)[-1]
    logger.info("unknown endpoint %s: %s", name, error)
    refused = InvalidInput(
        "endpoint", name, "one of those of /gradio_api/info", did_you_mean(name, plugins().techniques)
    )
    return JSONResponse({"detail": str(refused).translate(MARKUP)}, status_code=404)


async def refuse_parameters(request: Request, error: Exception) -> JSONResponse:
    """Answer a call with unknown named parameters, on which Gradio itself stumbles, with 422 and their names."""
    name = request.url.path.rstrip("/").rsplit("/", 1)[-1]
    logger.info("malformed call of %s: %s", name, error)
    technique = plugins().techniques.get(name)
    expected = ", ".join(p.name for p in technique.parameters) if technique else "those of /gradio_api/info"
    try:
        given = [key for key in await request.json() if technique and key not in {p.name for p in technique.parameters}]
    except ValueError:
        given = []
    unknown = f"got {', '.join(shown(key) for key in given[:5])}, " if given else ""
    return JSONResponse({"detail": f"parameters: {unknown}expected {expected}."}, status_code=422)


class Page(gr.Blocks):
    """Blocks whose input errors are answers too: Gradio itself would say nothing but null."""

    def get_block_name(self) -> str:
        return "blocks"

    def validate_inputs(self, block_fn: Any, inputs: list[Any]) -> None:
        """Refuse a call with too few values, naming the parameters."""
        try:
            super().validate_inputs(block_fn, inputs)
        except ValueError:
            names = ", ".join(getattr(block_fn.fn, "parameter_names", ())) or f"{len(block_fn.inputs)} values"
            raise gr.Error(
                f"data: got {len(inputs)} values, expected {len(block_fn.inputs)}: {names}. "
                f"Give every value in this order, or named ones to /gradio_api/call/v2/{block_fn.api_name}.",
                print_exception=False,
            ) from None

    async def preprocess_data(self, block_fn: Any, inputs: list[Any], *args: Any, **kwargs: Any) -> Any:
        """Refuse files that were not uploaded; whatever else fails here is malformed input."""
        try:
            return await super().preprocess_data(block_fn, inputs, *args, **kwargs)
        except gr.Error:
            raise
        except Exception as error:
            logger.info("malformed input: %s: %s", type(error).__name__, error)
        # Only files are looked at before the registry sees the values.
        names = getattr(block_fn.fn, "parameter_names", [])
        files = [n for n, value in zip(names, inputs) if isinstance(value, (dict, list))] or ["data"]
        raise gr.Error(
            f"{', '.join(files)}: got a file record that names no uploaded file, expected one that was uploaded. "
            "Upload the file first (POST /gradio_api/upload) and give the path in the answer.",
            print_exception=False,
        )
