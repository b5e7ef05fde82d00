"""The web face: ports to components, one public endpoint a technique, and the page. The only code that knows Gradio."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def serve(style: Path, **options: Any) -> Any:
    """Build the page and serve it, with its HTTP API and MCP server.

    Args:
        style: The style sheet.
        **options: Further arguments of Gradio's `launch`, such as `server_port`.

    Returns:
        What `launch` returns.
    """
    from ..settings import settings
    from .answers import refuse_name, refuse_parameters
    from .page import HEAD, build, theme

    return build().launch(
        theme=theme(),
        css_paths=style,
        head=HEAD,
        mcp_server=True,
        show_error=False,
        enable_monitoring=False,
        run_history=False,
        max_file_size=settings().upload_bytes,
        app_kwargs={"exception_handlers": {TypeError: refuse_parameters, KeyError: refuse_name}},
        footer_links=["api", "settings"],
        **options,
    )
