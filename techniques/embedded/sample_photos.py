"""Sample photos that come with scikit-image and scikit-learn. No network is needed."""

import contextlib
import functools
import importlib.util
from pathlib import Path

from timmscope import PhotoSet, SetPhoto, hookimpl

SAMPLES = {
    "chelsea": ("skimage", "data/chelsea.png"),
    "coffee": ("skimage", "data/coffee.png"),
    "astronaut": ("skimage", "data/astronaut.png"),
    "rocket": ("skimage", "data/rocket.jpg"),
    "flower": ("sklearn", "datasets/images/flower.jpg"),
    "china": ("sklearn", "datasets/images/china.jpg"),
    "brick": ("skimage", "data/brick.png"),
    "grass": ("skimage", "data/grass.png"),
    "gravel": ("skimage", "data/gravel.png"),
    "tissue": ("skimage", "data/ihc.png"),
}

PHOTOGRAPHS = ("chelsea", "coffee", "astronaut", "rocket", "flower", "china")  # of scenes, not textures


def photographs():
    """The sample photographs as PIL images, those whose package is installed."""
    from PIL import Image

    found = []
    for name in PHOTOGRAPHS:
        with contextlib.suppress(FileNotFoundError):
            found.append(Image.open(path_in(*SAMPLES[name])).convert("RGB"))
    return found


def path_in(package: str, file: str) -> Path:
    """Where a file of an installed package lies. Raises `FileNotFoundError` when the package is not installed."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.origin:
        raise FileNotFoundError(f"{package} is not installed")
    return Path(spec.origin).parent / file


@hookimpl
def register_photo_sets(register):
    photos = [SetPhoto(name, functools.partial(path_in, *place)) for name, place in SAMPLES.items()]
    register(PhotoSet("samples", "Sample photos", lambda: photos, samples=True))
