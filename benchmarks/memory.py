"""The memory of a server's process, as the system tells it, and whether it is what it may be."""

from __future__ import annotations

import re
import statistics
from collections.abc import Sequence
from pathlib import Path

GROWTH = 100 * 2**20  # bytes that the server may have grown by from the first half of the calls to the second
CACHE = 100 * 2**20  # bytes of loaded models
HELD = 500 * 2**20  # bytes that the server may have beside these and what it begins with, when nothing runs
HEAP = 64 * 2**20  # bytes of one heap of glibc, and what its address is a multiple of


def resident(pid: int) -> int:
    """Memory of a process and of those it started, in bytes."""
    total = 0
    for place in Path("/proc").glob("[0-9]*"):
        try:
            status = (place / "status").read_text()
        except OSError:  # it has ended
            continue
        parent = re.search(r"^PPid:\s*(\d+)", status, re.M)
        if place.name == str(pid) or (parent and parent[1] == str(pid)):
            size = re.search(r"^VmRSS:\s*(\d+)", status, re.M)
            total += int(size[1]) * 1024 if size else 0
    return total


def held(pid: int) -> dict[str, int]:
    """What holds a process's memory, in bytes: files of libraries, the C library's heaps, and everything else.

    Everything else is Python's own objects and large blocks: weights, activations, photos.
    """
    found, kind = {"files": 0, "heaps": 0, "else": 0}, ""
    for line in Path(f"/proc/{pid}/smaps").read_text().splitlines():
        first, *rest = line.split()
        if first == "Rss:":
            found[kind] += int(rest[0]) * 1024
        elif "-" in first and not first.endswith(":"):
            start, end = (int(part, 16) for part in first.split("-"))
            name = rest[-1] if len(rest) > 4 else ""
            heap = name == "[heap]" or (not name and start % HEAP == 0 and end - start <= HEAP)
            kind = "files" if name.startswith("/") else "heaps" if heap else "else"
    return found


def judge(begin: int, later: Sequence[int]) -> str:
    """What is wrong with a server's memory, in bytes when it begins and after each tenth of the calls; or nothing."""
    if len(later) >= 10 and growth(later) > GROWTH:
        return "the server's memory grows"
    return "the server holds more memory than it may" if max(later) > begin + CACHE + HELD else ""


def growth(memory: Sequence[int]) -> float:
    """By how many bytes the second half is above the first; medians, since single ones move."""
    half = len(memory) // 2
    return statistics.median(memory[half:]) - statistics.median(memory[:half])
