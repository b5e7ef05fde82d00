"""Style transfer: the content of one picture in the texture of another."""

from collections.abc import Iterator
from typing import Annotated

import timmscope as ts

from .texture import DEPTHS, KNOWN

CONTENT, CONTENT_DEPTH = ("blocks.3.0.bn1",), 0.6


@ts.technique(
    "Style transfer",
    family="Synthesis",
    gpu_seconds=lambda steps: 8 + steps / 20,
    outputs=[ts.Picture("image", "Content in the style"), ts.Curves("losses", "Losses")],
)
def style_transfer(
    model: ts.VisionModel,
    content: Annotated[ts.PhotoInput, ts.Photo("Content", seen=False)],
    style: Annotated[ts.PhotoInput, ts.Photo("Style", seen=False, sample="flower")],
    content_weight: Annotated[float, ts.Number("Content weight", 0, 10)] = 0.03,
    style_weight: Annotated[float, ts.Number("Style weight", 0, 10)] = 1,
    tv: Annotated[float, ts.Number("Total variation", 0, 10)] = 0,
    start: Annotated[str, ts.Choice("Start", ("content", "noise"))] = "content",
    size: Annotated[int, ts.Number("Size", 32, 768)] = 256,
    steps: Annotated[int, ts.Number("Steps", 1, 2000)] = 90,
    seed: Annotated[int, ts.Number("Seed", 0, 2**31 - 1)] = 0,
) -> Iterator[ts.Outputs]:
    r"""One picture painted in the style of another.

    What you see:
        The things of the first picture, in the colours, strokes and patterns of the second.

    How it works:
        Feature inversion of one picture $c$ and texture synthesis of another $s$ at once:
        $$\min_x \; \alpha \frac{\lVert \Phi(x) - \Phi(c) \rVert^2}{\lVert \Phi(c) \rVert^2}
        + \frac{\beta}{L} \sum_l \frac{\lVert G^l(x) - G^l(s) \rVert^2}{\lVert G^l(s) \rVert^2} + \lambda R(x)$$
        $\Phi$ are the features of one middle layer, $G^l$ the Gram matrices of five layers, and $R$ is the total
        variation. It is solved on a Fourier canvas by L-BFGS, from the content or from noise.

    How to read it:
        Only the ratio of the weights counts: content 0.003 gives a strong style, 0.03 a balance, 0.3 a weak one. That
        it works shows that content and style are apart in the network.

    Source:
        Gatys, Ecker and Bethge 2016, "Image Style Transfer Using Convolutional Neural Networks".

    Args:
        content: The picture to paint; the result has its aspect.
        style: The picture whose style is taken.
        content_weight: Weight of the content's features, 0 to 10.
        style_weight: Weight of the style's Gram matrices, 0 to 10.
        tv: Weight of the total variation, 0 to 10: more is smoother.
        start: content or noise.
        size: Longer side of the result and of the style, 32 to 768 pixels.
        steps: Evaluations of the objective after that of the start, 1 to 2000; the best picture is kept.
        seed: Seed of the noise to start from.

    Raises:
        Declined: The model has no layer with a grid.
        InvalidInput: The weights of content and style are both zero.
    """
    import torch

    from timmscope.synthesis import (
        LBFGS_SCALE,
        Features,
        Fourier,
        Network,
        gram,
        lbfgs,
        optimize,
        regularizers,
        relative_distance,
        scaled,
        to_tensor,
    )

    if not content_weight and not style_weight:
        raise ts.InvalidInput("style_weight", style_weight, "more than 0 when the content's weight is 0")
    (content_layer,), style_layers = model.at_depths(CONTENT, (CONTENT_DEPTH,)), model.at_depths(KNOWN, DEPTHS)

    def features(image):
        network = Network(model, tuple(image.shape[2:]))
        return Features(network, list(dict.fromkeys([content_layer, *style_layers])))

    photo, painting = (to_tensor(scaled(picture.picture, size)).to(model.device) for picture in (content, style))
    see = features(photo)
    with torch.no_grad():
        things = see(photo)[content_layer]
        grams = {layer: gram(values) for layer, values in features(painting)(painting).items()}
    noise = torch.Generator().manual_seed(seed)
    canvas = Fourier(photo if start == "content" else None, (1, *photo.shape[2:]), noise, model.device)

    def loss(x):
        seen = see(x)
        strokes = sum(relative_distance(gram(seen[layer]), grams[layer]) for layer in style_layers) / len(style_layers)
        return {
            "content": content_weight * relative_distance(seen[content_layer], things),
            "style": style_weight * strokes,
            "total variation": tv * regularizers.total_variation(x),
        }

    optimizer = lbfgs(canvas.parameters)
    for step in optimize(canvas, loss, optimizer, steps, scale=LBFGS_SCALE, must_move=False):
        losses = ", ".join(f"{name} {curve[-1]:.2g}" for name, curve in step.curves.items())
        yield (
            ts.Outputs(image=step.pictures[0], losses=step.curves)
            .at(step.done, steps)
            .note(f"Weighted losses: {losses}.")
        )


@ts.hookimpl
def register_techniques(register):
    register(style_transfer)
