"""Private views: a copy of a module tree that shares parameters and buffers with the original.

Hooks on a shared model corrupt each other silently, so every run works on a view of its own; its hooks,
replaced activations and in-place switches die with it. Making a view costs as much as a saliency map, so a
few clean ones are kept and lent out one run at a time.
"""

from __future__ import annotations

import contextlib
import copy
import itertools
import threading
from collections.abc import Iterator
from typing import Any

from torch import Tensor, nn

from ..base import incidents

KEPT = 4  # clean views kept a model
PLAIN = (bool, int, float, str)  # attributes that are compared by value


def make_view(module: nn.Module) -> nn.Module:
    """Copy the module tree of `module`; every parameter and buffer stays the same tensor."""
    shared = itertools.chain(module.parameters(), module.buffers())
    return copy.deepcopy(module, {id(tensor): tensor for tensor in shared})


def _fingerprint(module: nn.Module) -> list[Any]:
    """Everything a run could leave behind on a view: modules, hooks, attributes, tensors, gradients.

    Modules and tensors are in it themselves, not their ids: an id is used again once its object is gone.
    """
    state: list[Any] = []
    for name, part in module.named_modules():
        own = vars(part)
        hooks = [len(value) for key, value in own.items() if key.endswith("_hooks")]
        plain = {key: value for key, value in own.items() if _is_plain(value)}
        state.append((name, part, hooks, plain, set(own)))
        tensors = [*part._parameters.items(), *part._buffers.items()]
        for key, tensor in tensors:
            if tensor is not None:
                state.append((key, _Same(tensor), tensor.data_ptr(), tensor.requires_grad, tensor.grad is None))
    return state


def _difference(before: list[Any], after: list[Any]) -> str:
    """Where two fingerprints differ first, in words."""
    for old, new in zip(before, after):
        if old != new:
            place = f"in {new[0] or 'the whole'}"
            return f"hooks {place}" if len(new) == 5 and len(old) == 5 and old[2] != new[2] else place
    return "with parts added or removed"


def _is_plain(value: Any) -> bool:
    return isinstance(value, PLAIN) or (type(value) is tuple and all(isinstance(item, PLAIN) for item in value))


class _Same:
    """Compares tensors by identity, where `==` would compare their values."""

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.tensor is other.tensor

    __hash__ = None  # type: ignore[assignment]


class ViewPool:
    """Lends private views of one module; one that comes back changed is dropped."""

    def __init__(self, module: nn.Module) -> None:
        self._module = module
        self._versions = self._tensor_versions()
        self._clean: list[tuple[nn.Module, list[Any]]] = []
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def view(self) -> Iterator[nn.Module]:
        """A view that nobody else uses until the block ends."""
        with self._lock:
            view, before = self._clean.pop() if self._clean else (None, [])
        if view is None:
            view = make_view(self._module)
            before = _fingerprint(view)
        try:
            yield view
        finally:
            after = _fingerprint(view)
            if after == before:
                with self._lock:
                    if len(self._clean) < KEPT:
                        self._clean.append((view, before))
            else:
                incidents.report(f"leaves the network changed, {_difference(before, after)}; that view is dropped")

    @property
    def intact(self) -> bool:
        """Whether no run has written into the shared parameters or buffers."""
        return self._tensor_versions() == self._versions

    def _tensor_versions(self) -> list[tuple[int, int]]:
        tensors = itertools.chain(self._module.parameters(), self._module.buffers())
        return [(tensor._version, tensor.data_ptr()) for tensor in tensors]
