"""Runs in threads of their own: in step with who asks, closed at once, and stopped when they never come back."""

from __future__ import annotations

import threading

import pytest

from timmscope import OutOfTime, TimmscopeError
from timmscope.registry.base.incidents import Incidents, running
from timmscope.registry.runs.containment import contained


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("timmscope-run")]


def test_steps_are_made_in_one_thread_and_only_when_they_are_asked_for():
    made = []

    def steps():
        yield None
        for i in range(3):
            made.append((i, threading.current_thread().name))
            yield i

    run = contained(steps(), 10, "Toy", Incidents("toy"))
    assert next(run) == 0
    assert made == [(0, "timmscope-run-toy")]
    assert list(run) == [1, 2]
    assert {name for _, name in made} == {"timmscope-run-toy"}
    assert threads() == []


def test_closing_it_closes_the_steps_before_it_returns():
    closed = []

    def steps():
        yield None
        try:
            yield 1
        finally:
            closed.append(threading.current_thread().name)

    run = contained(steps(), 10, "Toy", Incidents("toy"))
    next(run)
    run.close()
    assert closed == ["timmscope-run-toy"]
    assert threads() == []


def test_its_exceptions_are_the_callers():
    def steps():
        yield None
        raise KeyError("of the run")

    with pytest.raises(KeyError, match="of the run"):
        list(contained(steps(), 10, "Toy", Incidents()))
    assert threads() == []


def test_what_runs_knows_its_plugin_and_the_caller_stays_nobody():
    blame, seen = Incidents("toy"), []

    def steps():
        yield None
        seen.append(running.get())
        yield 1

    assert list(contained(steps(), 10, "Toy", blame)) == [1]
    assert seen == [blame]
    assert running.get() is None


def test_python_without_end_is_stopped():
    blame, cleared = Incidents("toy"), threading.Event()

    def steps():
        yield None
        try:
            while True:
                pass
        finally:
            cleared.set()

    with pytest.raises(OutOfTime, match=r"^Toy took longer than the 0.2 s a run may take here. Use fewer steps"):
        list(contained(steps(), 0.2, "Toy", blame))
    assert cleared.wait(10)
    assert next(iter(blame)) == "Toy was stopped in the midst of a step, at the end of its 0.2 s"


def test_what_cannot_be_stopped_is_left_behind_and_keeps_what_it_holds_until_it_ends():
    blame, end, given_back = Incidents("toy"), threading.Event(), threading.Event()

    def steps():
        try:
            yield None
            end.wait(60)
            yield 1
        finally:
            given_back.set()

    with pytest.raises(OutOfTime):
        list(contained(steps(), 0.2, "Toy", blame))
    assert "still running: 1" in list(blame)[-1]
    assert not given_back.is_set()
    end.set()
    assert given_back.wait(10)


def test_loading_is_never_interrupted():
    blame, end, loaded = Incidents("toy"), threading.Event(), threading.Event()

    def steps():
        end.wait(60)
        loaded.set()
        yield None

    with pytest.raises(OutOfTime, match=r"^Loading the model for Toy took longer"):
        list(contained(steps(), 0.2, "Toy", blame))
    end.set()
    assert loaded.wait(10)
    assert list(blame) == []


def test_a_step_that_comes_too_late_is_not_shown():
    late = threading.Event()

    def steps():
        yield None
        late.wait(0.3)
        yield 1

    with pytest.raises(OutOfTime):
        list(contained(steps(), 0.1, "Toy", Incidents("toy")))


def test_a_run_that_nobody_waits_for_ends_in_the_midst_of_a_step():
    going, ended, wanted = threading.Event(), threading.Event(), [True]

    def steps():
        yield None
        try:
            while True:
                going.set()
        finally:
            ended.set()
        yield 1

    def leave():
        assert going.wait(10)
        wanted[0] = False

    client = threading.Thread(target=leave)
    client.start()
    blame = Incidents("toy")
    with pytest.raises(TimmscopeError, match="Nobody waits"):
        next(contained(steps(), 60, "Toy", blame, lambda: wanted[0]))
    client.join()
    assert ended.wait(10)
    assert list(blame) == []
    assert threads() == []
