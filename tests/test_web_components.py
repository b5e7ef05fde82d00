"""Ports to components: a control that nobody touches hands over the parameter's default."""

from __future__ import annotations

import pytest

import timmscope
from registry import ports
from registry.web.components import api_input, page_input

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
