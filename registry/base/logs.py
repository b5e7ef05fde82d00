"""The log of a server: lines for people, or one JSON object per line for machines."""

from __future__ import annotations

import json
import logging
from contextvars import ContextVar
from datetime import datetime, timezone

from .settings import settings

CHATTY = ("httpx", "mcp")
request_id: ContextVar[str] = ContextVar("request_id", default="")  # of the call this thread works for


class JsonLines(logging.Formatter):
    """A record as one JSON object: time, level, logger, message, and request, run or exception where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as a line."""
        fields = {
            "time": datetime.fromtimestamp(record.created, timezone.utc).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if request := request_id.get():
            fields["request"] = request
        fields |= getattr(record, "run", {})
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        return json.dumps(fields, ensure_ascii=False, default=str)


def start_logging() -> None:
    """Log to standard error, as the operator wants it. For a process that serves."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    if settings().log_format == "json":
        for handler in logging.getLogger().handlers:
            handler.setFormatter(JsonLines())
    for name in CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
