"""Dropper: a technique that takes a place on the photo and makes a file."""

from typing import Annotated

from timmscope import File, Outputs, Photo, PhotoInput, Point, Table, hookimpl, technique


@technique(
    "Dropper",
    family="Activations",
    outputs=[Table("colour", "Colour", ("Place", "Red", "Green", "Blue")), File("palette", "Palette", ending="gpl")],
)
def dropper(
    image: Annotated[PhotoInput, Photo("Photo", seen=False)],
    place: Annotated[tuple | None, Point("Place")] = None,
) -> Outputs:
    """The colour of a place on the photo, as a palette.

    What you see:
        The colour of the pixel that was clicked.

    How it works:
        The pixel is looked up.

    How to read it:
        Red, green and blue go from 0 to 255.

    Source:
        The tests of timmscope.

    Args:
        image: The photo.
        place: Row and column as shares of height and width; empty for the middle.
    """
    row, column = place or (0.5, 0.5)
    width, height = image.picture.size
    x, y = (min(int(share * side), side - 1) for share, side in ((column, width), (row, height)))
    red, green, blue = image.picture.getpixel((x, y))
    palette = f"GIMP Palette\n{red} {green} {blue} {x} {y}\n".encode()
    return Outputs(colour=[[f"{x}, {y}", red, green, blue]], palette=palette)


@hookimpl
def register_techniques(register):
    register(dropper)
