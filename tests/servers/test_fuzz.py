"""A small part of `benchmarks.fuzz` and `benchmarks.fuzz_photos`, and that they find what they look for."""

from __future__ import annotations

import os
import random
import subprocess
import sys

import pytest

from benchmarks import fuzz, fuzz_calls, fuzz_photos, memory
from benchmarks.fuzz import Answer, judge
from benchmarks.fuzz_calls import Call, Photo

from ..serving import ROOT

CALL = Call("named", "saliency", {"image": Photo(), "target": "KeyError"})


@pytest.mark.slow
def test_hostile_calls_are_all_answered(server):
    tally, sizes = fuzz.fuzz(server, count=150, start=1, minutes=2)
    assert tally.defects == {}
    assert tally.calls.total() == 150
    assert set(tally.calls) >= {"named", "listed", "join", "tool", "upload", "get", "post"}
    assert len(tally.answers) > 20
    assert min(sizes) > 0


def test_memory_that_grows_is_told_from_memory_that_moves():
    moves = [1119, 1046, 1195, 1204, 1191, 1113, 1200, 1080, 1200, 1150]  # MiB, moving as measured
    begin = 800 * 2**20
    assert memory.judge(begin, [value * 2**20 for value in moves]) == ""
    assert "grows" in memory.judge(begin, [(value + 30 * i) * 2**20 for i, value in enumerate(moves)])
    assert "more memory" in memory.judge(begin, [(value + 300) * 2**20 for value in moves])


def test_the_same_seed_gives_the_same_calls():
    schema = {"saliency": [fuzz_calls.Parameter("samples", "Number", 1, (1, 256))]}
    first, again, other = (fuzz_calls.generate(schema, {0: 2}, 8, seed) for seed in (5, 5, 6))
    assert repr(first) == repr(again)  # NaN differs from itself
    assert repr(first) != repr(other)


@pytest.mark.parametrize(
    ("answer", "defect"),
    [
        (Answer(500, "refused", "Internal Server Error"), "status 500"),
        (Answer(200, "error", "", empty=True), "without a text"),
        (Answer(200, "error", "Internal error 12ab34cd. This is a fault"), "internals"),
        (Answer(200, "error", 'File "/app/x.py", line 3'), "internals"),
        (Answer(200, "error", "ValueError: bad value"), "internals"),
        (Answer(200, "error", "there is no /secret/folder/photo.png"), "a path"),
        (Answer(200, "error", "slow", seconds=99), "in time"),
    ],
)
def test_a_defect_is_seen(answer, defect):
    assert defect in judge(CALL, answer, ["/secret/folder"])


def test_an_answer_that_repeats_what_was_given_is_none():
    assert judge(CALL, Answer(200, "error", "target: got 'KeyError', expected a class"), ["/secret"]) == ""
    assert judge(CALL, Answer(200, "complete"), ["/secret"]) == ""


@pytest.mark.slow
def test_hundreds_of_damaged_photos_and_every_bomb_in_bounded_memory():
    """In a process of its own, which gets no more memory than the program allows it."""
    command = [sys.executable, "-m", "benchmarks.fuzz_photos", "--count", "500", "--seed", "7"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stdout[-2000:]
    assert "0 kinds of failure" in done.stdout
    assert "| bomb: TIFF directories | 1 | 0 |" in done.stdout


def test_every_kind_of_photo_is_decoded_before_it_is_damaged():
    for name, data in fuzz_photos.photos().items():
        assert fuzz_photos.outcome(data)[0] == "decoded", name
    damaged = list(fuzz_photos.mutations(fuzz_photos.photos()["PNG"], 40, random.Random(0)))
    assert len({fuzz_photos.outcome(data)[0] for data in damaged}) == 2
    assert fuzz_photos.outcome("no bytes")[0] == "refused"  # type: ignore[arg-type]
