"""Fade: a whole plugin in one file."""

from collections.abc import Iterator
from typing import Annotated

from timmscope import Number, Outputs, Photo, PhotoInput, Picture, hookimpl, technique

TIMMSCOPE_API = 1


@technique("Fade", family="Synthesis", outputs=[Picture("faded", "Faded photo")])
def fade(
    image: Annotated[PhotoInput, Photo("Photo", seen=False)],
    steps: Annotated[int, Number("Steps", 1, 50)] = 10,
) -> Iterator[Outputs]:
    """Fade the photo to grey, one step at a time.

    What you see:
        The photo, which loses its colours.

    How it works:
        Each pixel moves towards its own brightness: $I_k = (1 - k/n) I + (k/n) L$.

    How to read it:
        There is nothing to read: it shows how a plugin is written.

    Source:
        The tests of timmscope.

    Args:
        image: The photo to fade.
        steps: Number of steps, 1 to 50.
    """
    from numpy import asarray
    from PIL import Image

    colour = image.picture
    grey = colour.convert("L").convert("RGB")
    for step in range(1, steps + 1):
        yield Outputs(faded=asarray(Image.blend(colour, grey, step / steps))).at(step, steps)


@hookimpl
def register_techniques(register):
    register(fade)
