"""Optimisers: torch's own, with the settings that suit each canvas, and steps along a changed gradient."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

LBFGS_SCALE = 100  # factor on losses of about 1, so that the first line search takes a step of use


def lbfgs(parameters: Sequence[Tensor]) -> torch.optim.LBFGS:
    """L-BFGS on tensors [...] with a strong Wolfe line search, twenty iterations per step and no early end."""
    return torch.optim.LBFGS(
        parameters,
        max_iter=20,
        history_size=20,
        tolerance_grad=0,
        tolerance_change=0,
        line_search_fn="strong_wolfe",
    )


class Descent(torch.optim.Optimizer):
    """x <- x - step * direction(g): steepest descent with the gradient changed by a rule.

    Args:
        parameters: What to change.
        step: Length of a step.
        direction: Changes a gradient [n, 3, height, width].
        momentum: Share of the former gradients, each scaled to a mean magnitude of 1, that is kept at a step.
    """

    def __init__(
        self,
        parameters: Sequence[Tensor],
        step: float,
        direction: Callable[[Tensor], Tensor],
        momentum: float = 0,
    ) -> None:
        super().__init__(parameters, {"lr": step, "momentum": momentum})
        self.direction = direction

    @torch.no_grad()
    def step(self, closure: Callable[[], Tensor]) -> Any:  # type: ignore[override]
        with torch.enable_grad():
            value = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                gradient = parameter.grad
                if group["momentum"]:
                    former = self.state[parameter].get("gradient", 0)
                    gradient = group["momentum"] * former + gradient / gradient.abs().mean().clamp(min=1e-12)
                    self.state[parameter]["gradient"] = gradient
                parameter.sub_(group["lr"] * self.direction(gradient))
        return value
