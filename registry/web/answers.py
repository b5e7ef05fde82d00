"""Errors on the web: every answer is a sentence for the user; everything else stays in the log."""

from __future__ import annotations

import contextlib
import logging
import uuid
from collections.abc import Iterator
from typing import Any

import gradio as gr
from gradio.exceptions import InvalidPathError

from ..errors import TimmscopeError

logger = logging.getLogger("timmscope.web")
MARKUP = str.maketrans({"<": "‹", ">": "›"})  # messages repeat what was given, and pages show messages as HTML


@contextlib.contextmanager
def answered() -> Iterator[None]:
    """Turn what is raised in the block into an answer: the error's own text, or an incident number."""
    try:
        yield
    except gr.Error:
        raise
    except TimmscopeError as error:
        raise gr.Error(str(error).translate(MARKUP), print_exception=False) from None
    except Exception:
        incident = uuid.uuid4().hex[:8]
        logger.exception("incident %s", incident)
        raise gr.Error(
            f"Internal error {incident}. This is a fault of the server, not of your input; its log has the details.",
            print_exception=False,
        ) from None


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
        except (InvalidPathError, OSError):
            reason = "a file record names a file that was not uploaded. Upload it first (POST /gradio_api/upload)."
        except Exception as error:
            logger.info("malformed input: %s: %s", type(error).__name__, error)
            reason = "a value has the wrong form; the schema is at /gradio_api/info."
        raise gr.Error(f"data: {reason}", print_exception=False)
