"""What Gradio keeps of every session, each call over HTTP among them, without what nobody reads."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from gradio.state_holder import SessionState


def lighten() -> None:
    """Let sessions keep no configuration of their own of every component of the page.

    Gradio 6.31 makes one for each session, for its deep links: of this page it has 1.7 MB and takes a tenth of a
    second, in which the server does nothing else. The page has links of its own.
    """
    begin = SessionState.__init__

    def begun(session: Any, blocks: Any) -> None:
        begin(session, SimpleNamespace(default_config=blocks.default_config, blocks=()))  # type: ignore[arg-type]
        session.blocks_config.config_for_block = lambda *_: {}  # of what an event changes; the copy is its own

    SessionState.__init__ = begun  # type: ignore[method-assign, assignment]
