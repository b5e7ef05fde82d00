"""A plugin whose technique has a parameter without a port."""

from timmscope import Outputs, Picture, hookimpl, technique


@technique("Blur", family="Synthesis", outputs=[Picture("blurred", "Blurred photo")])
def blur(radius: int = 3) -> Outputs:
    """Blur a photo.

    Args:
        radius: Radius, in pixels.
    """
    return Outputs()


@hookimpl
def register_techniques(register):
    register(blur)
