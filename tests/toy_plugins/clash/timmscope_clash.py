"""A plugin with a good technique, and one whose name a built-in technique has."""

from typing import Annotated

from timmscope import Outputs, Photo, PhotoInput, Picture, hookimpl, technique

OUTPUTS = [Picture("picture", "Picture")]


@technique("Another saliency", family="Gradients", outputs=OUTPUTS)
def saliency(image: Annotated[PhotoInput, Photo("Photo", seen=False)]) -> Outputs:
    """Show the photo.

    Args:
        image: The photo.
    """
    return Outputs(picture=image.picture)


@technique("Mirror", family="Synthesis", outputs=OUTPUTS)
def mirror(image: Annotated[PhotoInput, Photo("Photo", seen=False)]) -> Outputs:
    """Mirror the photo.

    Args:
        image: The photo.
    """
    from numpy import asarray

    return Outputs(picture=asarray(image.picture)[:, ::-1])


@hookimpl
def register_techniques(register):
    register(saliency)
    register(mirror)
