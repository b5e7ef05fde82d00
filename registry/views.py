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

from torch import nn

KEPT = 4  # clean views kept a model


def make_view(module: nn.Module) -> nn.Module:
    """Copy the module tree of `module`; every parameter and buffer stays the same tensor."""
    shared = itertools.chain(module.parameters(), module.buffers())
    return copy.deepcopy(module, {id(tensor): tensor for tensor in shared})


def _fingerprint(module: nn.Module) -> list[Any]:
    """Everything a run could leave behind on a view: modules, hooks, plain attributes, tensors, gradients."""
    state: list[Any] = []
    for name, part in module.named_modules():
        tensors = [*part._parameters.items(), *part._buffers.items()]
        hooks = [len(value) for key, value in vars(part).items() if key.endswith(("_hooks", "_pre_hooks"))]
        plain = {key: value for key, value in vars(part).items() if isinstance(value, (bool, int, float, str))}
        state.append((name, id(part), hooks, plain, "forward" in vars(part)))
        state.extend((key, id(t), t.requires_grad, t.grad is None) for key, t in tensors if t is not None)
    return state


class ViewPool:
    """Lends private views of one module; one that comes back changed is dropped."""

    def __init__(self, module: nn.Module) -> None:
        self._module = module
        self._versions = self._tensor_versions()
        self._clean: list[tuple[nn.Module, list[Any]]] = []
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def lend(self) -> Iterator[nn.Module]:
        """A view that nobody else uses until the block ends."""
        with self._lock:
            view, before = self._clean.pop() if self._clean else (None, [])
        if view is None:
            view = make_view(self._module)
            before = _fingerprint(view)
        try:
            yield view
        finally:
            if _fingerprint(view) == before:
                with self._lock:
                    if len(self._clean) < KEPT:
                        self._clean.append((view, before))

    @property
    def intact(self) -> bool:
        """Whether no run has written into the shared parameters or buffers."""
        return self._tensor_versions() == self._versions

    def _tensor_versions(self) -> list[int]:
        return [t._version for t in itertools.chain(self._module.parameters(), self._module.buffers())]
