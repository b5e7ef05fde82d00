"""The synthesis engine: every synthesised image is

    canvas          how the image is parameterised          canvases
    objective       what it is optimised for                objectives
    transforms      what the network sees of it             transforms
    regularizers    what keeps it natural                   regularizers
    optimizer       how it changes                          optimizers
    one loop        that runs them and yields previews      loop

and techniques differ only in what they put in. Import it inside functions: it loads torch.
"""

from . import projections, regularizers, transforms
from .canvases import Canvas, Fourier, Maco, Pixels, natural_magnitude
from .images import resized, scaled, square, to_tensor, to_uint8
from .loop import Step, ascend, optimize
from .network import Features, Network
from .objectives import (
    Answers,
    Objective,
    Score,
    channel,
    class_score,
    direction,
    energy,
    feature_distance,
    gram,
    gram_distance,
    neuron,
    relative_distance,
)
from .optimizers import LBFGS_SCALE, Descent, lbfgs
from .transforms import Transform

__all__ = [
    "LBFGS_SCALE",
    "Answers",
    "Canvas",
    "Descent",
    "Features",
    "Fourier",
    "Maco",
    "Network",
    "Objective",
    "Pixels",
    "Score",
    "Step",
    "Transform",
    "ascend",
    "channel",
    "class_score",
    "direction",
    "energy",
    "feature_distance",
    "gram",
    "gram_distance",
    "lbfgs",
    "natural_magnitude",
    "neuron",
    "optimize",
    "projections",
    "regularizers",
    "relative_distance",
    "resized",
    "scaled",
    "square",
    "to_tensor",
    "to_uint8",
    "transforms",
]
