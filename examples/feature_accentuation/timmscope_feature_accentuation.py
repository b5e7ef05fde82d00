"""Feature accentuation: a photo in which a unit finds more of what it looks for, and little else has changed."""

from typing import Annotated

import timmscope as ts

TIMMSCOPE_API = 1
OUTPUTS = [ts.Picture("image", "Accentuated"), ts.Picture("original", "Photo"), ts.Curves("objective", "Objective")]


@ts.technique("Feature accentuation", family="Synthesis", outputs=OUTPUTS, gpu_seconds=10)
def feature_accentuation(
    model: ts.VisionModel,
    image: Annotated[ts.PhotoInput, ts.Photo("Photo")],
    layer: Annotated[str, ts.Layer("Layer", depth=0.7)] = "",
    unit: Annotated[int | None, ts.Unit("Unit")] = None,
    likeness: Annotated[float, ts.Number("Likeness", 0, 100)] = 5,
    steps: Annotated[int, ts.Number("Steps", 1, 500)] = 60,
):
    r"""More of what a unit answers to in this photo.

    What you see:
        The photo with what the unit answers to drawn stronger.

    How it works:
        $\max_x f(x) - \lambda \lVert \Phi(x) - \Phi_0 \rVert^2 / \lVert \Phi_0 \rVert^2$ from the photo, in its
        spectrum; $f$ is the unit, $\Phi$ are the features of the network's first stage.

    How to read it:
        What is new is what the unit looks for in such a photo. Without likeness it is drawn over the photo.

    Source:
        Hamblin, Fel et al. 2024, "Feature Accentuation: Revealing 'What' Features Respond to in Natural Images".

    Args:
        image: The photo to begin with.
        layer: Name of a layer; empty for one at about two thirds of the depth.
        unit: Channel of the layer, by index; -1 for the one the photo excites most.
        likeness: Weight of the features that are to stay, 0 to 100.
        steps: Changes of the picture, 1 to 500.
    """
    import torch

    seen, network, first = model.see(image), ts.synthesis.Network(model, model.size), model.stages[0]
    photo = torch.from_numpy(seen.pixels).to(model.device).permute(2, 0, 1)[None] / 255
    unit = model.neuron(seen.input, layer, unit, None).unit
    before = ts.synthesis.Features(network, [first], before_activation=True)(photo)[first].detach()
    objective = ts.synthesis.channel(layer, unit) - likeness * ts.synthesis.feature_distance(first, before)
    canvas, noisy = ts.synthesis.Fourier(photo), ts.synthesis.transforms.noise(0.02, torch.Generator().manual_seed(0))
    optimizer = torch.optim.Adam(canvas.parameters, 0.03)
    for step in ts.synthesis.ascend(canvas, objective.on(network), optimizer, steps, noisy):
        curve = [-value for value in step.curves["-S"]]
        outputs = ts.Outputs(image=step.pictures[0], original=seen.pixels, objective={"S": curve})
        yield outputs.at(step.done, steps).note(f"{layer}, unit {unit}: {curve[0]:.3g} became {curve[-1]:.3g}.")


@ts.hookimpl
def register_techniques(register):
    register(feature_accentuation)
