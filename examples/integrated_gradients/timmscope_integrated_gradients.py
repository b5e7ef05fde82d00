"""Integrated gradients: the score of a class, split up among the pixels."""

from typing import Annotated

import timmscope as ts

TIMMSCOPE_API = 1
EVIDENCE = ts.Heatmap("heatmap", "Evidence", colors="RdBu_r", signed=True)
OUTPUTS = [EVIDENCE, ts.Picture("overlay", "Over the photo"), ts.Scores("scores", "Scores")]


@ts.technique("Integrated gradients", family="Gradients", outputs=OUTPUTS)
def integrated_gradients(
    model: ts.VisionModel,
    image: Annotated[ts.PhotoInput, ts.Photo("Photo")],
    target: Annotated[int | None, ts.Target("Class")] = None,
    steps: Annotated[int, ts.Number("Steps", 2, 256)] = 64,
) -> ts.Outputs:
    r"""How much each pixel adds to the score of a class, or takes from it.

    What you see:
        Red pixels speak for the class, blue ones against it. All values together are the score.

    How it works:
        The gradient is integrated along the straight line from black, $x'$, to the photo $x$:
        $$M_i = (x_i - x'_i) \int_0^1 \frac{\partial S_c(x' + \alpha (x - x'))}{\partial x_i} \, d\alpha$$
        The integral is a sum of `steps` gradients; the three colour channels are added.

    How to read it:
        All is relative to black: the score is what the photo has more than it, and black pixels have no part in it.

    Source:
        Sundararajan, Taly and Yan 2017, "Axiomatic Attribution for Deep Networks".

    Args:
        image: The photo to explain.
        target: Class index or label; empty for the model's top prediction.
        steps: Gradients along the line, 2 to 256.
    """
    import torch
    from captum.attr import IntegratedGradients

    seen = model.see(image)
    with torch.no_grad():
        explained = model.explain(seen.input, target)
    black = -(seen.mean / seen.std).expand_as(seen.input)
    evidence, rest = IntegratedGradients(explained).attribute(
        seen.input, black, n_steps=steps, internal_batch_size=8, return_convergence_delta=True
    )
    heatmap = ts.require_gradient(evidence, model).detach().sum(1)[0].float().cpu().numpy()
    outputs = ts.Outputs(heatmap=heatmap, overlay=seen.over(heatmap, signed=True), scores=explained.scores)
    return outputs.note(f"Class explained: {explained.label}.", f"The values miss the score by {abs(float(rest)):.2g}.")


@ts.hookimpl
def register_techniques(register):
    register(integrated_gradients)
