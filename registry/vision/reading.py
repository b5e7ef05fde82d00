"""Reading a network's forward pass: outputs of layers, also before their activation, and pooled features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ..base.errors import Declined

if TYPE_CHECKING:
    from .vision_model import VisionModel

# Activations that are flat on one side or both: many inputs share one output, and none has a gradient there.
SATURATING = (nn.ReLU, nn.ReLU6, nn.Hardtanh, nn.Hardswish, nn.Hardsigmoid, nn.Sigmoid, nn.Tanh)


class _Stop(Exception):
    """Ends a forward pass once everything asked for is known."""


class LayerReader:
    """The outputs of layers, as [n, channels, height, width]; what comes after them is not computed.

    Args:
        model: The model.
        layers: Names of the layers. One value per unit is a grid of one cell.
        before_activation: Where a layer ends in an activation that can saturate, give what goes into it.

    Attributes:
        opened: The activations left out, by name of the layer.

    Raises:
        Declined: A layer's output is neither a grid nor one value per unit.
    """

    def __init__(self, model: VisionModel, layers: Sequence[str], before_activation: bool = False) -> None:
        self.model, self.layers = model, list(layers)
        for name in self.layers:
            model.layer(name)
        order = list(model.layers)
        self.last = max(self.layers, key=order.index)
        self.opened = self._final_activations() if before_activation else {}

    def __call__(self, inputs: Tensor) -> dict[str, Tensor]:
        """The outputs by name.

        Args:
            inputs: Normalised pixels, [n, channels, height, width].
        """
        outputs: dict[str, Tensor] = {}
        handles = [handle for name in self.layers for handle in self._tap(name, outputs)]
        try:
            self.model.module(inputs)
        except _Stop:
            pass
        finally:
            for handle in handles:
                handle.remove()
        return {name: self.model.maps(name, outputs[name]) for name in self.layers}

    def _tap(self, name: str, outputs: dict[str, Tensor]) -> list[torch.utils.hooks.RemovableHandle]:
        """Hooks that keep one layer's output; the network goes on with a copy, which it may overwrite."""

        def keep(value: Tensor) -> Tensor:
            outputs[name] = value
            return value.clone()

        def after(_module: nn.Module, _inputs: object, output: Tensor) -> Tensor:
            if name not in self.opened:
                outputs[name] = output
            if name == self.last:
                raise _Stop
            return output if name in self.opened else output.clone()

        handles = [self.model.module.get_submodule(name).register_forward_hook(after)]
        if name in self.opened:  # called several times where a block shares one activation: the last call counts
            opened = self.opened[name]
            handles.append(opened.register_forward_pre_hook(lambda _, inputs: (keep(inputs[0]), *inputs[1:])))
        return handles

    def _final_activations(self) -> dict[str, nn.Module]:
        """The activation of each layer whose output is the layer's own output, where there is one."""
        model = self.model
        outputs: dict[nn.Module, Any] = {}
        layers = {name: model.module.get_submodule(name) for name in self.layers}
        parts = {name: [p for p in layer.modules() if isinstance(p, SATURATING)] for name, layer in layers.items()}
        watched = {*layers.values(), *(part for some in parts.values() for part in some)}
        handles = [module.register_forward_hook(lambda m, _, output: outputs.update({m: output})) for module in watched]
        try:
            with torch.no_grad():
                model.module(torch.zeros(1, *model.config["input_size"], device=model.device))
        finally:
            for handle in handles:
                handle.remove()
        return {n: part for n, some in parts.items() for part in some if outputs.get(part) is outputs.get(layers[n])}


def pooled_features(module: nn.Module, inputs: Tensor) -> Tensor:
    """The values that feed the classifier: timm's penultimate features, else the input of the last linear layer.

    Args:
        module: The network.
        inputs: Normalised pixels, [n, channels, height, width].

    Returns:
        [n, d]; where a network leaves a grid or tokens, their mean.

    Raises:
        Declined: A network that is not timm's, without a linear layer.
    """
    if hasattr(module, "forward_features") and hasattr(module, "forward_head"):
        network: Any = module
        features = network.forward_head(network.forward_features(inputs), pre_logits=True)
    else:
        features = _before_last_linear(module, inputs)
    if features.ndim == 4:
        features = features.mean((1, 2) if getattr(module, "output_fmt", "") == "NHWC" else (2, 3))
    return features.mean(1) if features.ndim == 3 else features


def _before_last_linear(module: nn.Module, inputs: Tensor) -> Tensor:
    seen: list[Tensor] = []

    def keep(_module: nn.Module, arguments: tuple[Tensor, ...]) -> None:
        seen[:] = arguments[:1]

    handles = [part.register_forward_pre_hook(keep) for part in module.modules() if isinstance(part, nn.Linear)]
    try:
        module(inputs)
    finally:
        for handle in handles:
            handle.remove()
    if not seen:
        raise Declined("The network has no classifier whose input would be its features.")
    return seen[0]
