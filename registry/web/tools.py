"""What Gradio's MCP server does otherwise than its clients need."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

LOOK = 0.5  # seconds between two looks whether the client is still there


def mend(server: Any) -> None:
    """Change an MCP server of Gradio's, in its own process.

    Args:
        server: The `mcp_server_obj` of a page that is served.
    """
    server.postprocess_output_data = _unwrapped(server.postprocess_output_data)
    for name in ("_execute_tool_without_progress", "_execute_tool_with_progress"):
        setattr(server, name, _while_connected(server, getattr(server, name)))


def _unwrapped(postprocess: Callable[[Any, str], Any]) -> Callable[[Any, str], Any]:
    """Let clients receive pictures as pictures.

    Gradio 6.31 puts all outputs of a queued endpoint into one more list when the client asks for no progress,
    and then sends that list as text.
    """

    def unwrapped(data: Any, root_url: str) -> Any:
        wrapped = len(data) == 1 and isinstance(data[0], (list, tuple))
        return postprocess(list(data[0]) if wrapped else data, root_url)

    return unwrapped


def _while_connected(server: Any, execute: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """Let a run end when its client is gone; Gradio would compute on for nobody."""

    async def executed(job: Any, *more: Any) -> Any:
        request = server.mcp_server.request_context.request

        async def watch() -> None:
            while not await request.is_disconnected():
                await asyncio.sleep(LOOK)
            await asyncio.to_thread(job.cancel)

        watching = asyncio.create_task(watch())
        try:
            return await execute(job, *more)
        finally:
            watching.cancel()

    return executed
