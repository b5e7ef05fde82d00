"""A second model's opinion: what one network was optimised for says little until another network agrees."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from timmscope import ClassScores, InvalidInput, ModelUnavailable, VisionModel, lend


def scores(model: VisionModel, pictures: Sequence[np.ndarray], label: str = "") -> list[ClassScores]:
    """A model's scores of whole pictures, uint8 [height, width, 3], with its class called `label` as the target."""
    try:
        target = model.labels.find(label) if label else None
    except InvalidInput:
        target = None
    seen = [model.score_photo(Image.fromarray(picture), fit=True) for picture in pictures]
    return [ClassScores(one.values, one.labels, target) for one in seen]


def second_opinion(name: str, pictures: Sequence[np.ndarray], label: str = "") -> tuple[list[ClassScores], str]:
    """The scores of another model, and a note when it cannot be had (then there are none)."""
    try:
        with lend(name) as model:
            return scores(model, pictures, label), ""
    except ModelUnavailable as error:
        return [], f"No second opinion: {error}"
