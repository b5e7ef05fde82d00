"""The one loop: every synthesised image comes from here."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from timmscope import Declined

from .images import to_uint8

SECONDS = 1.0


@dataclass(frozen=True)
class Step:
    """A moment of an optimisation.

    Args:
        done: Evaluations of the loss so far.
        total: Evaluations planned.
        curves: Value of every term of the loss at every evaluation.
        images: The images now, RGB from 0 to 1, [n, 3, height, width].
    """

    done: int
    total: int
    curves: dict[str, list[float]]
    images: Tensor

    @property
    def pictures(self) -> np.ndarray:
        """The images for people, uint8 [n, height, width, 3]."""
        return to_uint8(self.images)

    @property
    def last(self) -> bool:
        """Whether this is the result."""
        return self.done == self.total


def optimize(
    canvas: Any,
    loss: Callable[[Tensor], Mapping[str, Tensor]],
    optimizer: torch.optim.Optimizer,
    steps: int,
    after: Callable[[int], None] | None = None,
    scale: float = 1.0,
    seconds: float = SECONDS,
    must_move: bool = True,
) -> Iterator[Step]:
    """Minimise a loss over a canvas: x <- x - step(d loss(canvas(x)) / dx).

    Args:
        canvas: Has `parameters` and gives images when called.
        loss: The terms of the loss by name; their sum is minimised.
        optimizer: Of the canvas's parameters.
        steps: Evaluations of the loss; an optimiser may use several a step.
        after: Called after each step with the evaluations so far: projections, schedules.
        scale: Factor on the loss, for optimisers that mind.
        seconds: Between previews; when they come changes nothing in what comes out.
        must_move: Decline when the first gradient is zero; not for distances, which may be zero from the start.

    Yields:
        The first step, then one about every so many seconds, then the last.

    Raises:
        Declined: The loss has no gradient, or is not finite.
    """
    curves: dict[str, list[float]] = {}
    done = 0

    def closure() -> Tensor:
        nonlocal done
        optimizer.zero_grad()
        with torch.enable_grad():
            terms = loss(canvas())
            total = scale * sum(terms.values())
            total.backward()
        for name, term in terms.items():
            curves.setdefault(name, []).append(float(term.detach()))
        if must_move and not done and not any(bool(p.grad.any()) for p in canvas.parameters if p.grad is not None):
            raise Declined(
                "No change of the image would change the objective, its gradient is zero: "
                "a unit that never fires, or weights that are zero."
            )
        done += 1
        return total

    shown = float("-inf")
    while done < steps:
        optimizer.step(closure)
        if not all(bool(p.isfinite().all()) for p in canvas.parameters):
            raise Declined("The optimisation left the range of numbers. A smaller step or weight may help.")
        if after:
            after(done)
        if done >= steps or time.monotonic() - shown >= seconds:
            with torch.no_grad():
                images = canvas()
            shown = time.monotonic()
            yield Step(min(done, steps), steps, {name: values[:steps] for name, values in curves.items()}, images)
