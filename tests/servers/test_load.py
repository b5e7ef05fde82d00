"""Several clients at once: what each gets is what it gets alone. The full measurement is benchmarks/load.py."""

from __future__ import annotations

import pytest

from benchmarks import load

pytestmark = pytest.mark.slow


def test_many_at_once_get_what_each_gets_alone(server):
    calls = load.cases(server, ["grad_cam", "saliency", "texture", "nearest_neighbors"], ("test_convnext", "test_vit"))
    calls = load.alone(server, calls, times=1)
    assert len(calls) == 8
    found = load.measure(server, calls, clients=6, requests=24, minutes=1)
    assert found["texts"] == {}
    assert found["kinds"]["complete"] == 24


def test_a_difference_and_a_lost_answer_are_seen(server):
    (call,) = load.alone(server, load.cases(server, ["grad_cam"], ("test_convnext",)), times=1)
    call.arrays["scores"] = call.arrays["scores"] + 1e-7
    missing = load.Case("no_such_technique", {})
    found = load.measure(server, [call, missing], clients=2, requests=6, minutes=1)
    assert found["kinds"]["complete"] == 0
    assert found["kinds"]["wrong"] + found["kinds"]["turned away"] == 6
    assert found["kinds"]["wrong"]
