"""Ports: the declared inputs and outputs of a technique.

A port is a frozen record of type, label, bounds and help. It knows nothing of Gradio or torch, so that a
plugin's declarations import anywhere.
"""

from .inputs import (
    TEXT_LENGTH,
    Choice,
    Choices,
    Files,
    Input,
    Layer,
    Layers,
    ModelName,
    Number,
    Photo,
    Photos,
    Position,
    Switch,
    Target,
    Targets,
    Text,
    Unit,
)
from .outputs import Animation, Curves, Gallery, Heatmap, Heatmaps, Output, Picture, Scores, Table

__all__ = [
    "TEXT_LENGTH",
    "Animation",
    "Choice",
    "Choices",
    "Curves",
    "Files",
    "Gallery",
    "Heatmap",
    "Heatmaps",
    "Input",
    "Layer",
    "Layers",
    "ModelName",
    "Number",
    "Output",
    "Photo",
    "Photos",
    "Picture",
    "Position",
    "Scores",
    "Switch",
    "Table",
    "Target",
    "Targets",
    "Text",
    "Unit",
]
