"""Errors on the web: every answer is a sentence for the user; everything else stays in the log."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from typing import Any

import gradio as gr

from ..base.errors import TechniqueFailed, TimmscopeError, shown
from ..base.names import readable
from .runs import new_request

logger = logging.getLogger("timmscope.web")
INTERNAL = "Internal error"
MARKUP = str.maketrans({"<": "‹", ">": "›"})  # messages repeat what was given, and pages show messages as HTML


@contextlib.contextmanager
def answered() -> Iterator[str]:
    """Turn what is raised in the block into an answer: the error's own text, or the request's id, which is yielded."""
    request = new_request()
    try:
        yield request
    except gr.Error:
        raise
    except TechniqueFailed as error:
        logger.exception("incident %s", request)
        raise gr.Error(
            _text(f"{error} The server's log has the details, under {request}."), print_exception=False
        ) from None
    except TimmscopeError as error:
        raise gr.Error(_text(str(error)), print_exception=False) from None
    except Exception:
        logger.exception("incident %s", request)
        raise gr.Error(
            f"{INTERNAL} {request}. This is a fault of the server, not of your input; its log has the details.",
            print_exception=False,
        ) from None


def _text(message: str) -> str:
    return readable(message, lines=True).translate(MARKUP)


class Page(gr.Blocks):
    """Blocks whose input errors are answers too: Gradio itself would say nothing but null."""

    def get_block_name(self) -> str:
        return "blocks"

    async def process_api(self, block_fn: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Call a function; whatever Gradio itself stumbles on is an answer too."""
        function = self.fns[block_fn] if isinstance(block_fn, int) else block_fn
        if not function.fn:
            raise gr.Error(
                "fn_index: got a function that only a browser has, expected one of the server.", print_exception=False
            )
        try:
            return await super().process_api(block_fn, *args, **kwargs)
        except gr.Error:
            raise
        except Exception as error:  # the functions' own errors are answers already
            logger.info("malformed call of %s: %s: %s", function.name, type(error).__name__, shown(error))
            raise gr.Error(
                "The call was refused: its values or its event are not what the page sends. "
                "The endpoints for programs are those of /gradio_api/info.",
                print_exception=False,
            ) from None

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

    async def postprocess_data(self, *args: Any, **kwargs: Any) -> Any:
        """Turn what a function returned into what its client gets; what fails here is a fault of the server."""
        with answered():
            return await super().postprocess_data(*args, **kwargs)

    async def preprocess_data(self, block_fn: Any, inputs: list[Any], *args: Any, **kwargs: Any) -> Any:
        """Refuse files that were not uploaded; whatever else fails here is malformed input."""
        try:
            return await super().preprocess_data(block_fn, inputs, *args, **kwargs)
        except gr.Error:
            raise
        except Exception as error:
            logger.info("malformed input: %s: %s", type(error).__name__, shown(error))
        # Only files are looked at before the registry sees the values.
        names = getattr(block_fn.fn, "parameter_names", [])
        files = [n for n, value in zip(names, inputs) if isinstance(value, (dict, list))] or ["data"]
        raise gr.Error(
            f"{', '.join(files)}: got a file record that names no uploaded file, expected one that was uploaded. "
            "Upload the file first (POST /gradio_api/upload) and give the path in the answer.",
            print_exception=False,
        )
