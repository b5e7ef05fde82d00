"""What Gradio's MCP server does otherwise than its clients need."""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import gradio.mcp
from anyio import CapacityLimiter, to_thread
from gradio_client import Client

from ...photos.decoding import is_data_url

THREADS = 40  # calls of tools at once, as many as Gradio's Client carries out
LOOK = 0.5  # seconds between two looks whether the client is still there


def mend(server: Any) -> None:
    """Change an MCP server of Gradio's, in its own process.

    Args:
        server: The `mcp_server_obj` of a page that is about to be served; called in the server's event loop.
    """
    module: Any = gradio.mcp
    # Each call of a tool waits in a thread. In the pool that the server shares with them, forty calls would stop it.
    module.run_sync = functools.partial(to_thread.run_sync, limiter=CapacityLimiter(THREADS))
    module.Client = functools.partial(Client, httpx_kwargs={"timeout": None})  # as long as the server is busy
    server.convert_strings_to_filedata = _as_they_came(server.convert_strings_to_filedata)
    server._get_or_create_client = _made_once(server._get_or_create_client)
    server.postprocess_output_data = _unwrapped(server.postprocess_output_data)
    for name in ("_execute_tool_without_progress", "_execute_tool_with_progress"):
        setattr(server, name, _while_connected(server, getattr(server, name)))


def _as_they_came(convert: Callable[[Any, list[list[Any]]], Any]) -> Callable[[Any, list[list[Any]]], Any]:
    """Let `data:` URLs reach the registry, which reads them as browsers do; Gradio drops from them what it cannot."""

    def converted(arguments: dict[str, Any], places: list[list[Any]]) -> Any:
        return convert(arguments, [[name, *more] for name, *more in places if not is_data_url(arguments.get(name))])

    return converted


def _made_once(make: Callable[[], Client]) -> Callable[[], Client]:
    """Let there be one Client through which all tools are called.

    Gradio makes it at the first call. Calls that come first at once each make one, and the server, busy with that,
    answers none of them in time: all of these calls fail.
    """
    lock = threading.Lock()

    def made() -> Client:
        with lock:
            return make()

    return made


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
