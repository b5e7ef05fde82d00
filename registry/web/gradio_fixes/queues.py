"""A bound for each queue of its own."""

from __future__ import annotations

from typing import Any

from ...base.settings import settings
from ..runs import waiting_in


def bound_queue(page: Any) -> None:
    """Let only so many wait in each queue, and say so to the others.

    Gradio's own bound counts all queues together, so that waiting heavy runs would turn light ones away.
    """
    queue, push = page._queue, page._queue.push

    async def bounded(body: Any, request: Any, username: Any) -> Any:
        block = page.fns.get(body.fn_index)
        waiting = waiting_in(page).get(block.concurrency_id, 0) if block else 0
        if waiting >= settings().queue_size:
            return False, f"Too many runs are waiting here: {waiting}. Try again in a minute.", "queue_full"
        return await push(body=body, request=request, username=username)

    queue.push = bounded
