"""One technique in one file: the function, its declaration, and the hook that registers it."""

from typing import Annotated

from timmscope import Heatmap, Layer, Outputs, Photo, PhotoInput, Picture, VisionModel, hookimpl, technique

TIMMSCOPE_API = 1  # the plugin API this was written for


@technique(
    "My technique",
    family="Activations",
    outputs=[Heatmap("heatmap", "Activity", colors="turbo"), Picture("overlay", "Over the photo")],
)
def my_technique(
    model: VisionModel,
    image: Annotated[PhotoInput, Photo("Photo")],
    layer: Annotated[str, Layer("Layer")] = "",
) -> Outputs:
    r"""How active a layer is, place by place.

    What you see:
        Red where the units of the layer answer strongly to the photo, blue where they are silent.

    How it works:
        The layer's output $A$ has $K$ channels; their mean magnitude is shown, enlarged bilinearly:
        $$M_{ij} = \frac{1}{K} \sum_k |A^k_{ij}|$$

    How to read it:
        Activity says that something is there, not which class it speaks for. Early layers answer to edges everywhere.

    Source:
        Where the idea comes from: author, year, title.

    Args:
        image: The photo to look at.
        layer: Name of a layer with a spatial grid; empty for the last one that reaches the score.

    Raises:
        Declined: The layer has no spatial grid.
    """
    import torch
    import torch.nn.functional as F

    seen = model.see(image)
    with torch.no_grad(), model.record(layer) as outputs:
        model.logits(seen.input)
    grid = model.layers[layer].grid.gather(outputs[layer])
    activity = grid.abs().mean(dim=1, keepdim=True)
    heatmap = F.interpolate(activity, model.size, mode="bilinear", align_corners=False)[0, 0].cpu().numpy()
    return Outputs(heatmap=heatmap, overlay=seen.over(heatmap))


@hookimpl
def register_techniques(register):
    register(my_technique)
