"""Opinions on pictures that were made for a network: its own, and a second model's.

What one network was optimised for says little until another network agrees.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import cached_property

import numpy as np
from PIL import Image

import timmscope as ts


def scores(
    model: ts.VisionModel, pictures: Sequence[np.ndarray] | np.ndarray, target: int | None = None
) -> list[ts.ClassScores]:
    """A model's scores of whole pictures, uint8 [height, width, 3]; `target` is the class to point out."""
    seen = [model.score_photo(Image.fromarray(picture), fit=True) for picture in pictures]
    return [ts.ClassScores(one.values, one.labels, target) for one in seen]


def loaded_again(model: ts.VisionModel, file: str, picture: np.ndarray, quality: int = 0) -> str:
    """A sentence on what a model sees in a saved picture, found by showing it: whole, cropped, and as a JPEG.

    Args:
        model: The model.
        file: Name of the file, as `Result.save` gives it.
        picture: The picture, uint8 [height, width, 3].
        quality: Of the JPEG; 0 for none.
    """
    photo = Image.fromarray(picture)
    ways = [("whole (fit)", photo, True), ("cropped as photos are by default", photo, False)]
    if quality:
        photo.save(jpeg := io.BytesIO(), "JPEG", quality=quality)
        ways.append((f"whole from a JPEG of quality {quality}", Image.open(jpeg), True))
    seen = []
    for way, loaded, fit in ways:
        label, share = next(iter(model.score_photo(loaded, fit).top(1).items()))
        seen.append(f"{way} {label} {share:.1%}")
    return f"{file} loaded again is seen as follows: {', '.join(seen)}."


class Second:
    """Another model's opinion on pictures that are made for one. There may be none, and then it is said why.

    Args:
        name: Name of the other model; empty for none.
        model: The model the pictures are made for.
        label: Name of the class they are made for, if it is a class.

    Attributes:
        why: Why there is none, once it has been asked.
    """

    def __init__(self, name: str, model: ts.VisionModel, label: str = "") -> None:
        self.name, self.model, self.label = name, model, label
        self.why = "" if name else "No second opinion: no second model is named."
        self._stranger = ""

    @cached_property
    def notes(self) -> list[str]:
        """What there will not be, known before steps are spent: the model is loaded for it and may be dropped again."""
        self.ask([])
        return [note for note in (self.why, self._stranger) if note]

    def ask(self, pictures: Sequence[np.ndarray] | np.ndarray) -> list[ts.ClassScores]:
        """Its scores of whole pictures, uint8 [height, width, 3], as `scores`; none where it cannot be had."""
        if self.why:
            return []
        try:
            with ts.lend(self.name) as other:
                self.why = self._unfit(other)
                if self.why:
                    return []
                known = self.label in other.labels.short
                self._stranger = f"{other.name} has no class called {self.label}." if self.label and not known else ""
                return scores(other, pictures, other.labels.short.index(self.label) if known else None)
        except ts.ModelUnavailable as error:
            self.why = f"No second opinion: {error}"
            return []

    def _unfit(self, other: ts.VisionModel) -> str:
        """Why a model's scores would be no second opinion."""
        if (other.name, other.weights) == (self.model.name, self.model.weights):
            return f"No second opinion: {other.name} is the model itself."
        if not other.classifies:
            return f"No second opinion: {other.name} has no classes."
        first, second = self.model.labels, other.labels
        if first[0] == second[0] == "class 0" and len(first) != len(second):
            return f"No second opinion: the classes of {other.name} have numbers only, and are not those of the model."
        return ""
