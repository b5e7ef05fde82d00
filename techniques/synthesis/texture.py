"""Texture: a new picture with the same texture, from the correlations of features."""

from collections.abc import Iterator, Sequence
from typing import Annotated

import timmscope as ts

KNOWN = ("bn1", "blocks.1.0.bn1", "blocks.2.0.bn1", "blocks.3.0.bn1", "blocks.4.0.bn1")
DEPTHS = (0, 0.2, 0.4, 0.6, 0.8)
SOURCE = 224  # side of the sample that the network sees, in pixels


@ts.technique(
    "Texture",
    family="Synthesis",
    gpu_seconds=lambda steps: 8 + steps / 20,
    outputs=[ts.Picture("texture", "Texture"), ts.Curves("gram_loss", "Gram loss, layer by layer")],
)
def texture(
    model: ts.VisionModel,
    image: Annotated[ts.PhotoInput, ts.Photo("Texture", seen=False)],
    layers: Annotated[Sequence[str], ts.Layers("Layers", depths=DEPTHS, known=KNOWN)] = (),
    size: Annotated[int, ts.Number("Size", 32, 768)] = 224,
    steps: Annotated[int, ts.Number("Steps", 1, 2000)] = 170,
    seed: Annotated[int, ts.Number("Seed", 0, 2**31 - 1)] = 0,
) -> Iterator[ts.Outputs]:
    r"""More of the same texture, at any size, from nothing but which features occur together.

    What you see:
        A new picture with the bricks, grass or fur of the sample, but not its arrangement.

    How it works:
        The Gram matrix of a layer tells which of its channels are active together, wherever in the picture. From noise,
        an image is sought with the Gram matrices of the sample at several layers:
        $$\min_x \frac{1}{L} \sum_l \frac{\lVert G^l(x) - G^l_0 \rVert^2}{\lVert G^l_0 \rVert^2}, \qquad
        G^l = \frac{1}{h w} F^l {F^l}^{\top}$$
        $F^l$ holds a row per channel and a column per place. Since $G$ knows no place, the picture may have any size.
        It is solved on a Fourier canvas by L-BFGS.

    How to read it:
        What comes back is what the network counts as texture. Early layers alone give colour and grain; deep ones add
        shapes, and in the end copy the arrangement. A pattern larger than a layer's field of view falls apart. The loss
        is that of the picture before it is rounded to 8 bit, which adds a little where the loss is small.

    Source:
        Gatys, Ecker and Bethge 2015, "Texture Synthesis Using Convolutional Neural Networks".

    Args:
        image: The sample; its middle square is used.
        layers: Up to 8 names of layers, separated by semicolons; empty for five at growing depth.
        size: Side of the new picture, 32 to 768 pixels; the sample is seen at 224.
        steps: Evaluations of the objective after that of the start, 1 to 2000; the best picture is kept.
        seed: Seed of the noise.

    Raises:
        Declined: A layer has neither a grid nor one value per unit.
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
        relative_distance,
        square,
        to_tensor,
    )

    sample = to_tensor(square(image.picture, SOURCE)).to(model.device)
    with torch.no_grad():
        found = Features(Network(model, (SOURCE, SOURCE)), layers)(sample)
        wanted = {layer: gram(values) for layer, values in found.items()}
    canvas = Fourier(None, (1, size, size), torch.Generator().manual_seed(seed), model.device)
    features = Features(Network(model, (size, size)), layers)

    def loss(x):
        return {
            layer: relative_distance(gram(values), wanted[layer]) / len(layers) for layer, values in features(x).items()
        }

    optimizer = lbfgs(canvas.parameters)
    for step in optimize(canvas, loss, optimizer, steps, scale=LBFGS_SCALE):
        total = sum(curve[-1] for curve in step.curves.values())
        outputs = ts.Outputs(texture=step.pictures[0], gram_loss=step.curves).at(step.done, steps)
        yield outputs.note(f"Gram loss {total:.2g} over {', '.join(layers)}.")


@ts.hookimpl
def register_techniques(register):
    register(texture)
