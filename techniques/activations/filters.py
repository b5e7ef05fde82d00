"""Filters: the weights of a convolution as pictures."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import timmscope as ts

NAMED = 6  # layers that a message names
TILE = 8  # least side of a plane in a deeper kernel's picture, in pixels


@ts.technique(
    "Filters",
    family="Activations",
    outputs=[
        ts.Gallery("filters", "Kernels", columns=8, crisp=True),
        ts.Gallery("walls", "Walls, one per model", columns=1, crisp=True),
    ],
)
def filters(
    model: ts.VisionModel,
    layer: Annotated[str, ts.Layer("Layer", optional=True)] = "",
    compare: Annotated[Sequence[str], ts.ModelNames("More models")] = (),
    scale: Annotated[str, ts.Choice("Brightness", ("each", "common"))] = "each",
    limit: Annotated[int, ts.Number("Kernels", 1, 256)] = 64,
    page: Annotated[int, ts.Number("Page", 1, 10_000)] = 1,
) -> ts.Outputs:
    r"""The weights of a convolution as pictures: what the network looks for first.

    What you see:
        Of the first layer, each kernel in colour: edges in all directions, colour blobs, gratings. Of deeper layers
        each kernel's planes, one per channel of the layer below, as grey tiles. The second output puts the kernels of
        all chosen models into walls side by side.

    How it works:
        A kernel is a small picture, since it is multiplied with the pixels below it. Pixel $(i, j)$ of kernel $k$ is
        $$255 \cdot \frac{w^k_{ij} - \min w}{\max w - \min w}$$
        with the extremes of that kernel over all its colours and planes (brightness "each"), or of all kernels of
        the layer ("common"). Pictures are enlarged by repeating pixels. The first layer is the first convolution or
        patch embedding that runs; no photo is involved.

    How to read it:
        Trained first layers are smooth; noise in them means too little training or none: choose random weights to
        see it. With brightness "each" a weak kernel looks as strong as any, "common" shows which are strong, and grey
        is then near zero. Deeper kernels act on features, not on pixels, and say little by themselves.

    Source:
        Krizhevsky et al. 2012, "ImageNet Classification with Deep Convolutional Neural Networks", figure 3.

    Args:
        layer: Name of a convolution or patch embedding; empty for the first one.
        compare: Up to 4 more models, separated by semicolons, with the same kind of weights.
        scale: Brightness from the extremes of each kernel, or common to all kernels of the layer.
        limit: Kernels a page and model, 1 to 256.
        page: Which page of kernels, from 1.

    Raises:
        Declined: The layer has no kernels, its weights are not finite, or a model to compare with has no such layer.
        InvalidInput: There are fewer pages, or no such model.
    """
    pictures, captions, walls, titles, notes = [], [], [], [], []
    for kernels in [find_kernels(model, layer), *(_lent(name, model.weights, layer) for name in compare)]:
        count, title = len(kernels.weights), f"{kernels.model}, {kernels.layer}"
        pages = -(-count // limit)
        if page > pages:
            raise ts.InvalidInput("page", page, f"at most {pages}: {title} has {count} kernels, {limit} a page")
        chosen = range((page - 1) * limit, min(page * limit, count))
        drawn = [kernels.picture(k, scale) for k in chosen]
        pictures += drawn
        captions += [f"{k} · {kernels.model}" if compare else f"kernel {k}" for k in chosen]
        walls.append(ts.render.wall(drawn, gap=max(2, drawn[0].shape[0] // 16)))
        titles.append(title)
        zero = [k for k in chosen if not kernels.weights[k].any()]
        notes.append(f"{title}: {kernels.described}; page {page} of {pages}.")
        notes.append(f"All weights are zero, the pictures are empty: {', '.join(map(str, zero))}." if zero else "")
    return ts.Outputs(
        filters=ts.Captioned(ts.render.same_size(pictures), captions),
        walls=ts.Captioned(ts.render.same_size(walls), titles),
    ).note(*notes)


@dataclass
class Kernels:
    """The weights of one layer of one model, float32 [kernels, planes, height, width]; three planes may be colours."""

    model: str
    layer: str
    weights: Any
    colored: bool

    def picture(self, k: int, scale: str):
        """Kernel k: in colour, as one grey picture, or as a wall of its grey planes."""
        kernel = self.weights[k]
        extent = self.weights if scale == "common" else kernel
        extremes = float(extent.min()), float(extent.max())
        if self.colored:
            return ts.render.cells(kernel.transpose(1, 2, 0), extremes)
        if len(kernel) == 1:
            return ts.render.cells(kernel[0], extremes)
        return ts.render.enlarged(ts.render.wall([ts.render.cells(plane, extremes, TILE) for plane in kernel], gap=1))

    @property
    def described(self) -> str:
        """Number and size of the kernels, and how they are shown."""
        count, planes, height, width = self.weights.shape
        what = "in colour" if self.colored else "in grey" if planes == 1 else f"their {planes} planes in grey"
        return f"{count} kernels of {height} x {width}, {what}"


def find_kernels(model, layer: str) -> Kernels:
    """The kernels of a layer; where `layer` is empty, those of the first one that runs and has more than a pixel."""
    import torch

    names, channels = showable(model), model.config["input_size"][0]
    if (layer or not names) and layer not in names:
        more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
        raise ts.Declined(
            f"Layer {layer or 'one'} of {model.name} is no convolution and no patch embedding: it has no kernels to "
            f"show. Layers that have: {', '.join(names[:NAMED]) or 'none'}{more}."
        )
    layer = layer or next((name for name in names if shape_of(model, name) != (1, 1)), names[0])
    part = model.module.get_submodule(layer)
    weights = part.weight.detach().float().cpu()
    if isinstance(part, torch.nn.Linear):  # a patch embedding as a matrix over flattened patches
        side = patch_side(part, channels)
        holder = model.module.get_submodule(layer.rpartition(".")[0])
        colors_last = getattr(holder, "channels_last", False)
        weights = weights.unflatten(1, (side, side, channels) if colors_last else (channels, side, side))
        weights = weights.permute(0, 3, 1, 2) if colors_last else weights
    if not bool(weights.isfinite().all()):
        raise ts.Declined(f"Layer {layer} of {model.name} ({model.weights} weights) has weights that are not finite.")
    pixels = isinstance(part, torch.nn.Linear) or part.in_channels == channels
    return Kernels(model.name, layer, weights.numpy(), pixels and weights.shape[1] == 3)


def _lent(name: str, weights: str, layer: str) -> Kernels:
    with ts.lend(name, weights) as other:
        if layer and layer not in other.layers:
            raise ts.Declined(f"{other.name} has no layer {layer}; leave the layer empty to compare the first ones.")
        return find_kernels(other, layer)


def showable(model) -> list[str]:
    """The layers that have kernels, in the order of execution: convolutions, and a matrix that embeds patches."""
    from torch import nn

    parts = {name: model.module.get_submodule(name) for name in model.layers}
    found = [name for name, part in parts.items() if isinstance(part, nn.Conv2d)]
    first = next((name for name, part in parts.items() if isinstance(part, (nn.Conv2d, nn.Linear))), "")
    if isinstance(parts.get(first), nn.Linear) and patch_side(parts[first], model.config["input_size"][0]):
        found.insert(0, first)
    return found


def shape_of(model, layer: str) -> tuple[int, int]:
    """Height and width of a layer's kernels; (0, 0) for a matrix."""
    return getattr(model.module.get_submodule(layer), "kernel_size", (0, 0))


def patch_side(part, channels: int) -> int:
    """Side of the square patches that a matrix reads, in pixels; 0 where it reads none."""
    side = round((part.in_features / channels) ** 0.5)
    return side if side > 1 and side * side * channels == part.in_features else 0


@ts.hookimpl
def register_techniques(register):
    register(filters)
