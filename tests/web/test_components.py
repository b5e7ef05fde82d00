"""Ports to components: a control that nobody touches hands over the parameter's default, what is absent shows none."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest

import timmscope
from timmscope.registry.declare import ports
from timmscope.registry.pictures.values import Absent
from timmscope.registry.web.inputs import api_input, page_input
from timmscope.registry.web.outputs import api_output, component_value, page_output

from ..results.test_result import PORTS

PARAMETERS = [
    pytest.param(parameter, id=f"{technique.name}-{parameter.name}")
    for technique in timmscope.plugins().techniques.values()
    for parameter in technique.own_parameters
    if not parameter.required and not isinstance(parameter.port, (ports.Photo, ports.Files))
]


@pytest.mark.parametrize("control", [page_input, api_input])
@pytest.mark.parametrize("parameter", PARAMETERS)
def test_an_untouched_control_gives_the_default(parameter, control):
    assert parameter.port.check(parameter.name, control(parameter).value) == parameter.default


@pytest.mark.parametrize("for_page", [True, False], ids=["page", "endpoint"])
@pytest.mark.parametrize("port", [*PORTS, ports.Points("points", "Points")], ids=lambda port: port.name)
def test_what_is_absent_is_a_sentence_or_nothing(port, for_page):
    port = replace(port, optional=True)
    component = (page_output if for_page else api_output)(port)
    sent = component.postprocess(component_value(port, Absent("There is none."), for_page))
    text = json.dumps(sent.model_dump() if hasattr(sent, "model_dump") else sent)
    assert not re.search(r"\d", text)
    spoken = (ports.Scores,) if for_page else (ports.Scores, ports.Table, ports.Curves, ports.Points)
    assert ("There is none." in text) == isinstance(port, spoken)


def test_an_empty_cell_of_a_table_is_a_dash_for_people_and_null_for_programs():
    port, rows = ports.Table("table", "Table", columns=("name", "a", "b")), [["x", None, 0.5], ["y", 0, 3]]
    assert component_value(port, rows, True) == [["x", "–", "0.5"], ["y", "0", "3"]]
    assert json.loads(json.dumps(api_output(port).postprocess(component_value(port, rows, False)).root)) == rows
