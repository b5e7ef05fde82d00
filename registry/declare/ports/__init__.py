"""Ports: the declared inputs and outputs of a technique.

A port is a frozen record of type, label, bounds and help, with what its kind does on every face but the page. It knows
nothing of Gradio and imports neither torch nor numpy before a value is there, so that a plugin's declarations import
anywhere.
"""

from .base import Call, Input, Known
from .data import Curves, File, Points, Scores, Table
from .of_model import Layer, Layers, ModelName, ModelNames, Position, Target, Targets, Unit, Units
from .of_photos import SAMPLE, Files, Photo, Photos, Point
from .output import Output, Unfit
from .pictured import WALL, Animation, Gallery, Heatmap, Heatmaps, LayerMaps, Picture
from .words import TEXT_LENGTH, Choice, Choices, Number, Switch, Text

__all__ = [
    "SAMPLE",
    "TEXT_LENGTH",
    "WALL",
    "Animation",
    "Call",
    "Choice",
    "Choices",
    "Curves",
    "File",
    "Files",
    "Gallery",
    "Heatmap",
    "Heatmaps",
    "Input",
    "Known",
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
    "Point",
    "Points",
    "Position",
    "Scores",
    "Switch",
    "Table",
    "Target",
    "Targets",
    "Text",
    "Unfit",
    "Unit",
    "Units",
]
