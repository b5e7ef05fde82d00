"""The embedded photo set: what scikit-image and scikit-learn bring along, whole and in crops. No network is needed."""

import functools
import hashlib

from timmscope import PhotoSet, SetPhoto, hookimpl

from .sample_photos import SAMPLES, path_in

# Drawings, what is blurred or empty, and the second view of the motorcycle are left out.
PICTURES = SAMPLES | {
    "cameraman": ("skimage", "data/camera.png"),
    "coins": ("skimage", "data/coins.png"),
    "galaxies": ("skimage", "data/hubble_deep_field.jpg"),
    "moon": ("skimage", "data/moon.png"),
    "motorcycle": ("skimage", "data/motorcycle_left.png"),
    "page": ("skimage", "data/page.png"),
    "retina": ("skimage", "data/retina.jpg"),
    "handwriting": ("skimage", "data/text.png"),
}
INNER = {"retina": (210, 210, 1200, 1200)}  # the square in the round picture, in pixels; its corners are black
SCALES = {1: "", 2: ", half", 3: ", third"}


@functools.lru_cache(maxsize=3)  # crops of one picture are asked for one after the other
def picture(name):
    """One whole picture, in the colours of its file."""
    from PIL import Image

    with Image.open(path_in(*PICTURES[name])) as file:
        return file.crop(INNER.get(name, (0, 0, *file.size)))


def crop(name, parts, row, column):
    """The part of a picture in a row and a column of `parts` x `parts` equal ones."""
    whole = picture(name)
    across, down = whole.width / parts, whole.height / parts
    return whole.crop(tuple(round(x) for x in (column * across, row * down, (column + 1) * across, (row + 1) * down)))


@functools.cache
def photos():
    """Each picture whole, in halves and in thirds of its sides: 14 photos per picture, labelled with its name."""
    found = []
    for name, place in PICTURES.items():
        try:
            version = hashlib.sha256(path_in(*place).read_bytes()).hexdigest()
        except FileNotFoundError:  # an older scikit-image, or one of the two is not installed
            continue
        for parts, scale in SCALES.items():
            for row in range(parts):
                for column in range(parts):
                    caption = f"{name}{scale} {row + 1}-{column + 1}" if scale else name
                    load = functools.partial(crop, name, parts, row, column)
                    found.append(SetPhoto(caption, load, name, f"{version}:{parts}:{row}:{column}", name))
    return found


@hookimpl
def register_photo_sets(register):
    register(PhotoSet("embedded", "Embedded photos and their crops", photos))
