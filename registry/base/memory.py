"""Memory that ran out: how it shows, what gives some back, and what keeps it from lying about unused."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os

import torch

HEAPS = 2  # of the C library, for all threads together
_M_ARENA_MAX = -8  # glibc's name of that limit, in malloc.h


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, on a GPU or beside it."""
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or "DefaultCPUAllocator" in str(error)


def free_memory() -> None:
    """Give back what nobody uses, before the next try with less."""
    gc.collect()
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()


def share_heaps() -> None:
    """Let threads share heaps, in a process that has just begun to serve.

    glibc gives each thread one of its own, up to eight a core, and each keeps tens of megabytes of what runs in it have
    freed. `MALLOC_ARENA_MAX`, where it is set, is the operator's word.
    """
    if "MALLOC_ARENA_MAX" not in os.environ:
        _c_library("mallopt", _M_ARENA_MAX, HEAPS)


def return_memory() -> None:
    """Hand memory that nobody uses back to the system. glibc keeps what was freed, a part of it in each heap."""
    _c_library("malloc_trim", 0)


def _c_library(function: str, *arguments: int) -> None:
    with contextlib.suppress(OSError, AttributeError, TypeError):  # another C library, or none to be asked
        getattr(ctypes.CDLL(None), function)(*arguments)
