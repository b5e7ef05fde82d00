"""Occlusion: cover a part of the photo and watch the predicted probability."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated

import timmscope as ts

BATCH = 4  # copies per pass, always as many since the last bits depend on it: the fastest on CPUs in channels_last
PREVIEWS = 24  # at most


@ts.technique(
    "Occlusion",
    family="Activations",
    outputs=[
        ts.Heatmap("probability_map", "Probability when covered here", colors="turbo"),
        ts.Heatmap("drop_map", "Drop of the probability", colors="RdBu_r", signed=True),
    ],
)
def occlusion(
    model: ts.VisionModel,
    image: Annotated[ts.PhotoInput, ts.Photo("Photo")],
    target: Annotated[int | None, ts.Target("Class")] = None,
    window: Annotated[int, ts.Number("Window", 4, 512)] = 56,
    stride: Annotated[int, ts.Number("Stride", 2, 256)] = 14,
    fill: Annotated[str, ts.Choice("Fill", ("mean", "black", "blur"))] = "mean",
) -> Iterator[ts.Outputs]:
    r"""How probable the class stays when a patch slides over the photo.

    What you see:
        The probability map is low (blue) where covering the photo takes the class away. The drop map shows the same
        as a difference: red where the patch costs probability, blue where it helps.

    How it works:
        A square patch covers the photo at every place $w$ of a grid. A pixel's value is the mean probability over
        the places $W_{ij}$ that cover it:
        $$P_{ij} = \frac{1}{|W_{ij}|} \sum_{w \in W_{ij}} p_c(I \setminus w), \qquad D_{ij} = p_c(I) - P_{ij}$$
        The code is timmscope's own, since Captum's gives no previews, cannot be stopped and is slower; both agree.

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
    import torch

    height, width = model.size
    if window > min(height, width):
        raise ts.InvalidInput("window", window, f"at most {min(height, width)}, the side of the model's input")
    if stride > window:
        raise ts.InvalidInput("stride", stride, f"at most {window}, the window, so that every pixel is covered")
    seen = model.see(image)
    with torch.no_grad():
        explained = model.explain(seen.input.repeat(BATCH, 1, 1, 1), target)
    require_finite(model, explained.logits)
    what, amount = model.labels.noun.title(), "probability" if model.classifies else "share of the features"
    probability = float(explained.scores.values[explained.target])
    note = f"{what} explained: {explained.label}, {amount} {probability:.3f} uncovered."

    rows, columns = (starts(side, window, stride) for side in (height, width))
    places = [(slice(y, y + window), slice(x, x + window)) for y in rows for x in columns]
    means = Means((height, width), probability)
    every = max(-(-len(places) // BATCH // PREVIEWS) * BATCH, BATCH)
    for found in when_covered(explained, seen.input, covering(model, image, fill), places):
        for place, value in found:
            means.add(place, value)
        if means.places < len(places) and means.places % every:
            continue
        mean = means.map()
        if means.places == len(places) and (abs(mean - probability) <= ts.rounding.limit(probability)).all():
            raise ts.Declined(
                f"{model.name} ({model.weights} weights) says the same wherever the photo is covered: the "
                f"{amount} stays {probability:.3g} but for rounding, so there is no map to show."
            )
        drop = probability - mean
        outputs = ts.Outputs(
            probability_map=ts.Shown(mean, seen.over(mean)), drop_map=ts.Shown(drop, seen.over(drop, signed=True))
        )
        yield outputs.at(means.places, len(places)).note(note)


def when_covered(explained: ts.Explained, photo, cover, places):
    """Yield, batch by batch, the places and the probability p_c of the photo covered there.

    Args:
        explained: The class.
        photo: The network's input, [1, channels, height, width].
        cover: What the patch shows, likewise.
        places: Rows and columns of each patch, as slices.
    """
    import torch

    model, uncovered = explained.model, float(explained.scores.values[explained.target])
    for first in range(0, len(places), BATCH):
        batch = places[first : first + BATCH]
        covered = photo.repeat(BATCH, 1, 1, 1).contiguous(memory_format=torch.channels_last)
        for image, (rows, columns) in zip(covered, batch):
            image[:, rows, columns] = cover[0, :, rows, columns]
        with torch.no_grad():
            logits = model.logits(covered)
        require_finite(model, logits)
        alike = ts.rounding.same(logits, explained.logits[0])
        yield [
            (place, uncovered if alike[i] else model.scores(logits[i]).values[explained.target])
            for i, place in enumerate(batch)
        ]


class Means:
    """For each pixel the mean of the values of all places that cover it.

    Args:
        size: Height and width.
        otherwise: Value of a pixel that is not covered yet.
    """

    def __init__(self, size: tuple[int, int], otherwise: float) -> None:
        import numpy as np

        self.total, self.count = np.zeros(size), np.zeros(size)
        self.otherwise, self.places = otherwise, 0

    def add(self, place: tuple[slice, slice], value: float) -> None:
        """One more place."""
        self.total[place] += value
        self.count[place] += 1
        self.places += 1

    def map(self):
        """The means, [height, width]."""
        import numpy as np

        return np.where(self.count > 0, self.total / self.count.clip(1), self.otherwise)


def require_finite(model: ts.VisionModel, logits) -> None:
    """Decline scores, of one photo or more, that are not finite."""
    if not bool(logits.isfinite().all()):
        raise ts.Declined(f"{model.name} ({model.weights} weights) gives scores that are not finite.")


def starts(size: int, window: int, stride: int) -> list[int]:
    """First pixels of the window's places along one side; the last one may reach over the border."""
    return [i * stride for i in range(-(-(size - window) // stride) + 1)]


def covering(model: ts.VisionModel, image: ts.PhotoInput, fill: str):
    """What the patch shows, as a whole normalised image [1, channels, height, width]."""
    from PIL import ImageFilter

    if fill == "blur":
        picture = image.picture.filter(ImageFilter.GaussianBlur(max(image.picture.size) / 24))
    else:
        picture = image.picture.point(lambda _: 0)
    cover = model.see(replace(image, picture=picture)).input
    return cover.zero_() if fill == "mean" else cover  # the data set's mean is zero after normalisation


@ts.hookimpl
def register_techniques(register):
    register(occlusion)
