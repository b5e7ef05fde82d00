"""Guided backpropagation: the gradient of a neuron to the pixels, with only the positive parts passed on."""

from typing import Annotated

import timmscope as ts


@ts.technique(
    "Guided backprop",
    family="Gradients",
    outputs=[ts.Heatmap("heatmap", "Magnitude"), ts.Picture("overlay", "Gradient in colour (grey is zero)")],
)
def guided_backprop(
    model: ts.VisionModel,
    image: Annotated[ts.PhotoInput, ts.Photo("Photo")],
    layer: Annotated[str, ts.Layer("Layer", optional=True)] = "",
    unit: Annotated[int | None, ts.Unit("Unit")] = None,
    position: Annotated[tuple | None, ts.Position("Position")] = None,
    rule: Annotated[str, ts.Choice("Rule", ("guided", "deconvnet", "gradient"))] = "guided",
    open_top: Annotated[bool, ts.Switch("Pass through saturation")] = False,
    target: Annotated[int | None, ts.Target("Class")] = None,
) -> ts.Outputs:
    r"""Which strokes of the photo excite one neuron, or a whole class, with everything that inhibits left out.

    What you see:
        Sharp outlines in colour, on grey for zero: eyes, edges and textures that the neuron answers to. The second
        picture is the magnitude, bright where the gradient is strong.

    How it works:
        The gradient of one neuron (a layer's unit at a position), or of the class score, goes back to the pixels. At
        every activation $y = a(x)$ only positive gradients pass:
        $$\frac{\partial f}{\partial x} = a'(x) \cdot \max\!\left(0, \frac{\partial f}{\partial y}\right)$$
        The deconvnet rule leaves out $a'(x)$; the rule "gradient" is the plain gradient. For ReLU and ReLU6 this is
        the published rule exactly; for GELU, SiLU and other smooth activations $a'$ is their own derivative. Where all
        activations are `nn.ReLU`, Captum computes it; it knows no others, and for these the rule is timmscope's own.

    How to read it:
        It shows what in this photo the neuron looks at, sharply. It is partly an edge detector: the pictures change
        little with the class, so compare with random weights. ReLU6 stops the gradient of saturated cells; "pass
        through saturation" lets it through, which is no longer the exact rule, but cleaner.

    Source:
        Springenberg et al. 2015, "Striving for Simplicity"; Zeiler and Fergus 2014 (deconvnet); Adebayo et
        al. 2018 (sanity check).

    Args:
        image: The photo to explain.
        layer: Name of a layer; empty explains the class score instead of a neuron.
        unit: Channel of the layer, by index; -1 for the one the photo excites most.
        position: Row and column in the layer's output, such as "3, 5"; empty for the most excited place.
        rule: guided, deconvnet or gradient.
        open_top: Let the gradient pass where an activation saturates from above (ReLU6 at 6).
        target: Class index or label text, when no layer is given; empty for the model's top prediction.

    Raises:
        Declined: The network has nothing to guide before this point, or the gradient is zero.
        InvalidInput: The layer has no such unit or position.
    """
    from timmscope.gradients import guided_gradient

    seen = model.see(image)
    score = model.neuron(seen.input, layer, unit, position) if layer else model.explain(seen.input, target)
    gradient = guided_gradient(model, score, seen.input, rule, open_top).cpu().numpy()
    return ts.Outputs(heatmap=abs(gradient).max(axis=0), overlay=ts.render.gradient_picture(gradient)).note(
        f"Explained: {score.label}."
    )


@ts.hookimpl
def register_techniques(register):
    register(guided_backprop)
