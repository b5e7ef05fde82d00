"""The catalogue: which model names exist, and what a name stands for. User text goes no further than here."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import timm
import torch
from timm.models import get_pretrained_cfg
from torch import nn

from ..base.errors import InvalidInput, ModelUnavailable, did_you_mean
from ..declare.technique import MODEL
from .source import ModelSource


@dataclass(frozen=True)
class Entry:
    """What a model name stands for: a source of a plugin, or a timm architecture with an optional tag."""

    name: str
    architecture: str
    tag: str = ""
    source: ModelSource | None = None
    overlay: Mapping[str, Any] = field(default_factory=dict, hash=False)

    @property
    def build(self) -> Callable[[], nn.Module]:
        """A function that makes the network with random weights, on the current default device."""
        if self.source and self.source.build:
            return self.source.build
        name = f"{self.architecture}.{self.tag}" if self.tag else self.architecture
        return functools.partial(timm.create_model, name, pretrained_cfg_overlay=dict(self.overlay))


@functools.cache
def timm_names() -> frozenset[str]:
    """Every architecture and every pretrained tag of timm."""
    return frozenset(timm.list_models()) | frozenset(timm.list_pretrained())


def model_names(sources: Mapping[str, ModelSource]) -> list[str]:
    """The names to choose from: models of plugins first, then timm's pretrained tags."""
    return [*sources, *timm.list_pretrained()]


def find(name: str, sources: Mapping[str, ModelSource]) -> Entry:
    """What `name` stands for; empty is the default model.

    Args:
        name: A model of a plugin, a timm architecture (its default weights), or architecture.tag.
        sources: The models of the plugins, by name.

    Raises:
        InvalidInput: No such model; the text names the close matches.
    """
    name = name or MODEL.default
    if source := sources.get(name):
        return Entry(name, source.architecture or name, "", source, source.preprocessing)
    if name not in timm_names():
        known = [*sources, *sorted(timm_names())]
        raise InvalidInput("model", name, MODEL.port.accepts, did_you_mean(name, known) or "See timm.list_models().")
    architecture, _, tag = name.partition(".")
    if not tag and (config := get_pretrained_cfg(architecture, allow_unregistered=False)) and config.tag:
        tag = config.tag
    return Entry(f"{architecture}.{tag}" if tag else architecture, architecture, tag)


@functools.lru_cache(maxsize=256)
def _size(entry: Entry) -> tuple[int, int]:
    """Parameters, and bytes of parameters and buffers, counted on the meta device: nothing is allocated."""
    with torch.device("meta"):
        network = entry.build()
    tensors = [*network.parameters(), *network.buffers()]
    return sum(p.numel() for p in network.parameters()), sum(t.numel() * t.element_size() for t in tensors)


def count_bytes(entry: Entry) -> int:
    """Memory of the parameters and buffers once they are loaded, in bytes; nothing is allocated to know it."""
    return _size(entry)[1]


def count_parameters(entry: Entry, limit: int) -> int:
    """Number of parameters, counted on the meta device: nothing is allocated.

    Raises:
        ModelUnavailable: More than `limit`.
    """
    count, _ = _size(entry)
    if count > limit:
        raise ModelUnavailable(
            f"{entry.name} has {count / 1e6:,.0f} million parameters; here at most {limit / 1e6:,.0f} million are "
            "allowed (TIMMSCOPE_MAX_PARAMETERS). Choose a smaller variant."
        )
    return count


def activation_bytes(entry: Entry, size: Sequence[int]) -> int:
    """Memory that a backward pass keeps for one image: the tensors that autograd saves, in bytes of float32.

    It is found on the meta device, so nothing is allocated.

    Args:
        entry: The model.
        size: Channels, height and width of its input.

    Returns:
        The estimate, or 0 when the network cannot run without values.
    """
    saved: dict[int, torch.UntypedStorage] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        saved[storage._cdata] = storage
        return tensor

    with torch.device("meta"), torch.enable_grad():
        network = entry.build().eval().requires_grad_(False)
        try:
            with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
                output = network(torch.empty(1, *size, requires_grad=True))
        except Exception:  # a network may do anything that needs values
            return 0
    own = {tensor.untyped_storage()._cdata for tensor in (*network.parameters(), *network.buffers())}
    del output
    return sum(storage.nbytes() for key, storage in saved.items() if key not in own)
