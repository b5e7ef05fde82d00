"""The guided rule on a network's own activations, whatever they are.

Captum's GuidedBackprop and Deconvolution change `nn.ReLU` modules only; on networks with ReLU6, SiLU, GELU
or functional activations they return the plain gradient. Here every activation that the forward pass
computes is caught, so the rule applies to any of them:

    guided      grad_in = act'(x) * max(grad_out, 0)
    deconvnet   grad_in = max(grad_out, 0)

For ReLU and ReLU6 these are the published rules exactly; for smooth activations `act'` is their own derivative.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import torch
import torch.nn.functional as F
from timm.layers import activations as timm_activations
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from ..base.errors import Declined
from .explained import require_gradient
from .vision_model import VisionModel

# Activations as functions (nn.ReLU6 is a hardtanh); gates such as sigmoid are none.
_NAMES = [
    "relu",
    "relu_",
    "relu6",
    "hardtanh",
    "hardtanh_",
    "leaky_relu",
    "leaky_relu_",
    "elu",
    "elu_",
    "selu",
    "celu",
    "silu",
    "gelu",
    "hardswish",
    "mish",
    "softplus",
    "prelu",
    "rrelu",
]
FUNCTIONS = {getattr(place, name) for place in (F, torch, Tensor) for name in _NAMES if hasattr(place, name)}
# Activations that timm computes from gates, as modules.
MODULES = tuple(
    getattr(timm_activations, name) for name in ("QuickGELU", "HardMish") if hasattr(timm_activations, name)
)


class GuidedRule(TorchFunctionMode):
    """While active on this thread, every activation passes gradients by a rule.

    Args:
        rule: "guided" or "deconvnet".
        open_top: Let the gradient pass where an activation saturates from above (ReLU6 at 6).

    Attributes:
        count: Activations met.
    """

    def __init__(self, rule: str, open_top: bool = False) -> None:
        super().__init__()
        self.rule, self.open_top, self.count = rule, open_top, 0

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func not in FUNCTIONS or not isinstance(args[0] if args else None, Tensor) or not args[0].requires_grad:
            return func(*args, **(kwargs or {}))
        return self.apply(args[0], func(args[0].clone(), *args[1:], **(kwargs or {})))

    def apply(self, x: Tensor, y: Tensor) -> Tensor:
        """The activation's output `y` at `x`, both [...], with the rule as its backward pass."""
        self.count += 1
        if self.rule == "deconvnet":
            y = _backward_through(x, y)
        elif self.open_top:
            y = _backward_through(x.clamp(min=0), y)
        y.register_hook(lambda gradient: gradient.clamp(min=0))
        return y


def _backward_through(path: Tensor, value: Tensor) -> Tensor:
    """`value`, whose gradient flows along `path` instead."""
    return path + (value - path).detach()


@contextlib.contextmanager
def guided_rule(module: nn.Module, rule: str, open_top: bool = False) -> Iterator[GuidedRule]:
    """Apply the rule to every activation of `module` while the block lasts, on this thread only; see `GuidedRule`.

    Args:
        module: The network.
        rule: "guided" or "deconvnet".
        open_top: As for `GuidedRule`.
    """
    mode = GuidedRule(rule, open_top)
    handles = [
        part.register_forward_hook(lambda _module, inputs, output: mode.apply(inputs[0], output))
        for part in module.modules()
        if isinstance(part, MODULES)
    ]
    try:
        with mode:
            yield mode
    finally:
        for handle in handles:
            handle.remove()


class _Scored(nn.Module):
    """A score as a module around the network, whose activations Captum then finds."""

    def __init__(self, network: nn.Module, score: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.network, self.score = network, score

    def forward(self, images: Tensor) -> Tensor:
        return self.score(images).reshape(-1)


def _all_relu_modules(model: VisionModel, score: Callable[[Tensor], Tensor], image: Tensor) -> bool:
    """Whether every activation up to the score is a module `nn.ReLU`, the only kind that Captum changes."""
    parts = [part for part in model.module.modules() if isinstance(part, nn.ReLU)]
    if not parts:
        return False
    calls = [0]
    handles = [part.register_forward_hook(lambda *_: calls.__setitem__(0, calls[0] + 1)) for part in parts]
    try:
        with guided_rule(model.module, "guided") as mode:
            score(image)
    finally:
        for handle in handles:
            handle.remove()
    return mode.count == calls[0] > 0


def guided_gradient(
    model: VisionModel, score: Callable[[Tensor], Tensor], image: Tensor, rule: str, open_top: bool = False
) -> Tensor:
    """The gradient of a score to the pixels by a rule.

    Args:
        model: The model.
        score: A scalar function of an image batch of one.
        image: Normalised pixels, [1, channels, height, width].
        rule: "gradient", "guided" or "deconvnet".
        open_top: As for `GuidedRule`.

    Returns:
        [channels, height, width].

    Raises:
        Declined: The network has no activation to apply the rule to, the gradient is zero everywhere, or a backward
            pass takes more memory than is allowed.
    """
    model.batch(1)
    image = image.detach().clone().requires_grad_()
    if rule != "gradient" and _all_relu_modules(model, score, image):
        from captum.attr import Deconvolution, GuidedBackprop
        from captum.attr._core import guided_backprop_deconvnet

        # It warns at each call that it sets hooks, and would be taken for a technique that warns.
        guided_backprop_deconvnet.warnings = SimpleNamespace(warn=lambda *_, **__: None)
        method = (GuidedBackprop if rule == "guided" else Deconvolution)(_Scored(model.module, score))
        return require_gradient(method.attribute(image).detach(), model)[0]
    with torch.enable_grad():
        if rule == "gradient":
            value = score(image)
        else:
            with guided_rule(model.module, rule, open_top) as mode:
                value = score(image)
            if not mode.count:
                raise Declined(
                    f"{model.name} has no activation such as ReLU, GELU or SiLU before this point, so there is nothing "
                    f"to guide: rule '{rule}' would be the plain gradient. Choose rule 'gradient'."
                )
        (gradient,) = torch.autograd.grad(value.sum(), image)
    return require_gradient(gradient, model)[0]
