"""Memory that ran out: how it shows, and what gives some back."""

from __future__ import annotations

import contextlib
import ctypes
import gc

import torch


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, on a GPU or beside it."""
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or "DefaultCPUAllocator" in str(error)


def free_memory() -> None:
    """Give back what nobody uses, before the next try with less."""
    gc.collect()
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()


def return_memory() -> None:
    """Hand memory that nobody uses back to the system. glibc keeps what was freed, a part of it for each thread."""
    with contextlib.suppress(OSError, AttributeError):  # another C library
        ctypes.CDLL(None).malloc_trim(0)
