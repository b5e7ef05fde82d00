"""Loading models: created once, kept in a cache bounded by bytes, lent out as private views."""

from __future__ import annotations

import contextlib
import copy
import functools
import hashlib
import itertools
import logging
import os
import threading
from collections import Counter, OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import timm
import torch
from timm.data import resolve_data_config
from torch import nn

from ..base import incidents
from ..base.errors import Declined, ModelUnavailable, OutOfMemory
from ..base.memory import free_memory, is_out_of_memory
from ..base.settings import settings
from ..base.torch_state import apart
from ..vision.labels import Labels, labels_of
from ..vision.layers import LayerOutput, default_layer, list_layers, stages
from ..vision.vision_model import VisionModel
from . import hub
from .catalogue import Entry, activation_bytes, count_bytes, count_parameters, find
from .source import ModelSource
from .views import ViewPool

logger = logging.getLogger("timmscope.models")
_creation = threading.Lock()  # random initialisation draws from torch's global generator
_first_call = threading.Lock()
_assigned = ""
Key = tuple[str, str, str]  # name, weights, device


@dataclass(eq=False)
class LoadedModel:
    """A model in memory, shared by all runs: never hooked, never changed."""

    name: str
    weights: str
    origin: str
    module: nn.Module
    labels: Labels
    config: dict[str, Any]
    classifies: bool
    device: torch.device
    pool: ViewPool
    activation_bytes: int = 0
    users: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _layers: tuple[dict[str, LayerOutput], str | None] | None = None
    _fingerprint: str = ""

    @property
    def nbytes(self) -> int:
        """Memory of parameters and buffers, in bytes."""
        tensors = itertools.chain(self.module.parameters(), self.module.buffers())
        return sum(tensor.numel() * tensor.element_size() for tensor in tensors)

    def layers(self) -> tuple[dict[str, LayerOutput], str | None]:
        """The layers and the default layer, found at the first call by one run forward and backward."""
        with self._lock:
            if self._layers is None:
                self._layers = apart(self._find_layers)
            return self._layers

    def _find_layers(self) -> tuple[dict[str, LayerOutput], str | None]:
        generator = torch.Generator().manual_seed(0)
        example = torch.randn(1, *self.config["input_size"], generator=generator)
        with self.pool.view() as view:
            layers = list_layers(view if self.device.type == "cpu" else copy.deepcopy(view).cpu(), example)
            if self.activation_bytes > settings().activation_bytes:  # no gradient would be granted either
                return layers, next(reversed(stages(view, layers)), None)
            return layers, default_layer(view, layers, example.to(self.device))

    def fingerprint(self) -> str:
        """SHA-256 of the network's structure and its weights, computed at the first call."""
        with self._lock:
            if not self._fingerprint:
                digest = hashlib.sha256(str(self.module).encode())
                for name, tensor in self.module.state_dict().items():
                    digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
                    digest.update(tensor.cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
                self._fingerprint = digest.hexdigest()
            return self._fingerprint

    def copied_to(self, device: torch.device) -> LoadedModel:
        """The same model on another device, with what is known of it."""
        module = copy.deepcopy(self.module).to(device)
        return replace(self, module=module, device=device, pool=ViewPool(module), users=0, _lock=threading.Lock())

    @contextlib.contextmanager
    def viewed(self) -> Iterator[VisionModel]:
        """A private view of the model for one run."""
        with self.pool.view() as view:
            yield VisionModel(
                self.name,
                self.weights,
                self.origin,
                view,
                self.labels,
                self.config,
                self.classifies,
                self.device,
                self.layers,
                self.fingerprint,
                self.activation_bytes,
            )


class ModelCache:
    """Loaded models by name, weights and device; the least recently used go when `budget` bytes are exceeded.

    A model in use is never dropped, and two runs that want the same model load it once. Room is made and taken before
    a model is loaded, so that several at once do not exceed the budget together: the run waits until others give
    theirs back. Two cases exceed it, since waiting would never end: a model that is larger than the budget, alone,
    and the second model of a run while every other run that holds one waits as well.
    """

    def __init__(self, budget: int) -> None:
        self.budget = budget
        self._models: OrderedDict[Key, LoadedModel] = OrderedDict()
        self._fresh()

    def _fresh(self) -> None:
        self._loading: dict[Key, threading.Lock] = {}
        self._reserved: dict[Key, int] = {}
        self._holders: Counter[int] = Counter()  # threads of the runs that have models, with how many
        self._waiting: set[int] = set()
        self._changed = threading.Condition()

    def after_fork(self) -> None:
        """Keep the models and forget the runs, in a process that was forked while others went on."""
        self._fresh()
        for model in self._models.values():
            model.users, model.pool, model._lock = 0, ViewPool(model.module), threading.Lock()

    @property
    def names(self) -> list[str]:
        """The models in memory, the least recently used first."""
        return [f"{name} ({weights})" for name, weights, _ in list(self._models)]

    @contextlib.contextmanager
    def get(self, entry: Entry, weights: str) -> Iterator[LoadedModel]:
        """The loaded model, kept in memory at least until the block ends."""
        device = default_device()
        key, thread = (entry.name, weights, str(device)), threading.get_ident()
        with self._changed:
            gate = self._loading.setdefault(key, threading.Lock())
            self._waiting.add(thread)
            self._changed.notify_all()
        with gate:
            with self._changed:
                self._waiting.discard(thread)
                model = self._models.get(key)
                if model:
                    model.users += 1
                    self._holders[thread] += 1
                    self._models.move_to_end(key)
            if model is None:
                model = self._load(key, entry, weights, device, thread)
        try:
            yield model
        finally:
            with self._changed:
                model.users -= 1
                if not model.pool.intact and self._models.get(key) is model:
                    incidents.report(f"writes into the weights of {entry.name}; they are loaded afresh")
                    del self._models[key]
                self._let_go(thread)

    def _load(self, key: Key, entry: Entry, weights: str, device: torch.device, thread: int) -> LoadedModel:
        count_parameters(entry, settings().max_parameters)
        self._reserve(key, count_bytes(entry), thread)
        twin = self._models.get((*key[:2], "cpu"))  # as a forked worker inherits it: its weights are not read again
        try:
            model = twin.copied_to(device) if twin else load(entry, weights, device)
        except Exception as error:
            with self._changed:
                del self._reserved[key]
                self._let_go(thread)
            if not is_out_of_memory(error):
                raise
            free_memory()
            raise OutOfMemory(f"The memory of this server is too small for {entry.name} now.") from error
        model.users = 1
        with self._changed:
            del self._reserved[key]
            self._models[key] = model
            self._shrink(self.budget)
        return model

    def _reserve(self, key: Key, nbytes: int, thread: int) -> None:
        """Make and take room, and wait for it while a run that does not wait itself may give some back."""
        with self._changed:
            self._waiting.add(thread)
            while self._shrink(self.budget - nbytes) > 0 and set(self._holders) - self._waiting:
                self._changed.wait(1)  # a run that is stopped meanwhile notices it
            self._waiting.discard(thread)
            self._holders[thread] += 1
            self._reserved[key] = nbytes

    def _let_go(self, thread: int) -> None:
        self._holders[thread] -= 1
        self._holders += Counter()  # keeps those above zero
        self._shrink(self.budget)
        self._changed.notify_all()

    def _shrink(self, budget: int) -> int:
        """Drop what is not in use until `budget` bytes are left; returns what is still too much."""
        excess = sum(model.nbytes for model in self._models.values()) + sum(self._reserved.values()) - budget
        for key, model in list(self._models.items()):
            if excess > 0 and not model.users:
                excess -= model.nbytes
                del self._models[key]
        return excess


def cache() -> ModelCache:
    """The cache of this process."""
    with _first_call:  # two first calls at once must not make two caches
        return _cache()


@functools.cache
def _cache() -> ModelCache:
    return ModelCache(settings().cache_bytes)


def _after_fork() -> None:
    """A forked process has no threads that would ever give back the locks they held."""
    global _creation, _first_call
    _creation, _first_call = threading.Lock(), threading.Lock()
    if _cache.cache_info().currsize:
        _cache().after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


@contextlib.contextmanager
def lend(name: str, weights: str, sources: Mapping[str, ModelSource]) -> Iterator[VisionModel]:
    """Lend a private view of the model called `name`.

    Args:
        name: Model name; empty is the default model.
        weights: "pretrained" or "random".
        sources: The models of the plugins, by name.

    Raises:
        InvalidInput: No such model.
        ModelUnavailable: Too large, or its weights cannot be had.
    """
    with cache().get(find(name, sources), weights) as loaded, loaded.viewed() as model:
        yield model


def compute_on(device: str) -> None:
    """Let models of this process run on `device`, where the operator has set none.

    On ZeroGPU torch sees a GPU that the app itself does not have; its workers do.
    """
    global _assigned
    _assigned = device


def default_device() -> torch.device:
    """The device of the models: as set, as assigned to this process, else CUDA when there is one, else the CPU."""
    return torch.device(settings().device or _assigned or ("cuda" if torch.cuda.is_available() else "cpu"))


def load(entry: Entry, weights: str, device: torch.device | None = None) -> LoadedModel:
    """Create a model and fill in its weights.

    Args:
        entry: What to load.
        weights: "pretrained", or "random" for a fixed random initialisation.
        device: Where to; None is the default device.

    Raises:
        ModelUnavailable: Too large, or its weights cannot be had.
    """
    return apart(_load, entry, weights, device or default_device())


def _load(entry: Entry, weights: str, device: torch.device) -> LoadedModel:
    count_parameters(entry, settings().max_parameters)
    if weights == "random":
        state, origin = None, "random initialisation, seed 0"
    elif entry.source:
        state, origin = entry.source.weights(), entry.source.origin
    else:
        repository = (timm.get_pretrained_cfg(entry.name) if entry.tag else None) or None
        hub_id = repository and repository.hf_hub_id
        state, origin = hub.fetch(entry.name, hub_id), f"hub:{hub_id}"
    module = _create(entry, state)
    module.eval().requires_grad_(False)
    for part in module.modules():
        if getattr(part, "inplace", False):
            # an activation that overwrites its input spoils what hooks have recorded
            part.inplace = False  # type: ignore[assignment]
    # 2 to 4 times faster on CPUs, same numbers
    module = module.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    own = getattr(module, "pretrained_cfg", {})
    config = resolve_data_config(pretrained_cfg=dict(own) | dict(entry.overlay))
    channels = config["input_size"][0]
    if channels not in (1, 3):
        raise Declined(f"{entry.name} takes {channels} channels; photos have 1 or 3.")
    config |= {key: tuple(config[key])[:channels] for key in ("mean", "std")}
    num_classes = getattr(module, "num_classes", own.get("num_classes", 0)) or 0
    labels = labels_of(own, num_classes, num_classes or getattr(module, "num_features", 0))
    return LoadedModel(
        entry.name,
        weights,
        origin,
        module,
        labels,
        config,
        labels.noun == "class",
        device,
        ViewPool(module),
        activation_bytes(entry, config["input_size"]),
    )


def _create(entry: Entry, state: Mapping[str, Any] | None) -> nn.Module:
    module: Any
    with _creation, torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        if entry.source or state is None:
            module = entry.build()
            if state is None:
                _randomize_zeros(module)
        else:
            # timm's own loading: converts old key names and adapts first layer and classifier
            overlay = dict(entry.overlay, state_dict=dict(state), custom_load=False)
            try:
                module = timm.create_model(entry.name, pretrained=True, pretrained_cfg_overlay=overlay)
            except (RuntimeError, KeyError) as error:
                raise _mismatch(entry) from error
            module.pretrained_cfg.pop("state_dict", None)  # or every view would hold a copy of the weights file
            return module
    if state is not None:
        try:
            module.load_state_dict(state)
        except RuntimeError as error:
            raise _mismatch(entry) from error
    return module


def _randomize_zeros(module: nn.Module) -> None:
    """Give random weights to matrices that timm leaves at zero, as some classifiers: zeros would hide everything."""
    for part in module.modules():
        if isinstance(part, (nn.Linear, nn.Conv2d)) and not bool(part.weight.any()):
            nn.init.trunc_normal_(part.weight, std=0.02)


def _mismatch(entry: Entry) -> ModelUnavailable:
    return ModelUnavailable(f"{entry.name}: its weights file does not fit the network. {hub.INSTEAD}")
