"""The web face: ports to components, one public endpoint a technique, and the page. The only code that knows Gradio."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

SESSIONS = 200  # whose state is kept; every call over HTTP makes one


def serve(style: Path) -> None:
    """Build the page and serve it, with its HTTP API and MCP server, until interrupted.

    Args:
        style: The style sheet.
    """
    from . import dispatch  # isort: skip  # first: on ZeroGPU its package comes before anything touches CUDA
    import httpx
    from fastapi.exceptions import RequestValidationError
    from starlette.middleware import Middleware

    from ..base.incidents import attribute_output
    from ..base.logs import start_logging
    from ..base.memory import share_heaps
    from ..base.settings import settings
    from . import health
    from .page import HEAD, build, theme
    from .refusals import Refusals, refuse_address, refuse_body, refuse_name, refuse_parameters, refuse_path
    from .sessions import lighten
    from .streams import Streams
    from .temporary import sweep_always
    from .tools import mend

    share_heaps()
    start_logging()
    attribute_output()
    lighten()
    page = build()
    dispatch.preload()
    sweep_always()

    @contextlib.asynccontextmanager
    async def mended(app: Any) -> AsyncIterator[None]:
        mend(page.mcp_server_obj)  # there now, and nobody is served yet
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
            "exception_handlers": {
                TypeError: refuse_parameters,
                KeyError: refuse_name,
                RequestValidationError: refuse_body,
                OSError: refuse_path,
                httpx.InvalidURL: refuse_address,
            },
            "middleware": [Middleware(Refusals), Middleware(Streams, queue=page._queue)],
            "routes": [health.route(lambda: page)],
        },
        footer_links=["api", "settings"],
        prevent_thread_lock=True,
        _frontend=False,  # no check that the page comes within 3 s: where it takes longer, the server would end
    )
    page.block_thread()
