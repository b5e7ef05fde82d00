"""Activation maps: what each unit of a layer answers, everywhere in the photo."""

from typing import Annotated

import timmscope as ts


@ts.technique(
    "Activation maps",
    family="Activations",
    outputs=[
        ts.LayerMaps("maps", "Units (click one)", columns=8, selects="unit", crisp=True),
        ts.Picture("overlay", "One unit over the photo"),
    ],
)
def activation_maps(
    model: ts.VisionModel,
    image: Annotated[ts.PhotoInput, ts.Photo("Photo")],
    layer: Annotated[str, ts.Layer("Layer")] = "",
    unit: Annotated[int | None, ts.Unit("Unit over the photo")] = None,
    sort: Annotated[str, ts.Choice("Order", ("index", "max", "mean"))] = "index",
    scale: Annotated[str, ts.Choice("Brightness", ("each", "common"))] = "each",
    limit: Annotated[int, ts.Number("Maps", 1, 256)] = 64,
    page: Annotated[int, ts.Number("Page", 1, 10_000)] = 1,
) -> ts.Outputs:
    r"""The output of a layer on the photo, one grey map per unit, and one unit over the photo.

    What you see:
        A wall of small maps: each pixel is one cell of the layer, white where the unit answers most. The second picture
        lays one unit over the photo, red where it answers most; a click on a map chooses it.

    How it works:
        A layer turns the photo into channels $A^k$, each of $h \times w$ cells. Map $k$ is
        $$255 \cdot \frac{A^k_{ij} - \min A}{\max A - \min A}$$
        with the extremes of that map alone (brightness "each") or of all units of the layer ("common"). Of token
        models, the tokens are put back on their grid; the class token has no place and is left out.

    How to read it:
        Early layers answer to edges and colours all over the photo, late ones in few places. With brightness "each"
        every map uses the whole range, so compare the numbers below and not the greys. Behind a rectifier black is
        zero; elsewhere black is the lowest value, which may be negative. A unit that is zero everywhere is black.

    Source:
        Yosinski et al. 2015, "Understanding Neural Networks Through Deep Visualization".

    Args:
        image: The photo.
        layer: Name of a layer with a spatial grid; empty for the last one that reaches the score.
        unit: Channel to lay over the photo, by index; -1 for the one with the largest value.
        sort: Order of the maps: by index, or by the largest or the mean value, largest first.
        scale: Brightness from the extremes of each map, or common to all units of the layer.
        limit: Maps per page, 1 to 256.
        page: Which page of maps, from 1.

    Raises:
        Declined: The layer has no spatial grid, or its values are not finite.
        InvalidInput: The layer has no such unit, or there are fewer pages.
    """
    import numpy as np

    grid, seen = model.grid(layer), model.see(image)
    maps = layer_output(model, layer, seen.input)
    pages = -(-len(maps) // limit)
    if page > pages:
        raise ts.InvalidInput("page", page, f"at most {pages}: {layer} has {len(maps)} units, {limit} a page")
    largest, mean = maps.max((1, 2)), maps.mean((1, 2), dtype=np.float64)
    rank = {"index": np.arange(len(maps)), "max": -largest, "mean": -mean}[sort]
    order = np.argsort(rank, kind="stable")[(page - 1) * limit : page * limit].tolist()
    extremes = (maps.min(), maps.max()) if scale == "common" else None
    dead = [k for k in range(len(maps)) if not maps[k].any()]
    captions = [f"unit {k}: {'zero' if not maps[k].any() else f'max {largest[k]:.3g}'}" for k in order]
    shown = [ts.Shown(maps[k], ts.render.cells(maps[k], extremes)) for k in order]
    chosen = int(largest.argmax()) if unit is None else unit
    return ts.Outputs(maps=ts.Captioned(shown, captions, order), overlay=seen.over(maps[chosen])).note(
        f"{layer}: {grid.channels} units of {grid.height} x {grid.width} cells; page {page} of {pages}.",
        f"Over the photo: unit {chosen}, from {maps[chosen].min():.3g} to {largest[chosen]:.3g}, "
        f"mean {mean[chosen]:.3g}.",
        f"{len(dead)} of {len(maps)} units are zero everywhere, their maps are empty: {_listed(dead)}." if dead else "",
    )


def layer_output(model, layer: str, images):
    """The layer's output on one image, float32 [units, rows, columns]."""
    import torch

    with model.record(layer) as outputs, torch.no_grad():
        model.module(images)
    maps = model.grid(layer).gather(outputs[layer])[0].float().cpu()
    if not bool(maps.isfinite().all()):
        raise ts.Declined(f"Layer {layer} of {model.name} ({model.weights} weights) has values that are not finite.")
    return maps.contiguous().numpy()


def _listed(units: list[int], count: int = 12) -> str:
    return ", ".join(map(str, units[:count])) + (", ..." if len(units) > count else "")


@ts.hookimpl
def register_techniques(register):
    register(activation_maps)
