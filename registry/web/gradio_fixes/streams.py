"""A session's stream of events ends in step with its client, so that no call is lost between two streams.

Gradio 6.31 ends a stream when nothing is pending any more. Clients (gradio_client 2.7, the page's own) open the next
one when they have read so. A call that they post in between is answered while they still take the old stream for open,
and its events never come: gradio_client raises `CancelledError`, a page waits for ever. Threads that share a Client
meet it, and so do all clients of MCP, whose tools Gradio calls through one Client of its own.

Clients hang up when they have read that a stream ends. Until then a call of its session is not answered.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs

from gradio.server_messages import CloseStreamMessage
from starlette.responses import StreamingResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

PATH = "/gradio_api/queue/data"
END = f"data: {CloseStreamMessage().model_dump_json()}\n\n".encode()
SESSIONS = 1_000  # with calls that are known; of a call over HTTP each is a session
PATIENCE = 2.0  # seconds in which a client reads it and hangs up; some read on until the server does


class Streams:
    """Keeps a stream that ends open until its client has hung up, and calls of its session waiting.

    Args:
        app: The app.
        queue: The queue of its page.
    """

    def __init__(self, app: ASGIApp, queue: Any) -> None:
        self.app, self.queue, self.push = app, queue, queue.push
        self.ending: dict[str, asyncio.Event] = {}  # by session
        queue.push = self._pushed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope.get("path") != PATH:
            await self.app(scope, receive, send)
            return
        session = parse_qs(scope["query_string"].decode("latin-1")).get("session_hash", [""])[0]
        app, end = self.app, asyncio.Event()
        # A client that heard of the end of its only call before it heard that it was accepted opens a stream for it,
        # which Gradio would keep open, and with it the client's program.
        if session in self.queue.pending_messages_per_session and not self.queue.pending_event_ids_session.get(session):
            app, self.ending[session] = StreamingResponse(_nothing(), media_type="text/event-stream"), end

        async def watched(message: Message) -> None:
            if message.get("body") == END:
                self.ending[session] = end
            elif message["type"] == "http.response.body" and self.ending.get(session) is end:
                with contextlib.suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(_hung_up(receive), PATIENCE)
            await send(message)

        try:
            await app(scope, receive, watched)
        finally:
            end.set()
            if self.ending.get(session) is end:
                del self.ending[session]

    async def _pushed(self, body: Any, request: Any, username: Any) -> Any:
        """Add a call to the queue. One that is there before a stream ends keeps it open."""
        answer = await self.push(body=body, request=request, username=username)
        if len(self.queue.pending_event_ids_session) > SESSIONS:
            self._forget()
        if body.session_hash in self.ending:
            await self.ending[body.session_hash].wait()
        return answer

    def _forget(self) -> None:
        """Forget sessions whose calls are all over. Gradio keeps them, and forgets the oldest, over or not."""
        messages, calls = self.queue.pending_messages_per_session, self.queue.pending_event_ids_session
        for session in [name for name, left in calls.items() if not left or name not in messages]:
            del calls[session]
            messages.pop(session, None)


async def _nothing() -> AsyncIterator[bytes]:
    yield END


async def _hung_up(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
