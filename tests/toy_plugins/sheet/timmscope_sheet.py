"""Sheet: a technique over a photo set, and a photo set, in one file."""

from functools import partial
from typing import Annotated

from timmscope import Captioned, Gallery, Number, Outputs, PhotoList, Photos, PhotoSet, SetPhoto, hookimpl, technique


@technique("Contact sheet", family="Activations", outputs=[Gallery("thumbnails", "Thumbnails")])
def sheet(
    photos: Annotated[PhotoList, Photos("Photo set")] = "squares",
    side: Annotated[int, Number("Side", 8, 256)] = 32,
) -> Outputs:
    """The photos of a set, small.

    What you see:
        One thumbnail per photo, with its name and label.

    How it works:
        Each photo is scaled down and laid on a white square.

    How to read it:
        There is nothing to read: it shows how a technique reads photo sets.

    Source:
        The tests of timmscope.

    Args:
        photos: The photo set.
        side: Side of a thumbnail, 8 to 256 pixels.
    """
    from numpy import asarray
    from PIL import Image, ImageOps

    found = {
        i: asarray(ImageOps.pad(picture, (side, side), color="white", method=Image.Resampling.NEAREST))
        for i, picture in photos.decoded()
    }
    captions = [f"{photos[i].name} ({photos[i].label})" for i in found]
    return Outputs(thumbnails=Captioned(list(found.values()), captions))


def square(colour):
    from PIL import Image

    return Image.new("RGB", (40, 40), colour)


@hookimpl
def register_techniques(register):
    register(sheet)


@hookimpl
def register_photo_sets(register):
    colours = ["red", "green", "blue"]
    photos = [SetPhoto(colour, partial(square, colour), label="colour", version="1") for colour in colours]
    register(PhotoSet("squares", "Squares", lambda: photos))
