"""Texture, patchwise: Efros and Leung's copying of best-matching neighbourhoods. No network."""

from collections.abc import Iterator
from typing import Annotated

import timmscope as ts

TOLERANCE = 0.1  # neighbourhoods so much worse than the best one are still drawn from
SAME = 0.5  # mean squared difference that only rounding makes
PREVIEWS = 20


@ts.technique("Texture, patchwise", family="Synthesis", outputs=[ts.Picture("texture", "Texture")])
def texture_patchwise(
    image: Annotated[ts.PhotoInput, ts.Photo("Texture", seen=False)],
    window: Annotated[int, ts.Number("Window", 3, 63)] = 11,
    size: Annotated[int, ts.Number("Size", 16, 256)] = 128,
    sample: Annotated[int, ts.Number("Sample", 16, 128)] = 80,
    seed: Annotated[int, ts.Number("Seed", 0, 2**31 - 1)] = 0,
) -> Iterator[ts.Outputs]:
    r"""More of the same texture without any network: pixel by pixel, from the places that look alike.

    What you see:
        A picture that grows line by line from a patch of the sample in its corner.

    How it works:
        For the next pixel in scan-line order, its known neighbourhood $N$ is compared with all neighbourhoods $P$ of
        the sample, weighed with a Gaussian $w$ on what is known:
        $$d(P) = \frac{\sum_i w_i \lVert N_i - P_i \rVert^2}{\sum_i w_i}, \qquad
        P \sim \{ P : d(P) \le 1.1 \min_{P'} d(P') \}$$
        and the pixel in the middle of $P$ is copied.

    How to read it:
        Compare it with "Texture": copying keeps every detail but knows nothing of the whole; it can get stuck in one
        place of the sample or grow garbage. The window must be larger than the pattern's elements.

    Source:
        Efros and Leung 1999, "Texture Synthesis by Non-parametric Sampling".

    Args:
        image: The sample.
        window: Side of the neighbourhood, 3 to 63 pixels; even numbers count as the next odd one.
        size: Side of the new picture, 16 to 256 pixels.
        sample: Side that the sample's middle square is scaled down to, 16 to 128 pixels; a smaller one stays as it is.
        seed: Seed of the patch in the corner and of the choice among good places.

    Raises:
        InvalidInput: The window is larger than the sample or the picture.
    """
    import numpy as np
    from PIL import Image

    window |= 1
    side = min(image.picture.size)
    sample = min(sample, max(side, window + 1))  # not enlarged: copies would be blurred
    if window >= min(sample, size):
        raise ts.InvalidInput("window", window, f"less than the sample's and the picture's side, {min(sample, size)}")
    left, top = (image.picture.width - side) / 2, (image.picture.height - side) / 2
    box = (left, top, left + side, top + side)
    source = np.asarray(image.picture.resize((sample, sample), Image.Resampling.LANCZOS, box=box), np.float32)
    for picture, lines in grow(source, window, size, np.random.default_rng(seed)):
        yield ts.Outputs(texture=picture).at(lines, size)


def grow(source, window: int, size: int, random):
    """Copy pixels in scan-line order.

    Args:
        source: The sample, float32 [height, width, 3], values of 8 bit.
        window: Side of the neighbourhoods, odd.
        size: Side of the new picture.
        random: Generator of the corner and the choices.

    Yields:
        The picture so far, uint8 [size, size, 3], and its lines done.
    """
    import numpy as np

    half = window // 2
    places = np.lib.stride_tricks.sliding_window_view(source, (window, window), axis=(0, 1))
    places = places.transpose(0, 1, 3, 4, 2).reshape(-1, window * window, 3)  # all neighbourhoods of the sample
    middles = places[:, window * window // 2]
    flat = np.ascontiguousarray(places.reshape(len(places), -1))
    squares = (places**2).sum(2)
    distance = np.hypot(*np.mgrid[-half : half + 1, -half : half + 1])
    weights = np.exp(-(distance**2) / (2 * (window / 6.4) ** 2)).astype(np.float32).ravel()

    # the border of half a window around the picture is never known
    values = np.zeros((size + 2 * half, size + 2 * half, 3), np.float32)
    known = np.zeros(values.shape[:2], np.float32)
    corner = places[random.integers(len(places))].reshape(window, window, 3)
    values[half : half + window, half : half + window] = corner
    known[half : half + window, half : half + window] = 1

    for row in range(size):
        for column in range(size):
            if known[row + half, column + half]:
                continue
            mask = weights * known[row : row + window, column : column + window].ravel()
            around = values[row : row + window, column : column + window].reshape(-1, 3)
            # sum of w (N - P)^2, without the part that is the same for all P
            worse = squares @ mask - 2 * (flat @ (mask[:, None] * around).ravel())
            worse = (worse + mask @ (around**2).sum(1)).clip(0) / mask.sum()
            good = np.flatnonzero(worse <= worse.min() * (1 + TOLERANCE) + SAME)
            values[row + half, column + half] = middles[random.choice(good)]
            known[row + half, column + half] = 1
        if row == size - 1 or row % -(-size // PREVIEWS) == 0:
            yield values[half:-half, half:-half].round().astype(np.uint8), row + 1


@ts.hookimpl
def register_techniques(register):
    register(texture_patchwise)
