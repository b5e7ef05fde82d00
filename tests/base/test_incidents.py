"""Incidents: counted, bounded, laid at the right door, and nothing is lost."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

from timmscope.registry.base.incidents import KEPT, Incidents, report, running

from ..serving import ROOT


def test_they_are_counted_and_logged(caplog):
    found = Incidents("fade")
    found.add("prints", "a secret")
    found.add("prints", "another")
    found.add("warns")
    assert list(found) == ["prints (2 times)", "warns"]
    assert "plugin fade: prints: a secret" in caplog.messages


def test_only_so_many_are_kept():
    found = Incidents("fade")
    for i in range(KEPT + 5):
        found.add(f"number {i}")
    found.add("number 0")
    assert len(list(found)) == KEPT
    assert next(iter(found)) == "number 0 (2 times)"


def test_threads_at_once_lose_none():
    found = Incidents("fade")
    logging.getLogger("timmscope.plugins").disabled = True
    try:
        with ThreadPoolExecutor(8) as threads:
            list(threads.map(lambda i: found.add(f"kind {i % 4}"), range(800)))
    finally:
        logging.getLogger("timmscope.plugins").disabled = False
    assert sorted(found) == [f"kind {i} (200 times)" for i in range(4)]


def test_a_thread_that_is_left_behind_is_counted_while_it_lives():
    found, end = Incidents("fade"), threading.Event()
    threads = [threading.Thread(target=end.wait) for _ in range(2)]
    for thread in threads:
        thread.start()
        found.left_behind(thread)
    assert list(found) == ["threads of runs that were given up and cannot be stopped, still running: 2"]
    end.set()
    for thread in threads:
        thread.join()
    assert list(found) == []


def test_each_thread_reports_its_own(caplog):
    found = [Incidents(str(i)) for i in range(2)]
    barrier = threading.Barrier(2)

    def run(mine):
        running.set(mine)
        barrier.wait(10)
        report(f"of {mine.plugin}")

    threads = [threading.Thread(target=run, args=(mine,)) for mine in found]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [list(mine) for mine in found] == [["of 0"], ["of 1"]]
    report("of nobody")
    assert "plugin of timmscope itself: of nobody" in caplog.messages


OUTPUT = """
import threading, warnings
from timmscope.registry.base.incidents import Incidents, attribute_output, running
attribute_output()
mine = Incidents("toy")
def run():
    running.set(mine)
    print("from the plugin")
    warnings.warn("of the plugin")
thread = threading.Thread(target=run)
thread.start()
thread.join()
print("from us")
warnings.warn("of us")
print(list(mine))
"""


def test_prints_and_warnings_of_plugins_are_told_from_ours():
    done = subprocess.run([sys.executable, "-c", OUTPUT], cwd=ROOT, capture_output=True, text=True, check=True)
    ours, incidents = done.stdout.splitlines()
    assert ours == "from us"
    assert incidents == "['prints; write a note or to a logger instead', 'warns: UserWarning at <string>:9']"
    assert "plugin toy: prints; write a note or to a logger instead: from the plugin" in done.stderr
    assert "UserWarning: of us" in done.stderr
