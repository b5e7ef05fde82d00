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

from .errors import InvalidInput, ModelUnavailable, did_you_mean
from .models import ModelSource
from .technique import MODEL


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
        known = [*sources, *timm_names()]
        raise InvalidInput("model", name, MODEL.port.accepts, did_you_mean(name, known) or "See timm.list_models().")
    architecture, _, tag = name.partition(".")
    if not tag and (config := get_pretrained_cfg(architecture, allow_unregistered=False)) and config.tag:
        tag = config.tag
    return Entry(f"{architecture}.{tag}" if tag else architecture, architecture, tag)


def count_parameters(entry: Entry, limit: int) -> int:
    """Number of parameters, counted on the meta device: nothing is allocated.

    Raises:
        ModelUnavailable: More than `limit`.
    """
    with torch.device("meta"):
        count = sum(parameter.numel() for parameter in entry.build().parameters())
    if count > limit:
        raise ModelUnavailable(
            f"{entry.name} has {count / 1e6:,.0f} million parameters; here at most {limit / 1e6:,.0f} million are "
            "allowed (TIMMSCOPE_MAX_PARAMETERS). Choose a smaller variant."
        )
    return count


def activation_bytes(entry: Entry, size: Sequence[int]) -> int:
    """Memory that a backward pass keeps for one image: what every innermost module gives, in bytes of float32.

    It is found on the meta device, so nothing is allocated. Measured on networks of all kinds, a pass takes 1 to 1.6
    times as much.

    Args:
        entry: The model.
        size: Channels, height and width of its input.

    Returns:
        The estimate, or 0 when the network cannot run without values.
    """
    sizes: list[int] = []

    def weigh(_module: nn.Module, _inputs: object, output: object) -> None:
        if isinstance(output, torch.Tensor):
            sizes.append(output.numel() * 4)

    with torch.device("meta"), torch.no_grad():
        network = entry.build().eval()
        for part in network.modules():
            if not any(True for _ in part.children()):
                part.register_forward_hook(weigh)
        try:
            network(torch.empty(1, *size))
        except Exception:  # a network may do anything that needs values
            return 0
    return sum(sizes)
