"""The program around a run may have switched torch in any way: none of it reaches a run, and a run switches nothing.

Most of torch's state belongs to a thread (gradients, inference mode, autocast, the default device, function modes), and
a run has a thread of its own. The default type of new tensors belongs to the whole process: other threads would notice
a change, so it is left alone, and overruled for the thread that needs float32.
"""

from __future__ import annotations

import contextlib
import contextvars
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, wait
from typing import Any, TypeVar

import torch
from torch.overrides import TorchFunctionMode

T = TypeVar("T")
LOOK = 0.25  # seconds between two looks whether this thread is to stop

# What makes floats, of the default type where none is asked for.
_FLOATS = {
    *(torch.empty, torch.zeros, torch.ones, torch.eye, torch.rand, torch.randn, torch.normal, torch.linspace),
    *(torch.logspace, torch.fft.fftfreq, torch.fft.rfftfreq, torch.bartlett_window, torch.blackman_window),
    *(torch.hamming_window, torch.hann_window, torch.kaiser_window),
}
# What makes them of Python's floats, and something else of whole numbers.
_NUMBERS = {torch.tensor, torch.as_tensor, torch.asarray, torch.scalar_tensor, torch.full, torch.arange}
_CONVERSIONS = {torch.Tensor.double, torch.Tensor.half, torch.Tensor.bfloat16, torch.Tensor.type}


class _Float32(TorchFunctionMode):
    """Takes float32 for the default type: where nothing that is given is a float tensor or asks for a type."""

    def __torch_function__(
        self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = {name: part for name, part in (kwargs or {}).items() if (name, part) != ("dtype", None)}
        given = (*args, *kwargs.values())
        if function in _CONVERSIONS or any(_typed(part) for part in given):
            return function(*args, **kwargs)
        if function in _FLOATS:
            return function(*args, **kwargs, dtype=torch.float32)
        made = function(*args, **kwargs)
        if not isinstance(made, torch.Tensor) or made.dtype != torch.get_default_dtype():
            return made
        if function in _NUMBERS:
            return function(*args, **kwargs, dtype=torch.float32)
        # whole numbers became floats, as in pixels / 255
        return function(*map(_whole, args), **{name: _whole(part) for name, part in kwargs.items()}).float()


def _typed(part: Any) -> bool:
    """Whether an argument settles which type of floats comes out."""
    if isinstance(part, (list, tuple)):
        return any(_typed(item) for item in part)
    if isinstance(part, torch.Tensor):
        return part.is_floating_point() or part.is_complex()
    return isinstance(part, torch.dtype) or hasattr(part, "__array__")


def _whole(part: Any) -> Any:
    """Whole numbers as float32; anything else as it is."""
    whole = isinstance(part, torch.Tensor) and part.dtype != torch.bool
    return part.to(torch.float32) if whole else part


def float32() -> contextlib.AbstractContextManager[Any]:
    """A block in which new tensors are float32 in this thread, whatever the default type of the program is."""
    return contextlib.nullcontext() if torch.get_default_dtype() == torch.float32 else _Float32()


def apart(function: Callable[..., T], *args: Any) -> T:
    """What a function returns in a thread of its own, where nothing is switched but what it switches itself."""
    future: Future[T] = Future()

    def call() -> None:
        try:
            with float32():
                future.set_result(function(*args))
        except BaseException as error:
            future.set_exception(error)

    context = contextvars.copy_context()
    threading.Thread(target=context.run, args=(call,), daemon=True, name="timmscope-apart").start()
    while not future.done():
        wait([future], LOOK)  # not without end: a run that is stopped meanwhile notices it
    return future.result()
