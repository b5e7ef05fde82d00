"""Faults of the server are answered as that, whatever they are raised as and wherever, and leak nothing."""

from __future__ import annotations

import json
import re
import sys

import httpx
import pytest

from ..serving import serving

pytestmark = pytest.mark.slow  # a server of its own

FAULTS = ("KeyError", "TypeError", "ValueError", "OSError")
SECRET = "/secret/of/the/server"  # in the text of every fault
ANSWER = re.compile(r"Internal error ([0-9a-f]{8})\. This is a fault of the server, not of your input")
PLUGIN = f"""
import builtins
from typing import Annotated
from timmscope import Outputs, Picture, Scores, Text, hookimpl, technique

TIMMSCOPE_API = 1

def fail(name):
    raise getattr(builtins, name)("{SECRET}")

class Failing(Text):
    def check(self, name, value):
        return value if value == "" else fail(value)

@technique("Faulty", family="Synthesis", outputs=[Picture("picture", "Picture")])
def faulty(error: Annotated[str, Text("Error")] = "", check: Annotated[str, Failing("Check")] = "") -> Outputs:
    '''Fail.

    Args:
        error: What the technique raises.
        check: What the check of this value raises.
    '''
    import numpy as np

    if error:
        fail(error)
    return Outputs(picture=np.zeros((8, 8, 3), np.uint8))

@hookimpl
def register_techniques(register):
    register(faulty)
"""
# The app, with faults in the page: it serves as ever until a file says what is raised.
FAULTY_PAGE = """
import builtins, pathlib, sys
import gradio as gr
from timmscope.registry.web import health, plugins_page

def failing(where, function):
    def called(*args, **options):
        wish = pathlib.Path(sys.argv[1])
        place, _, name = wish.read_text().partition(" ") if wish.exists() else ("", "", "")
        if place == where:
            raise getattr(builtins, name)("/secret/of/the/server")
        return function(*args, **options)
    return called

health.Counter = failing("route", health.Counter)
plugins_page.table = failing("function", plugins_page.table)
gr.Image.postprocess = failing("postprocess", gr.Image.postprocess)
import app
app.main()
"""


@pytest.fixture(scope="module")
def wish(tmp_path_factory):
    """The file that says where the page fails, and with what."""
    return tmp_path_factory.mktemp("wish") / "fault"


@pytest.fixture(scope="module")
def server(tmp_path_factory, wish):
    """A server with a faulty plugin and, when it is wished, a faulty page."""
    folder = tmp_path_factory.mktemp("faulty")
    installed = folder / "site" / "faulty-1.dist-info"
    installed.mkdir(parents=True)
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: faulty\nVersion: 1\n")
    (installed / "entry_points.txt").write_text("[timmscope.techniques]\nfaulty = timmscope_faulty\n")
    (folder / "site" / "timmscope_faulty.py").write_text(PLUGIN)
    command = (sys.executable, "-c", FAULTY_PAGE, str(wish))
    with serving(folder, command, PYTHONPATH=str(folder / "site"), TIMMSCOPE_LOG_FORMAT="json") as running:
        yield running


@pytest.fixture(autouse=True)
def no_wish(wish):
    yield
    wish.unlink(missing_ok=True)


def assert_logged(server, number: str, fault: str) -> None:
    """Under the number that the answer has there is the traceback."""
    entries = [json.loads(line) for line in server.log.read_text().splitlines() if line.startswith("{")]
    (entry,) = [e for e in entries if e["message"].startswith(f"incident {number}")]
    assert (entry["level"], entry["request"]) == ("ERROR", number)
    assert "Traceback" in entry["exception"]
    assert fault in entry["exception"]
    assert SECRET in entry["exception"]


def join(server, function: int, session: str) -> dict:
    """Call a function of the page, as its browser does, and return what it is told in the end."""
    body = {"data": [], "fn_index": function, "session_hash": session}
    assert server.http.post("/queue/join", json=body).is_success
    text = server.http.get(f"/queue/data?session_hash={session}").text
    messages = [json.loads(part.removeprefix("data: ")) for part in text.strip().split("\n\n")]
    return next(message["output"] for message in messages if message["msg"] == "process_completed")


@pytest.mark.parametrize("fault", FAULTS)
def test_in_a_technique(server, fault):
    event = server.start("faulty", {"error": fault}).json()["event_id"]
    kind, data = server.finish("faulty", event)
    assert kind == "error"
    assert data["error"].startswith(f"Faulty failed: {fault} at timmscope_faulty.py:")
    assert SECRET not in data["error"]
    assert data["error"].endswith(f"The server's log has the details, under {event[:8]}.")
    assert_logged(server, event[:8], fault)


@pytest.mark.parametrize("fault", FAULTS)
def test_in_the_check_of_a_port(server, fault):
    event = server.start("faulty", {"check": fault}).json()["event_id"]
    kind, data = server.finish("faulty", event)
    assert kind == "error"
    assert ANSWER.match(data["error"])[1] == event[:8]
    assert SECRET not in json.dumps(data)
    assert_logged(server, event[:8], fault)


@pytest.mark.parametrize("fault", FAULTS)
def test_in_what_a_component_makes_of_a_result(server, wish, fault):
    wish.write_text(f"postprocess {fault}")
    event = server.start("faulty", {}).json()["event_id"]
    kind, data = server.finish("faulty", event)
    assert kind == "error"
    assert ANSWER.match(data["error"])[1] == event[:8]
    assert SECRET not in json.dumps(data)
    assert_logged(server, event[:8], fault)


@pytest.mark.parametrize("fault", FAULTS)
def test_in_a_function_of_the_page(server, wish, fault):
    config = httpx.get(f"{server.url}/config", trust_env=False, timeout=90).json()
    (function,) = [
        f["id"] for f in config["dependencies"] if f["targets"] and f["targets"][0][1] == "select" and not f["inputs"]
    ]
    assert join(server, function, f"well{fault}")["data"]
    wish.write_text(f"function {fault}")
    output = join(server, function, f"ill{fault}")
    assert SECRET not in json.dumps(output)
    assert_logged(server, ANSWER.match(output["error"])[1], fault)
    direct = server.http.post("/run/x", json={"data": [], "fn_index": function})
    assert direct.status_code == 500
    assert_logged(server, ANSWER.match(direct.json()["error"])[1], fault)


@pytest.mark.parametrize("fault", FAULTS)
def test_in_a_route(server, wish, fault):
    health = f"{server.url}/health"
    assert httpx.get(health, trust_env=False).is_success
    wish.write_text(f"route {fault}")
    answer = httpx.get(health, trust_env=False)
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/json"
    number = ANSWER.match(answer.json()["detail"])[1]
    assert SECRET not in answer.text
    assert_logged(server, number, fault)


def test_nothing_above_is_in_the_log_but_faults_that_were_wished(server):
    entries = [json.loads(line) for line in server.log.read_text().splitlines() if line.startswith("{")]
    assert [e for e in entries if "exception" in e and SECRET not in e["exception"]] == []
