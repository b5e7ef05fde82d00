"""What the server keeps of each session and each call, and of the memory that runs have used."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc

import pytest
from gradio.state_holder import SessionState

from timmscope.registry.web.gradio_fixes.sessions import lighten
from timmscope.registry.web.gradio_fixes.streams import Streams
from timmscope.registry.web.page import build

from ..serving import ROOT

SMALL = 100 * 1024  # bytes
# Threads that use memory at the same time; prints how many heaps glibc has made for them, without and with the call.
HEAPS = """
import ctypes, os, tempfile, threading, xml.etree.ElementTree as tree
from timmscope.registry.base.memory import share_heaps
if os.fork():  # the child is the one without
    os.wait()
    share_heaps()
barrier = threading.Barrier(12)
def use():
    barrier.wait()
    kept = [bytearray(1000 + i) for i in range(1000)]
    barrier.wait()
threads = [threading.Thread(target=use) for _ in range(12)]
for thread in threads: thread.start()
for thread in threads: thread.join()
library = ctypes.CDLL(None)
library.fopen.restype = ctypes.c_void_p
library.fopen.argtypes = [ctypes.c_char_p, ctypes.c_char_p]
library.malloc_info.argtypes = [ctypes.c_int, ctypes.c_void_p]
library.fclose.argtypes = [ctypes.c_void_p]
with tempfile.NamedTemporaryFile() as told:
    file = library.fopen(told.name.encode(), b"w")
    library.malloc_info(0, file)
    library.fclose(file)
    print(len(tree.parse(told.name).findall("heap")), flush=True)
"""


@pytest.fixture(scope="module")
def page():
    return build()


def test_a_session_is_small_and_begins_as_the_page(page, monkeypatch):
    monkeypatch.setattr(SessionState, "__init__", SessionState.__init__)  # given back after the test
    whole = SessionState(page)
    lighten()
    tracemalloc.start()
    sessions = [SessionState(page) for _ in range(3)]
    size = tracemalloc.get_traced_memory()[0] / len(sessions)
    tracemalloc.stop()
    assert size < SMALL
    assert sessions[0].blocks_config.blocks == whole.blocks_config.blocks
    assert sessions[0].blocks_config.fns == whole.blocks_config.fns


def test_what_an_event_changes_is_kept_by_its_session_alone(page, monkeypatch):
    monkeypatch.setattr(SessionState, "__init__", SessionState.__init__)
    lighten()
    one, other = SessionState(page), SessionState(page)
    key, block = next((key, block) for key, block in page.blocks.items() if type(block).__name__ == "Dropdown")
    changed = type(block)(choices=["a", "b"], render=False)
    one[key] = changed
    one._update_value_in_config(key, "a")
    assert one[key] is changed
    assert other[key] is block
    assert list(one.components) == []


def test_sessions_whose_calls_are_over_are_forgotten_and_no_other(page):
    queue = page._queue
    streams = Streams(page, queue)
    for name, calls in (("over", set()), ("waits", {"call"})):
        queue.pending_messages_per_session[name] = object()
        queue.pending_event_ids_session[name] = calls
    queue.pending_event_ids_session["lost"] = {"call"}  # the oldest, of which Gradio has thrown the messages away
    streams._forget()
    assert list(queue.pending_messages_per_session) == list(queue.pending_event_ids_session) == ["waits"]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="glibc")
def test_threads_of_the_server_share_heaps():
    command = [sys.executable, "-c", HEAPS]
    without, shared = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    assert int(shared) <= 3 < int(without)
