"""The log: one JSON object per line, with the request it belongs to."""

from __future__ import annotations

import contextvars
import json
import logging

from timmscope.registry.base.logs import JsonLines, request_id


def line(message: str, *args, **more) -> dict:
    record = logging.LogRecord("timmscope.runs", logging.INFO, "x.py", 3, message, args, more.pop("exc_info", None))
    vars(record).update(more)
    text = JsonLines().format(record)
    assert "\n" not in text
    return json.loads(text)


def test_a_line_has_what_a_machine_needs():
    found = line("run %s", "one\ntwo")
    assert found["message"] == "run one\ntwo"
    assert (found["level"], found["logger"]) == ("INFO", "timmscope.runs")
    assert found["time"].endswith("+00:00")
    assert "request" not in found


def test_a_run_and_its_request_are_fields():
    def within():
        request_id.set("3f2a")
        return line("run", run={"technique": "saliency", "seconds": 0.5})

    found = contextvars.copy_context().run(within)
    assert (found["request"], found["technique"], found["seconds"]) == ("3f2a", "saliency", 0.5)


def test_an_exception_stays_on_its_line():
    try:
        raise ValueError("wrong")
    except ValueError as error:
        found = line("incident", exc_info=(type(error), error, error.__traceback__))
    assert "ValueError: wrong" in found["exception"]
