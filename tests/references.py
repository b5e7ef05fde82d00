"""What the numbers are compared with: plain models as timm makes them, and timm's own preprocessing."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
import skimage
import timm
import torch
from PIL import Image
from timm.data import create_transform, resolve_data_config

from timmscope.techniques.embedded.efficientnet_lite import _weights

CHELSEA = Path(skimage.__file__).parent / "data" / "chelsea.png"
EMBEDDED = "tf_efficientnet_lite0"
NETWORKS = (EMBEDDED, "resnet18", "convnext_atto", "vit_tiny_patch16_224", "vgg11")


def named(name: str) -> dict[str, str]:
    """The inputs that choose the network: the embedded one with its weights, others with random ones."""
    return {"model": name, "weights": "pretrained" if name == EMBEDDED else "random"}


@functools.cache
def plain(name: str) -> torch.nn.Module:
    """The network as timm makes it: contiguous, with its in-place activations, shared with nobody."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = timm.create_model(name)
    if name == EMBEDDED:
        model.load_state_dict(_weights("lite0"))
    return model.eval().requires_grad_(False)


def without_inplace(model: torch.nn.Module) -> torch.nn.Module:
    """The same network; Captum's backward hooks cannot be on activations that overwrite their input."""
    for part in model.modules():
        if hasattr(part, "inplace"):
            part.inplace = False
    return model


def transformed(name: str, **changes) -> torch.Tensor:
    """The cat photo as timm puts it into the network, [1, 3, height, width]."""
    config = resolve_data_config(pretrained_cfg=plain(name).pretrained_cfg) | changes
    return create_transform(**config, is_training=False)(Image.open(CHELSEA).convert("RGB"))[None]


def assert_close(actual, expected, tolerance: float = 1e-4, kinks: float = 0) -> None:
    """Equal to `tolerance`, relative to the largest expected value; an expectation of zeros would show nothing.

    Args:
        actual: The product's array.
        expected: The reference.
        tolerance: Largest difference.
        kinks: Share of values that may differ more. The gradient jumps where a ReLU or a maximum changes sides, and
            float32 rounds otherwise in another memory layout, so a unit within rounding of its kink may be on the
            other side; the pixels of its receptive field then differ.
    """
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert actual.shape == expected.shape
    assert np.abs(expected).max() > 0
    off = np.abs(actual - expected) > tolerance * np.abs(expected).max()
    assert off.mean() <= kinks, f"{off.mean():.2%} of the values differ"
