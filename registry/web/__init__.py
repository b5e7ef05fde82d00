"""The web face: ports to components, an endpoint per technique, and the page. The only code that knows Gradio."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from .gradio_fixes.stubs import unwritten_stubs

with unwritten_stubs():
    import gradio  # noqa: F401  # before all else that imports it

SESSIONS = 200  # whose state is kept; every call over HTTP makes one


def serve(style: Path) -> None:
    """Build the page and serve it, with its HTTP API and MCP server, until interrupted.

    Args:
        style: The style sheet.
    """
    from . import dispatch  # isort: skip  # first: on ZeroGPU its package comes before anything touches CUDA
    from fastapi.exceptions import RequestValidationError
    from starlette.middleware import Middleware

    from ..base.incidents import attribute_output
    from ..base.logs import start_logging
    from ..base.memory import share_heaps
    from ..base.settings import settings
    from . import health
    from .answers import answer_fault
    from .gradio_fixes import sessions, tools, uploads
    from .gradio_fixes.refusals import Refusals, refuse_body
    from .gradio_fixes.streams import Streams
    from .page import HEAD, build, theme
    from .temporary import sweep_always

    share_heaps()
    start_logging()
    attribute_output()
    sessions.lighten()
    uploads.mend()
    page = build()
    dispatch.preload()
    sweep_always()

    @contextlib.asynccontextmanager
    async def mended(app: Any) -> AsyncIterator[None]:
        tools.mend(page.mcp_server_obj)  # there now, and nobody is served yet
        yield

    page.launch(
        theme=theme(),
        css_paths=style,
        head=HEAD,
        mcp_server=True,
        show_error=False,
        enable_monitoring=False,
        run_history=False,
        state_session_capacity=SESSIONS,
        max_file_size=settings().upload_bytes,
        app_kwargs={
            "lifespan": mended,
            "exception_handlers": {RequestValidationError: refuse_body, Exception: answer_fault},
            "middleware": [Middleware(Refusals, page=page), Middleware(Streams, queue=page._queue)],
            "routes": [health.route(lambda: page)],
        },
        footer_links=["api", "settings"],
        prevent_thread_lock=True,
        _frontend=False,  # no check that the page comes within 3 s: where it takes longer, the server would end
    )
    page.block_thread()
