"""Segmentation without supervision: GrabCut seeded by a saliency map."""

from collections.abc import Iterator
from typing import Annotated

import timmscope as ts

from .saliency import saliency_maps

BLUR = 4  # standard deviation, in pixels, of the blur that joins points into regions
CONTRAST = 4  # grey levels that regions differ by at least: noise and JPEG make up to 4 of one colour
BACKGROUND, PROBABLE, SURE = 0.3, 0.8, 0.95  # quantiles of the blurred map


@ts.technique(
    "Saliency segmentation",
    family="Gradients",
    outputs=[ts.Picture("cutout", "Cut-out"), ts.Heatmap("mask", "Mask")],
)
def saliency_segmentation(
    model: ts.VisionModel,
    image: Annotated[ts.PhotoInput, ts.Photo("Photo")],
    target: Annotated[int | None, ts.Target("Class")] = None,
    samples: Annotated[int, ts.Number("Samples", 1, 256)] = 32,
    iterations: Annotated[int, ts.Number("GrabCut iterations", 1, 20)] = 5,
    seed: Annotated[int, ts.Number("Seed", 0, 2**31 - 1)] = 0,
) -> Iterator[ts.Outputs]:
    r"""Cut the object out of the photo, with a network that was never taught where objects are.

    What you see:
        The part of the photo that belongs together with the pixels the class depends on, cut out on white.

    How it works:
        A SmoothGrad map is blurred into regions. Its brightest 5 % are surely object, its darkest 30 % surely
        background; the rest is undecided. GrabCut then fits a colour model to both sides and finds the cheapest
        cut between neighbouring pixels $p, q$:
        $$\min_{\alpha} \sum_p -\log P(I_p \mid \alpha_p) + \gamma \sum_{p,q} [\alpha_p \ne \alpha_q]\,
        e^{-\beta \|I_p - I_q\|^2}$$

    How to read it:
        A clean cut-out means that the evidence and the object's colours agree. Where only a part is cut out, such as
        the eyes of a cat, that part is what the class hangs on.

    Source:
        Simonyan, Vedaldi and Zisserman 2013, section 3.2; Rother, Kolmogorov and Blake 2004, "GrabCut".

    Args:
        image: The photo to segment.
        target: Class index or label text; empty for the model's top prediction.
        samples: Noisy copies of the SmoothGrad map, 1 to 256.
        iterations: Rounds of GrabCut, 1 to 20.
        seed: Seed of the noise and of GrabCut's colour models.

    Raises:
        Declined: The map or the photo is too uniform to tell object from background.
    """
    import numpy as np

    require_contrast(model.see(image).pixels)
    for heat, done, seen, explained in saliency_maps(model, image, target, samples, 0.15, seed):
        mask = cut(seen.pixels, heat, iterations, seed) if done == samples else None
        shown = np.ones(heat.shape, bool) if mask is None else mask
        cutout = np.where(shown[..., None], seen.pixels, 255).astype(np.uint8)
        preview = heat / heat.max() if mask is None else mask.astype(np.float32)
        yield (
            ts.Outputs(cutout=cutout, mask=preview)
            .at(done, samples)
            .note(f"{model.labels.noun.title()} segmented: {explained.label}.")
        )


def require_contrast(pixels):
    """Decline a photo, uint8 [height, width, 3], whose regions all have one colour, whatever the single pixels have."""
    import cv2
    import numpy as np

    regions = cv2.GaussianBlur(np.asarray(pixels, np.float32), (0, 0), BLUR)
    found = float(np.ptp(regions, axis=(0, 1)).max())
    if found < CONTRAST:
        raise ts.Declined(
            "The photo is too uniform to tell object from background: its regions differ by "
            f"{found:.1f} of 255 grey levels, and {CONTRAST} are the least that says anything."
        )


def cut(pixels, heat, iterations: int, seed: int):
    """GrabCut from a heat map.

    Args:
        pixels: The photo, uint8 [height, width, 3].
        heat: Where the object is likely, [height, width].
        iterations: Rounds of GrabCut.
        seed: Seed of the colour models.

    Returns:
        True where the object is, bool [height, width].
    """
    import cv2
    import numpy as np

    smooth = cv2.GaussianBlur(np.asarray(heat, np.float32), (0, 0), BLUR)
    background, probable, sure = np.quantile(smooth, [BACKGROUND, PROBABLE, SURE])
    labels = np.full(smooth.shape, cv2.GC_PR_BGD, np.uint8)
    labels[smooth > probable] = cv2.GC_PR_FGD
    labels[smooth > sure] = cv2.GC_FGD
    labels[smooth < background] = cv2.GC_BGD
    if ts.rounding.constant(smooth) or not {cv2.GC_BGD, cv2.GC_FGD} <= set(np.unique(labels)):
        raise ts.Declined("The saliency map is too uniform to tell object from background in this photo.")
    cv2.setRNGSeed(seed)  # OpenCV keeps one generator per thread
    models = np.zeros((1, 65)), np.zeros((1, 65))
    nowhere = (0, 0, 0, 0)  # the labels say where
    cv2.grabCut(np.ascontiguousarray(pixels[..., ::-1]), labels, nowhere, *models, iterations, cv2.GC_INIT_WITH_MASK)
    return (labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD)


@ts.hookimpl
def register_techniques(register):
    register(saliency_segmentation)
