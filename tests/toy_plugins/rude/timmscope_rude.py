"""Techniques that do, while they run, what a technique must not do. One name a sin."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from timmscope import Heatmap, Number, Outputs, PhotoSet, Picture, SetPhoto, Text, VisionModel, hookimpl, technique

TIMMSCOPE_API = 1
AWAKE = threading.Event()
PICTURE = [Picture("picture", "Picture")]


class Careless(Text):
    """A port that checks nothing."""

    def check(self, name, value):
        return value if isinstance(value, str) else ""


def picture(value: int = 0) -> Outputs:
    import numpy as np

    return Outputs(picture=np.arange(192, dtype=np.uint8).reshape(8, 8, 3) + np.uint8(value))


@technique("Raises", family="Synthesis", outputs=PICTURE)
def raises(steps: Annotated[int, Number("Steps", 1, 9)] = 1) -> Outputs:
    """Raise an exception.

    Args:
        steps: What is divided.
    """
    return picture(steps // 0)


@technique("Exits", family="Synthesis", outputs=PICTURE)
def exits() -> Outputs:
    """End the process."""
    raise SystemExit(3)


@technique("Never comes back", family="Synthesis", outputs=PICTURE)
def never_comes_back() -> Outputs:
    """Work for ever."""
    while True:
        pass


@technique("Sleeps", family="Synthesis", outputs=PICTURE)
def sleeps() -> Outputs:
    """Wait where no exception reaches it."""
    AWAKE.wait(600)
    return picture()


@technique("Not finite", family="Gradients", outputs=[Heatmap("heatmap", "Heat map")])
def not_finite() -> Outputs:
    """Return what is no number."""
    import numpy as np

    return Outputs(heatmap=np.full((8, 8), np.nan))


@technique("Wrong output", family="Synthesis", outputs=PICTURE)
def wrong_output() -> Outputs:
    """Return what is not declared."""
    return Outputs(film=0)


@technique("Prints", family="Synthesis", outputs=PICTURE)
def prints() -> Outputs:
    """Print."""
    print("all my secrets")
    return picture()


@technique("Warns", family="Synthesis", outputs=PICTURE)
def warns() -> Outputs:
    """Warn."""
    import warnings

    warnings.warn("of everything", stacklevel=1)
    return picture()


@technique("Leaves a hook", family="Gradients", outputs=PICTURE)
def leaves_a_hook(model: VisionModel) -> Outputs:
    """Leave a hook on the network."""
    next(model.module.children()).register_forward_hook(lambda *_: None)
    return picture()


@technique("Forgets its seed", family="Synthesis", outputs=PICTURE)
def forgets_its_seed() -> Outputs:
    """Draw from the random numbers that belong to everybody."""
    import numpy as np

    return Outputs(picture=np.random.randint(0, 255, (8, 8, 3), np.uint8))


@technique("Goes on", family="Synthesis", outputs=PICTURE)
def goes_on() -> Iterator[Outputs]:
    """Go on when it is stopped."""
    for step in range(3):
        try:
            yield picture(step).at(step + 1, 3)
        except GeneratorExit:
            yield picture()


@technique("Writes", family="Gradients", outputs=PICTURE)
def writes(model: VisionModel) -> Outputs:
    """Write into the weights."""
    next(model.module.parameters()).data.add_(1)
    next(model.module.parameters()).add_(0)
    return picture()


@technique("Accepts", family="Synthesis", outputs=PICTURE)
def accepts(word: Annotated[str, Careless("Word")] = "") -> Outputs:
    """Take anything.

    Args:
        word: Anything.
    """
    return picture(1)


@hookimpl
def register_techniques(register):
    for sin in (
        raises,
        exits,
        never_comes_back,
        sleeps,
        wrong_output,
        not_finite,
        prints,
        warns,
        leaves_a_hook,
        forgets_its_seed,
        goes_on,
        writes,
        accepts,
    ):
        register(sin)


def photos() -> list[SetPhoto]:
    return [
        SetPhoto("not_there", lambda: Path("/nowhere/not_there.png")),
        SetPhoto("no_photo", lambda: b"no photo"),
        SetPhoto("unreadable", lambda: 1 // 0),
        SetPhoto("square", lambda: picture()["picture"]),
    ]


@hookimpl
def register_photo_sets(register):
    register(PhotoSet("rude", "Damaged photos", photos, samples=True))
