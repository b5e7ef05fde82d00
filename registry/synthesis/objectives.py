"""Objectives: what an image is optimised for, as functions of features [n, channels, height, width]."""

from __future__ import annotations

import torch
from torch import Tensor

EPSILON = 1e-12


def unit_value(features: Tensor, unit: int, position: tuple[int, int] | None = None) -> Tensor:
    """A unit's mean over space, or its value at one (row, column), [n]."""
    return features[:, unit].mean((1, 2)) if position is None else features[:, unit, position[0], position[1]]


def energy(features: Tensor) -> Tensor:
    """Mean of f^2: whatever the layer sees, more of it."""
    return features.square().mean()


def feature_distance(features: Tensor, wanted: Tensor) -> Tensor:
    """||f - f0||^2 / ||f0||^2."""
    return (features - wanted).square().sum() / wanted.square().sum().clamp(min=EPSILON)


def gram(features: Tensor) -> Tensor:
    """G = F F^T / (height width), the correlations of the channels whatever the place, [n, channels, channels]."""
    flat = features.flatten(2)
    return torch.bmm(flat, flat.transpose(1, 2)) / flat.shape[2]


def gram_distance(features: Tensor, wanted: Tensor) -> Tensor:
    """||G - G0||^2 / ||G0||^2, with G0 = `wanted`."""
    return (gram(features) - wanted).square().sum() / wanted.square().sum().clamp(min=EPSILON)
