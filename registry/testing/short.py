"""The shortest honest call of any technique, and what a result fails to show."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from ..declare.technique import Parameter, Technique
from ..results.result import Result

# What makes a run short, by name of the parameter; the other parameters keep their defaults.
SMALL: dict[str, Any] = {
    "samples": 3,
    "steps": 3,
    "limit": 6,
    "size": 64,
    "iterations": 1,
    "window": 40,  # of an input of 200 pixels
    "stride": 40,
    "octaves": 2,
    "facets": 1,
    "seeds": 1,
    "second_model": "tf_efficientnet_lite0",  # its weights are always there
}
# Where a technique means something else by a name.
SMALL_TOO: dict[str, dict[str, Any]] = {"texture_patchwise": {"window": 7, "size": 24, "sample": 20}}


def smallest(
    technique: Technique, photo: Any, model: str = "", photos: Sequence[Any] = (), side: int = 200
) -> dict[str, Any]:
    """The inputs of the shortest honest call of a technique.

    Args:
        technique: The technique.
        photo: What every photo parameter gets.
        model: Name of the model, with random weights; empty for the default one.
        photos: What is brought along where a photo set is searched.
        side: Shorter side of the model's input, in pixels. A window that slides over it is a fifth of it.
    """
    small = SMALL | {"window": side // 5, "stride": side // 5} | SMALL_TOO.get(technique.name, {})
    inputs: dict[str, Any] = {"model": model, "weights": "random"} if technique.uses_model and model else {}
    for parameter in technique.parameters:
        if parameter.takes_photo:
            inputs[parameter.name] = photo
        elif parameter.takes_files:
            inputs[parameter.name] = list(photos)
        elif is_small(technique, parameter):
            inputs[parameter.name] = small[parameter.name]
    return inputs


def is_small(technique: Technique, parameter: Parameter) -> bool:
    """Whether there is a small setting for a parameter of a technique."""
    return parameter.name in SMALL or parameter.name in SMALL_TOO.get(technique.name, {})


def generated_photos(count: int = 6, side: int = 48) -> list[bytes]:
    """Small photos that differ from each other, as PNG files: coloured waves under noise."""
    files = []
    for i in range(count):
        random = np.random.default_rng(i)
        y, x = np.mgrid[:side, :side] / side
        phases, turns = random.random((2, 3)) * 6
        waves = np.sin(turns * 2 * (x * np.cos(i) + y * np.sin(i))[..., None] * 3 + phases)
        pixels = 127 + 90 * waves + random.normal(0, 12, (side, side, 3))
        buffer = io.BytesIO()
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(buffer, "PNG")
        files.append(buffer.getvalue())
    return files


def blanks(result: Result) -> list[str]:
    """What is wrong with the outputs of a result: not finite, or all its maps and pictures of one value throughout.

    A map that is empty by the mathematics of the technique is no blank where a note says "empty".
    """
    said = any("empty" in note for note in result.notes)
    found = []
    for port in result.present:
        if wrong := port.blank(result.arrays.get(port.name), said):
            found.append(f"{port.name} {wrong}")
    return found
