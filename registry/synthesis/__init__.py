"""The synthesis engine: every synthesised image is

    canvas          how the image is parameterised          canvases
    objective       what it is optimised for                objectives
    transforms      what the network sees of it             transforms
    regularizers    what keeps it natural                   regularizers
    optimizer       how it changes                          optimizers
    one loop        that runs them and yields previews      loop

and techniques differ only in what they put in. Import it inside functions: it loads torch.
"""

from . import objectives, optimizers, projections, regularizers, transforms
from .canvases import Fourier, Maco, Pixels, natural_magnitude
from .goal import Goal
from .images import resized, scaled, square, to_tensor, to_uint8
from .loop import Step, optimize
from .network import Features, Network

__all__ = [
    "Features",
    "Fourier",
    "Goal",
    "Maco",
    "Network",
    "Pixels",
    "Step",
    "natural_magnitude",
    "objectives",
    "optimize",
    "optimizers",
    "projections",
    "regularizers",
    "resized",
    "scaled",
    "square",
    "to_tensor",
    "to_uint8",
    "transforms",
]
