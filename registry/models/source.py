"""Model sources: what a plugin declares to bring a model with its weights. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True)
class ModelSource:
    """One model by name, with where its network and weights come from.

    Args:
        name: What the user types; it hides a timm model of the same name.
        weights: Returns the state dict, keyed as the network's. Called on first use only.
        origin: Where the weights come from, as recipes and the page say it.
        architecture: timm architecture; empty means `name` is one.
        build: Makes the network, for those timm does not have. It must carry a `pretrained_cfg` dict with
            `input_size`, `mean`, `std` and `num_classes`; with `"tag": "in1k"` its classes have ImageNet's names.
        plugin: The plugin that brought it; set when it is registered.
        preprocessing: Replaces entries of the architecture's own configuration, such as `interpolation`.
    """

    name: str
    weights: Callable[[], Mapping[str, Tensor]]
    origin: str
    architecture: str = ""
    build: Callable[[], nn.Module] | None = None
    preprocessing: Mapping[str, Any] = field(default_factory=dict, hash=False)
    plugin: str = ""
