"""The plugins page: what each plugin brings, what is wrong with it, and what it did wrong while it ran."""

from __future__ import annotations

import html

import gradio as gr

from timmscope import __version__

from ..plugins.discovery import PluginReport, Plugins

COLUMNS = ("Plugin", "Version", "Brings", "State")


def build(tab: gr.Tab, found: Plugins) -> None:
    """Lay the page out in the tab in whose context it is called; it is up to date whenever the tab is chosen."""
    shown = gr.HTML(table(found))
    tab.select(lambda: table(found), None, shown, queue=False, show_progress="hidden", api_visibility="private")


def table(found: Plugins) -> str:
    """The plugins, as HTML; every text is escaped."""
    head = "".join(f"<th>{title}</th>" for title in COLUMNS)
    return (
        f'<p class="summary">timmscope {__version__}. Install a plugin with pip and restart: its techniques appear as '
        "tabs, endpoints and MCP tools. A plugin named in TIMMSCOPE_DISABLED_PLUGINS is not loaded.</p>"
        f'<table class="plugins"><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(_row(report) for report in found.reports)}</tbody></table>"
    )


def _row(report: PluginReport) -> str:
    brought = [*report.techniques, *report.model_sources, *report.photo_sets]
    failures = [f'<span class="failed">{html.escape(text)}</span>' for text in report.failures]
    incidents = [f'<span class="incident">{html.escape(text)}</span>' for text in report.incidents]
    state = "<br>".join([*failures, *incidents]) or ("switched off" if report.switched_off else "works")
    cells = (html.escape(report.name), html.escape(report.version), html.escape(", ".join(brought)), state)
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"
