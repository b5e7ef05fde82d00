"""The handwritten digits that come with scikit-learn, as a photo set: 1797 of 8 x 8 pixels, with their labels."""

from functools import cache, partial
from importlib import metadata

from timmscope import PhotoSet, SetPhoto, hookimpl

TIMMSCOPE_API = 1


@cache
def digits():
    from sklearn.datasets import load_digits

    return load_digits()


def photo(index: int):
    import numpy as np

    return (digits().images[index] * (255 / 16)).astype(np.uint8)


def photos() -> list[SetPhoto]:
    version = metadata.version("scikit-learn")
    labels = digits().target
    return [SetPhoto(f"{label}-{i}", partial(photo, i), str(label), version) for i, label in enumerate(labels)]


@hookimpl
def register_photo_sets(register):
    register(PhotoSet("digits", "Handwritten digits", photos))
