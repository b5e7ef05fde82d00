"""Small networks that timm does not have, for the tests of what is rare."""

from __future__ import annotations

import torch
from torch import nn

from timmscope import ModelSource


class Tiny(nn.Module):
    """A convolution with ReLU, a mean and a classifier.

    Args:
        channels: Channels of the input.
        size: Height and width of the input; no other is accepted.
        classes: Number of classes.
        width: Units of the layer.
    """

    def __init__(self, channels: int = 3, size: tuple[int, int] = (32, 32), classes: int = 10, width: int = 8):
        super().__init__()
        self.num_classes, self.size = classes, size
        self.pretrained_cfg = {
            "input_size": (channels, *size),
            "mean": (0.5,) * 3,
            "std": (0.25,) * 3,
            "num_classes": classes,
            "fixed_input_size": True,
        }
        self.conv = nn.Conv2d(channels, width, 3, 2, 1)
        self.act = nn.ReLU(inplace=True)
        self.classifier = nn.Linear(width, classes)

    def forward(self, x):
        assert tuple(x.shape[-2:]) == self.size
        return self.classifier(self.act(self.conv(x)).mean((2, 3)))


def source(name: str = "tiny", **options) -> ModelSource:
    """A model source that brings a `Tiny` with weights of its own."""

    def weights():
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(1)
            return Tiny(**options).state_dict()

    return ModelSource(name, weights, "test", build=lambda: Tiny(**options))
