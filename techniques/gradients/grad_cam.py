"""Grad-CAM: where in the photo the evidence for a class lies, class by class."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated

import timmscope as ts


@ts.technique(
    "Grad-CAM",
    family="Gradients",
    outputs=[
        ts.Heatmaps("heatmaps", "Class activation", colors="turbo"),
        ts.Gallery("overlay", "Over the photo"),
        ts.Scores("scores", "Scores"),
    ],
)
def grad_cam(
    model: ts.VisionModel,
    image: Annotated[ts.PhotoInput, ts.Photo("Photo")],
    targets: Annotated[Sequence[int], ts.Targets("Classes")] = (),
    layer: Annotated[str, ts.Layer("Layer")] = "",
    guided: Annotated[bool, ts.Switch("Guided Grad-CAM")] = False,
) -> ts.Outputs:
    r"""Where the evidence for a class lies; for several classes side by side.

    What you see:
        One heat map per class: red where the layer's features speak for it, blue where they say nothing. With several
        classes, say a dog and a cat in one photo, each lights up its own place.

    How it works:
        Each channel $A^k$ of the layer is weighed by the mean of its gradient, and the weighted sum is rectified:
        $$L^c = \mathrm{ReLU}\Big(\sum_k \alpha_k^c A^k\Big), \qquad
        \alpha_k^c = \frac{1}{Z} \sum_{i,j} \frac{\partial S_c}{\partial A^k_{ij}}$$
        The map is enlarged to the input bilinearly. Of token models, the tokens are put back on their grid.
        Guided Grad-CAM multiplies the map with guided backpropagation for the same class, for fine detail.

    How to read it:
        The map is as coarse as the layer (7 x 7 in most networks). An empty map means that nothing in this layer
        speaks for the class. Classes compete: compare two before believing one.

    Source:
        Selvaraju et al. 2017, "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based Localization".

    Args:
        image: The photo to explain.
        targets: Up to 6 class indices or labels, separated by semicolons; empty for the model's top prediction.
        layer: Name of a layer with a spatial grid; empty for the last one that reaches the score.
        guided: Show guided Grad-CAM in the overlay: fine detail instead of a colour map.

    Raises:
        Declined: The layer has no spatial grid, or the class has no gradient there.
    """
    import numpy as np
    import torch

    model.batch(1)
    seen = model.see(image)
    with torch.no_grad():
        first = model.explain(seen.input, targets[0] if targets else None)
    classes = [replace(first, target=target) for target in targets] or [first]
    captions = [explained.label for explained in classes]
    maps = [class_activation(model, layer, explained, seen.input) for explained in classes]
    overlays = [
        _guided(model, explained, seen, heat) if guided else seen.over(heat) for explained, heat in zip(classes, maps)
    ]
    empty = [label for label, heat in zip(captions, maps) if not heat.any()]
    return ts.Outputs(
        heatmaps=ts.Captioned(np.stack(maps), captions),
        overlay=ts.Captioned(overlays, captions),
        scores=first.scores,
    ).note(*(f"Nothing in {layer} speaks for {label}: its map is empty." for label in empty))


def class_activation(model, layer: str, score: ts.Explained, image):
    """L^c of one class on one image, float32 [height, width] of the input."""
    import torch.nn.functional as F
    from captum.attr import LayerGradCam

    with model.probe(layer) as probe:
        parts = LayerGradCam(score, probe).attribute(image.requires_grad_(), attr_dim_summation=False).detach()
    if not bool(parts.any()):
        raise ts.Declined(
            f"Layer {layer} of {model.name} ({model.weights} weights) is zero everywhere, or has no gradient for this "
            "class: there is nothing to show."
        )
    ts.require_gradient(parts, model)
    cam, magnitude = parts.sum(1, keepdim=True), float(parts.abs().sum(1).max())
    if cam.numel() > 1 and ts.rounding.constant(cam, magnitude):
        raise ts.Declined(
            f"Layer {layer} of {model.name} ({model.weights} weights) has the same values at every place, so it cannot "
            "tell where the evidence lies. An earlier layer may."
        )
    evidence = F.threshold(cam, ts.rounding.limit(magnitude), 0)  # the rectifier, with what is zero but for rounding
    cam = F.interpolate(evidence, model.size, mode="bilinear", align_corners=False)
    return cam[0, 0].cpu().numpy()


def _guided(model, score: ts.Explained, seen, cam):
    from timmscope.gradients import guided_gradient

    return ts.render.gradient_picture(guided_gradient(model, score, seen.input, "guided").cpu().numpy() * cam)


@ts.hookimpl
def register_techniques(register):
    register(grad_cam)
