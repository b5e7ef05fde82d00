"""Feature inversion: what a layer still knows of a photo."""

import math
from collections.abc import Iterator, Sequence
from typing import Annotated

import timmscope as ts

KNOWN, DEPTHS = ("blocks.0", "blocks.2", "blocks.4"), (0, 0.35, 0.7)


@ts.technique(
    "Feature inversion",
    family="Synthesis",
    gpu_seconds=lambda layers, steps: 8 + (len(layers) or 3) * steps / 20,
    outputs=[ts.Gallery("reconstructions", "Reconstructions, layer by layer"), ts.Curves("objective", "Objective")],
)
def feature_inversion(
    model: ts.VisionModel,
    image: Annotated[ts.PhotoInput, ts.Photo("Photo")],
    layers: Annotated[Sequence[str], ts.Layers("Layers", depths=DEPTHS, known=KNOWN)] = (),
    tv: Annotated[float, ts.Number("Total variation", 0, 10)] = 1,
    beta: Annotated[float, ts.Number("Beta", 1, 3)] = 2,
    steps: Annotated[int, ts.Number("Steps", 1, 2000)] = 130,
    seed: Annotated[int, ts.Number("Seed", 0, 2**31 - 1)] = 0,
) -> Iterator[ts.Outputs]:
    r"""What a layer still knows of a photo: pictures made from its features alone.

    What you see:
        The photo as the network sees it, then a picture for each layer that has the same features there. Early layers
        keep every hair; with depth colours, places and outlines are let go, and what is left is what matters.

    How it works:
        From noise, an image $x$ is sought whose features $\Phi(x)$ are the photo's, among the smooth ones:
        $$\min_x \frac{\lVert \Phi(x) - \Phi_0 \rVert^2}{\lVert \Phi_0 \rVert^2} + \lambda R(x), \qquad
        R(x) = \frac{1}{n} \sum_{i,j} \big( (x_{i,j+1} - x_{ij})^2 + (x_{i+1,j} - x_{ij})^2 \big)^{\beta / 2}$$
        It is solved on a Fourier canvas by L-BFGS. Where a layer ends in an activation that saturates, $\Phi$ is
        the value before it.

    How to read it:
        What differs from the photo is what the layer does not know, or not care about. PSNR, in decibels, measures
        pixels: it falls with depth, and below about 16 it ranks nothing (plain grey scores 15).

    Source:
        Mahendran and Vedaldi 2015, "Understanding Deep Image Representations by Inverting Them".

    Args:
        image: The photo to invert.
        layers: Up to 8 names of layers, separated by semicolons; empty for three at growing depth.
        tv: Weight of the total variation, 0 to 10.
        beta: Exponent of the total variation, 1 to 3: small ones keep edges.
        steps: Evaluations of the objective per layer after that of the start, 1 to 2000; the best picture is kept.
        seed: Seed of the noise.

    Raises:
        Declined: A layer has neither a grid nor one value per unit.
    """
    import numpy as np
    import torch

    from timmscope.synthesis import (
        LBFGS_SCALE,
        Features,
        Fourier,
        Network,
        lbfgs,
        optimize,
        regularizers,
        relative_distance,
    )

    seen, network = model.see(image), Network(model, model.size)
    photo = torch.from_numpy(seen.pixels).to(model.device).permute(2, 0, 1)[None] / 255

    def invert(layer, features):
        with torch.no_grad():
            wanted = features(photo)[layer]
        canvas = Fourier(None, (1, *model.size), torch.Generator().manual_seed(seed), model.device)

        def loss(x):
            return {"features": relative_distance(features(x)[layer], wanted)}

        def smooth(x):
            return {"total variation": tv * regularizers.total_variation(x, beta)}

        optimizer = lbfgs(canvas.parameters)
        return optimize(canvas, loss, optimizer, steps, regularizers=smooth, scale=LBFGS_SCALE)

    pictures, captions = [seen.pixels], ["Photo"]
    objective: dict[str, list[float]] = {}
    said: list[str] = []
    readers = {layer: Features(network, [layer], before_activation=True) for layer in layers}  # all, or none is begun
    for i, (layer, features) in enumerate(readers.items()):
        for step in invert(layer, features):
            error = float(np.square(step.pictures[0] / 255.0 - seen.pixels / 255.0).mean())
            caption = f"{layer}: {psnr(error):.1f} dB"
            total = [sum(terms) for terms in zip(*step.curves.values())]
            shown = ts.Captioned(np.stack([*pictures, step.pictures[0]]), [*captions, caption])
            outputs = ts.Outputs(reconstructions=shown, objective={layer: total}).at(
                i * steps + step.done, len(layers) * steps
            )
            note = f"{caption}, objective {total[-1]:.3g}."
            if not step.last:
                yield outputs.note(*said, note)
        said.append(note)
        pictures, captions = list(shown.items), shown.captions
        objective[layer] = total
    outputs["objective"] = objective
    yield outputs.note(*said)


def psnr(error: float) -> float:
    """Peak signal-to-noise ratio of a mean squared error of pixels from 0 to 1, in decibels, at most 99."""
    return -10 * math.log10(max(error, 10**-9.9))


@ts.hookimpl
def register_techniques(register):
    register(feature_inversion)
