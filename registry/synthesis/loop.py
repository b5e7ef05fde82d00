"""The one loop: every synthesised image comes from here."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..base.errors import Declined
from .canvases import Canvas
from .images import to_uint8

SECONDS = 1.0


@dataclass(frozen=True)
class Step:
    """A moment of an optimisation: images, and what the loss says of these very images.

    Args:
        done: Steps so far.
        total: Steps planned.
        curves: Value of every term of the loss after every step; the last is that of `images`.
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


class _Spent(Exception):
    """Ends an optimiser's step, wherever it is, once the last evaluation is made."""


def optimize(
    canvas: Canvas,
    loss: Callable[[Tensor], Mapping[str, Tensor]],
    optimizer: torch.optim.Optimizer,
    steps: int,
    after: Callable[[int], None] | None = None,
    scale: float = 1.0,
    seconds: float = SECONDS,
    must_move: bool = True,
    regularizers: Callable[[Tensor], Mapping[str, Tensor]] | None = None,
) -> Iterator[Step]:
    """Minimise a loss over a canvas: x <- x - step(d loss(canvas(x)) / dx).

    A step is an evaluation of the loss; that of the start is one more and comes first. What is handed out is always an
    image that was evaluated, with its own loss: the newest, or where a step of the optimiser tries several along lines,
    the best of them. A loss that sees the image through a random transform is that of this one view.

    Args:
        canvas: Has `parameters` and gives new images when called.
        loss: The terms of the objective by name; their sum is minimised.
        optimizer: Of the canvas's parameters.
        steps: Evaluations of the loss after that of the start.
        after: Called after each change of the image with how many there were: projections, schedules.
        scale: Factor on the loss, for optimisers that mind.
        seconds: Between previews; when they come changes nothing in what comes out.
        must_move: Decline when the objective has no gradient at first; not for distances, which may be zero there.
        regularizers: Terms that are added to the loss, but would make a picture of nothing by themselves.

    Yields:
        An early step, then one about every so many seconds, then the last.

    Raises:
        Declined: The loss has no gradient, or is not finite.
    """
    curves: dict[str, list[float]] = {}
    terms: dict[str, float] = {}
    images, lowest, done = torch.empty(0), math.inf, -1

    def closure() -> Tensor:
        nonlocal images, lowest, terms, done
        done += 1
        optimizer.zero_grad()
        with torch.set_grad_enabled(done < steps):
            seen = canvas()
            objective = loss(seen)
            found = {**objective, **(regularizers(seen) if regularizers else {})}
            total: Any = scale * sum(found.values())
        if float(total.detach()) < lowest:
            images, lowest = seen.detach(), float(total.detach())
            terms = {name: float(term.detach()) for name, term in found.items()}
        if done:
            for name, value in terms.items():
                curves.setdefault(name, []).append(value)
        if done == steps:
            raise _Spent
        if must_move and not done:
            _require_gradient(sum(objective.values()), canvas.parameters)
        total.backward()
        return total

    shown, spent = -math.inf, False
    while not spent:
        lowest = math.inf  # only among the images that one step of the optimiser tries
        try:
            optimizer.step(closure)  # type: ignore[arg-type]  # torch's own annotation says float
        except _Spent:
            spent = True
        if not (math.isfinite(lowest) and bool(images.isfinite().all())):
            raise Declined("The optimisation left the range of numbers. A smaller step or weight may help.")
        if after and not spent:
            after(done + 1)
        if done and (spent or time.monotonic() - shown >= seconds):
            shown = time.monotonic()
            yield Step(done, steps, {name: list(values) for name, values in curves.items()}, images)


def ascend(
    canvas: Canvas,
    score: Callable[[Tensor], Tensor],
    optimizer: torch.optim.Optimizer,
    steps: int,
    seen: Callable[[Tensor], Tensor] | None = None,
    after: Callable[[int], None] | None = None,
    regularizers: Callable[[Tensor], Mapping[str, Tensor]] | None = None,
) -> Iterator[Step]:
    """Raise a score of images: `optimize` with the loss -S, the mean over the images.

    Args:
        canvas: As for `optimize`; so are `optimizer`, `steps`, `after` and `regularizers`.
        score: S(I), a value per image or one for all, such as `Objective.on` gives.
        seen: A transform: what the network sees of the images.

    Yields:
        As `optimize`; the curve is called "-S".

    Raises:
        Declined: As for `optimize`.
    """

    def loss(images: Tensor) -> dict[str, Tensor]:
        return {"-S": -score(seen(images) if seen else images).mean()}

    return optimize(canvas, loss, optimizer, steps, after, regularizers=regularizers)


def _require_gradient(objective: Any, parameters: Sequence[Tensor]) -> None:
    gradients = torch.autograd.grad(objective, parameters, retain_graph=True, allow_unused=True)
    if not any(bool(gradient.any()) for gradient in gradients if gradient is not None):
        raise Declined(
            "No change of the image would change the objective, its gradient is zero: "
            "a unit that never fires, weights that are zero, or a picture too small for the network."
        )
