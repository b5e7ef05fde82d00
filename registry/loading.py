"""Loading models: created once, kept in a cache bounded by bytes, lent out as private views."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import itertools
import logging
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import timm
import torch
from timm.data import resolve_data_config
from torch import nn

from . import hub, incidents
from .catalogue import Entry, activation_bytes, count_parameters, find
from .errors import Declined, ModelUnavailable
from .labels import Labels, labels_for
from .layers import Layer, default_layer, list_layers, stages
from .models import ModelSource
from .settings import settings
from .views import ViewPool
from .vision_model import VisionModel

logger = logging.getLogger("timmscope.models")
_creation = threading.Lock()  # random initialisation draws from torch's global generator
_first_call = threading.Lock()


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
    _layers: tuple[dict[str, Layer], str | None] | None = None
    _fingerprint: str = ""

    @property
    def nbytes(self) -> int:
        """Memory of parameters and buffers, in bytes."""
        tensors = itertools.chain(self.module.parameters(), self.module.buffers())
        return sum(tensor.numel() * tensor.element_size() for tensor in tensors)

    def layers(self) -> tuple[dict[str, Layer], str | None]:
        """The layers and the default layer, found at the first call by one run forward and backward."""
        with self._lock:
            if self._layers is None:
                generator = torch.Generator().manual_seed(0)
                example = torch.randn(1, *self.config["input_size"], generator=generator).to(self.device)
                with self.pool.lend() as view:
                    layers = list_layers(view, example)
                    if self.activation_bytes > settings().activation_bytes:  # no gradient would be granted either
                        self._layers = layers, next(reversed(stages(view, layers)), None)
                    else:
                        self._layers = layers, default_layer(view, layers, example)
            return self._layers

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

    @contextlib.contextmanager
    def lend(self) -> Iterator[VisionModel]:
        """A private view of the model for one run."""
        with self.pool.lend() as view:
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
    """Loaded models by name and weights; the least recently used go when `budget` bytes are exceeded.

    A model in use is never dropped, and two runs that want the same model load it once.
    """

    def __init__(self, budget: int) -> None:
        self.budget = budget
        self._models: OrderedDict[tuple[str, str], LoadedModel] = OrderedDict()
        self._loading: dict[tuple[str, str], threading.Lock] = {}
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def get(self, entry: Entry, weights: str) -> Iterator[LoadedModel]:
        """The loaded model, kept in memory at least until the block ends."""
        key = (entry.name, weights)
        with self._lock:
            gate = self._loading.setdefault(key, threading.Lock())
        with gate:
            with self._lock:
                model = self._models.get(key)
                if model:
                    model.users += 1
                    self._models.move_to_end(key)
            if model is None:
                model = load(entry, weights)
                model.users = 1
                with self._lock:
                    self._models[key] = model
                    self._shrink()
        try:
            yield model
        finally:
            with self._lock:
                model.users -= 1
                if not model.pool.intact and self._models.get(key) is model:
                    incidents.report(f"writes into the weights of {entry.name}; they are loaded afresh")
                    del self._models[key]
                self._shrink()

    def _shrink(self) -> None:
        excess = sum(model.nbytes for model in self._models.values()) - self.budget
        for key, model in list(self._models.items()):
            if excess > 0 and not model.users:
                excess -= model.nbytes
                del self._models[key]


def cache() -> ModelCache:
    """The cache of this process."""
    with _first_call:  # two first calls at once must not make two caches
        return _cache()


@functools.cache
def _cache() -> ModelCache:
    return ModelCache(settings().cache_bytes)


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
    with cache().get(find(name, sources), weights) as loaded, loaded.lend() as model:
        yield model


def default_device() -> torch.device:
    """The device of the models: as set, else CUDA when there is one, else the CPU."""
    return torch.device(settings().device or ("cuda" if torch.cuda.is_available() else "cpu"))


def load(entry: Entry, weights: str) -> LoadedModel:
    """Create a model and fill in its weights.

    Args:
        entry: What to load.
        weights: "pretrained", or "random" for a fixed random initialisation.

    Raises:
        ModelUnavailable: Too large, or its weights cannot be had.
    """
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
    device = default_device()
    # 2 to 4 times faster on CPUs, same numbers
    module = module.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    own = getattr(module, "pretrained_cfg", {})
    config = resolve_data_config(pretrained_cfg=dict(own) | dict(entry.overlay))
    channels = config["input_size"][0]
    if channels not in (1, 3):
        raise Declined(f"{entry.name} takes {channels} channels; photos have 1 or 3.")
    config |= {key: tuple(config[key])[:channels] for key in ("mean", "std")}
    num_classes = getattr(module, "num_classes", own.get("num_classes", 0)) or 0
    outputs = num_classes or getattr(module, "num_features", 0)
    return LoadedModel(
        entry.name,
        weights,
        origin,
        module,
        labels_for(num_classes, outputs),
        config,
        bool(num_classes),
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
