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
    ModelNames,
    Number,
    Photo,
    Photos,
    Position,
    Switch,
    Target,
    Targets,
    Text,
    Unit,
    Units,
)
from .outputs import WALL, Animation, Curves, Gallery, Heatmap, Heatmaps, LayerMaps, Output, Picture, Scores, Table

__all__ = [
    "TEXT_LENGTH",
    "WALL",
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
    "LayerMaps",
    "Layers",
    "ModelName",
    "ModelNames",
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
    "Units",
]
