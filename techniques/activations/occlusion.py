"""Occlusion: cover a part of the photo and watch the predicted probability."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated

from timmscope import (
    Choice,
    Declined,
    Heatmap,
    InvalidInput,
    Number,
    Outputs,
    Photo,
    PhotoInput,
    Shown,
    Target,
    VisionModel,
    hookimpl,
    rounding,
    technique,
)

BATCH = 4  # copies a pass, always as many since the last bits depend on it: the fastest on CPUs in channels_last
PREVIEWS = 24  # at most


@technique(
    "Occlusion",
    family="Activations",
    outputs=[
        Heatmap("probability_map", "Probability when covered here", colors="turbo"),
        Heatmap("drop_map", "Drop of the probability", colors="RdBu_r", signed=True),
    ],
)
def occlusion(
    model: VisionModel,
    image: Annotated[PhotoInput, Photo("Photo")],
    target: Annotated[int | None, Target("Class")] = None,
    window: Annotated[int, Number("Window", 4, 512)] = 56,
    stride: Annotated[int, Number("Stride", 2, 256)] = 14,
    fill: Annotated[str, Choice("Fill", ("mean", "black", "blur"))] = "mean",
) -> Iterator[Outputs]:
    r"""How probable the class stays when a patch slides over the photo.

    What you see:
        The probability map is low (blue) where covering the photo takes the class away. The drop map shows the same
        as a difference: red where the patch costs probability, blue where it helps.

    How it works:
        A square patch covers the photo at every place $w$ of a grid. A pixel's value is the mean probability over
        the places $W_{ij}$ that cover it:
        $$P_{ij} = \frac{1}{|W_{ij}|} \sum_{w \in W_{ij}} p_c(I \setminus w), \qquad D_{ij} = p_c(I) - P_{ij}$$

    How to read it:
        No gradient is involved: this is what the network really answers. The patch itself is a strange thing to see,
        so try another fill or window before trusting a detail.

    Source:
        Zeiler and Fergus 2014, "Visualizing and Understanding Convolutional Networks", section 4.2.

    Args:
        image: The photo to explain.
        target: Class index or label text; empty for the model's top prediction.
        window: Side of the patch, 4 to 512 pixels of the model's input; not larger than the input.
        stride: Step between places, 2 to 256 pixels; not larger than the window, so that no pixel is left out.
        fill: What the patch shows: the data set's mean colour, black, or the photo itself, blurred.

    Raises:
        Declined: The probability is the same wherever the photo is covered, but for rounding; or scores are not finite.
        InvalidInput: The window is larger than the input, or the stride than the window.
    """
    import numpy as np
    import torch

    height, width = model.size
    if window > min(height, width):
        raise InvalidInput("window", window, f"at most {min(height, width)}, the side of the model's input")
    if stride > window:
        raise InvalidInput("stride", stride, f"at most {window}, the window, so that every pixel is covered")
    seen = model.see(image)
    cover = covering(model, image, fill)
    with torch.no_grad():
        explained = model.explain(seen.input.repeat(BATCH, 1, 1, 1), target)
    require_finite(model, explained.logits)
    what, amount = model.labels.noun.title(), "probability" if model.classifies else "share of the features"
    probability = float(explained.scores.values[explained.target])

    places = [slice(y, y + window) for y in starts(height, window, stride)]
    grid = [(rows, slice(x, x + window)) for rows in places for x in starts(width, window, stride)]
    total, count = np.zeros((height, width)), np.zeros((height, width))
    every = -(-len(grid) // BATCH // PREVIEWS) * BATCH
    for first in range(0, len(grid), BATCH):
        batch = grid[first : first + BATCH]
        covered = seen.input.repeat(BATCH, 1, 1, 1).contiguous(memory_format=torch.channels_last)
        for i, (rows, columns) in enumerate(batch):
            covered[i, :, rows, columns] = cover[0, :, rows, columns]
        with torch.no_grad():
            logits = model.logits(covered)
        require_finite(model, logits)
        alike = rounding.same(logits, explained.logits[0])
        for i, (rows, columns) in enumerate(batch):
            total[rows, columns] += probability if alike[i] else model.scores(logits[i]).values[explained.target]
            count[rows, columns] += 1
        done = first + len(batch)
        if done == len(grid) or done % max(every, BATCH) == 0:
            mean = np.where(count > 0, total / count.clip(1), probability)
            if done == len(grid) and (abs(mean - probability) <= rounding.limit(probability)).all():
                raise Declined(
                    f"{model.name} ({model.weights} weights) says the same wherever the photo is covered: the "
                    f"{amount} stays {probability:.3g} but for rounding, so there is no map to show."
                )
            yield (
                Outputs(
                    probability_map=Shown(mean, seen.over(mean)),
                    drop_map=Shown(probability - mean, seen.over(probability - mean, signed=True)),
                )
                .at(done, len(grid))
                .note(f"{what} explained: {explained.label}, {amount} {probability:.3f} uncovered.")
            )


def require_finite(model: VisionModel, logits) -> None:
    """Decline scores, of one photo or more, that are not finite."""
    if not bool(logits.isfinite().all()):
        raise Declined(f"{model.name} ({model.weights} weights) gives scores that are not finite.")


def starts(size: int, window: int, stride: int) -> list[int]:
    """First pixels of the window's places along one side; the last one may reach over the border."""
    return [i * stride for i in range(-(-(size - window) // stride) + 1)]


def covering(model: VisionModel, image: PhotoInput, fill: str):
    """What the patch shows, as a whole normalised image [1, channels, height, width]."""
    from PIL import ImageFilter

    if fill == "blur":
        picture = image.picture.filter(ImageFilter.GaussianBlur(max(image.picture.size) / 24))
    else:
        picture = image.picture.point(lambda _: 0)
    cover = model.see(replace(image, picture=picture)).input
    return cover.zero_() if fill == "mean" else cover  # the data set's mean is zero after normalisation


@hookimpl
def register_techniques(register):
    register(occlusion)
