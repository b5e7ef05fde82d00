"""Blocks that answer what Gradio itself answers with nothing but null."""

from __future__ import annotations

import logging
from typing import Any

import gradio as gr
from gradio.exceptions import ComponentProcessingError
from gradio.processing_utils import check_all_files_in_cache
from gradio.utils import get_type_hints
from pydantic import ValidationError

from ...base.errors import excerpt
from ..answers import answered, refusal
from .uploads import askable, records, wrong_record

NO_EVENT = (
    "The call was refused: its values or its event are not what the page sends. "
    "The endpoints for programs are those of /gradio_api/info."
)
logger = logging.getLogger("timmscope.web")


class Page(gr.Blocks):
    """Blocks whose input errors are answers too, and whose faults have an id.

    A wrong value is refused where it is looked at. What is raised anywhere else is a fault of the server.
    """

    def get_block_name(self) -> str:
        return "blocks"

    async def process_api(self, block_fn: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Call a function; whatever fails is answered."""
        function = self.fns[block_fn] if isinstance(block_fn, int) else block_fn
        if not function.fn:
            raise refusal("fn_index: got a function that only a browser has, expected one of the server.")
        with answered(kwargs.get("event_id")):
            return await super().process_api(block_fn, *args, **kwargs)

    def validate_inputs(self, block_fn: Any, inputs: list[Any]) -> None:
        """Refuse a call with too few values, naming the parameters."""
        if len(inputs) < len(block_fn.inputs):
            names = ", ".join(getattr(block_fn.fn, "parameter_names", ())) or f"{len(block_fn.inputs)} values"
            raise refusal(
                f"data: got {len(inputs)} values, expected {len(block_fn.inputs)}: {names}. "
                f"Give every value in this order, or named ones to /gradio_api/call/v2/{block_fn.api_name}."
            )

    async def preprocess_data(self, block_fn: Any, inputs: list[Any], *args: Any, **kwargs: Any) -> Any:
        """Refuse files that were not uploaded, and what a component that an event made anew does not take."""
        self.validate_inputs(block_fn, inputs)
        for block, value in zip(block_fn.inputs, inputs):
            if block.stateful:  # the server has its value, whatever is sent
                continue
            if why := await wrong_record(value, block):
                logger.info("malformed input of %s: %s", _name_of(block_fn), why)
                raise _no_file(block_fn, inputs)
        try:
            return await super().preprocess_data(block_fn, inputs, *args, **kwargs)
        except (ComponentProcessingError, ValidationError, RecursionError) as error:
            # Of the component's own look at the value, or of Gradio's for files where it is nested too deep.
            logger.info("malformed input of %s: %s", _name_of(block_fn), excerpt(error))
            raise _no_file(block_fn, inputs) from None

    async def call_function(
        self,
        block_fn: Any,
        processed_input: list[Any],
        iterator: Any = None,
        requests: Any = None,
        event_id: str | None = None,
        event_data: Any = None,
        *args: Any,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """Refuse an event that is none before the function is called with it."""
        if iterator is None and gr.SelectData in get_type_hints(block_fn.fn).values():
            _check_event(block_fn, event_data)
        return await super().call_function(
            block_fn, processed_input, iterator, requests, event_id, event_data, *args, **kwargs
        )


def _name_of(block_fn: Any) -> str:
    """What a line of the log calls a function."""
    return str(block_fn.api_name or block_fn.name)


def _no_file(block_fn: Any, inputs: list[Any]) -> gr.Error:
    # Only files are looked at before the registry sees the values.
    names = getattr(block_fn.fn, "parameter_names", [])
    files = [n for n, value in zip(names, inputs) if isinstance(value, (dict, list))] or ["data"]
    return refusal(
        f"{', '.join(files)}: got a file record that names no uploaded file, expected one that was uploaded. "
        "Upload the file first (POST /gradio_api/upload) and give the path in the answer."
    )


def _check_event(block_fn: Any, event: Any) -> None:
    """Refuse an event without what a click into a gallery says, or with a file that was not uploaded."""
    said: Any = event._data if event else None
    sound = all(askable(record["path"]) for record in records(said))
    if sound:
        check_all_files_in_cache(said)  # as Gradio does
    if not (sound and isinstance(said, dict) and "index" in said and "value" in said):
        logger.info("malformed event of %s: %s", _name_of(block_fn), excerpt(said))
        raise refusal(NO_EVENT)
