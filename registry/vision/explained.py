"""What is explained, and the model's opinion: a class with its scores, a neuron, and a gradient that is there.

The module imports no torch, so that a plugin's declarations import anywhere.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..base.errors import Declined

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from .labels import Labels
    from .vision_model import VisionModel

DEPRECATED = "ClassScore is deprecated: use  explained = model.explain(images, target)"


@dataclass(frozen=True, eq=False)
class ClassScores:
    """A model's opinion on one photo.

    Args:
        values: float32 [classes]: softmax probabilities; for a model without a classifier each feature's
            share of all positive features.
        labels: Names of the classes.
        target: Index of the class that is explained, if one is.
    """

    values: np.ndarray
    labels: Labels
    target: int | None = None

    def top(self, count: int = 5) -> dict[str, float]:
        """Labels and values of the `count` best classes, best first, and of the target."""
        best = sorted(range(len(self.values)), key=lambda i: -float(self.values[i]))[:count]
        if self.target is not None and self.target not in best:
            best.append(self.target)
        return {self.labels[i]: float(self.values[i]) for i in best}


@dataclass(frozen=True, eq=False)
class Explained:
    """The class that a run explains; calling it gives its unnormalised score S_c(I), [n], for a batch of images.

    Args:
        model: The model.
        target: Index of the class.
        logits: Scores of all classes for the images it was found with, [n, classes].
    """

    model: VisionModel
    target: int
    logits: Tensor

    def __call__(self, images: Tensor) -> Tensor:
        return self.model.logits(images)[:, self.target]

    @property
    def score(self) -> Tensor:
        """S_c of the images it was found with, [n]: what calling it with them would compute once more."""
        return self.logits[:, self.target]

    @property
    def scores(self) -> ClassScores:
        """The scores of the first image."""
        return self.model.scores(self.logits[0].detach(), self.target)

    @property
    def label(self) -> str:
        """Name of the class."""
        return self.model.labels[self.target]


@dataclass(frozen=True, eq=False)
class Neuron:
    """One unit of a layer at one place; calling it gives its value, a scalar, for the first image of a batch.

    Args:
        model: The model.
        layer: Name of the layer.
        unit: Channel.
        row: Row in the layer's grid.
        column: Column in the layer's grid.
        value: Its value on the image it was found with.
    """

    model: VisionModel
    layer: str
    unit: int
    row: int
    column: int
    value: float

    def __call__(self, images: Tensor) -> Tensor:
        with self.model.record(self.layer) as outputs:
            self.model.module(images)
        return self.model.maps(self.layer, outputs[self.layer])[0, self.unit, self.row, self.column]

    @property
    def label(self) -> str:
        """What it is, as a phrase."""
        where = f"unit {self.unit} at row {self.row}, column {self.column}"
        return f"layer {self.layer}, {where}, value {self.value:.3g}"


class ClassScore:
    """S_c(I) of a class that is found on the first call. Deprecated since 0.2: use `VisionModel.explain`.

    Args:
        model: The model.
        target: Index of the class; None takes the top prediction of the first image it is called with.

    Attributes:
        target: The class, known after the first call.
        logits: Scores of all classes for the first image of the last call, [classes].

    Raises:
        ValueError: Its scores or label are asked for before the first call.
    """

    def __init__(self, model: VisionModel, target: int | None) -> None:
        warnings.warn(DEPRECATED, DeprecationWarning, stacklevel=2)
        self.model, self.target = model, target
        self.logits: Tensor | None = None

    def __call__(self, images: Tensor) -> Tensor:
        explained = self.model.explain(images, self.target)
        self.target, self.logits = explained.target, explained.logits[0].detach()
        return explained.score

    def _known(self) -> Explained:
        if self.logits is None or self.target is None:
            raise ValueError("no image has been scored yet")
        return Explained(self.model, self.target, self.logits[None])

    @property
    def scores(self) -> ClassScores:
        """The scores of the first image of the last call."""
        return self._known().scores

    @property
    def label(self) -> str:
        """Name of the class."""
        return self._known().label


def require_gradient(gradient: Tensor, model: VisionModel) -> Tensor:
    """Return the gradient, [...], or decline when it is zero everywhere or not finite: a blank map would be a lie.

    Zero is exactly zero, since a gradient has no noise floor. Made of products, it keeps its relative precision however
    small it is (within 1e-2 of float64 in fifteen networks, mostly 1e-6); where no path leads, it is zero to the bit.

    Raises:
        Declined: There is no gradient to show.
    """
    if not bool(gradient.isfinite().all()):
        raise Declined(
            f"{model.name} ({model.weights} weights) gives a gradient that is not finite: there is nothing to show."
        )
    if not bool((gradient != 0).any()):
        raise Declined(f"{model.name} ({model.weights} weights) gives no gradient here: it is zero everywhere.")
    return gradient
