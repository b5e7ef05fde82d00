"""DeepDream: whatever a layer sees in a photo, more of it."""

from collections.abc import Iterator
from typing import Annotated

import timmscope as ts

KNOWN, DEPTH = ("blocks.4",), 0.7
FRAMES = 40  # of the animation, at most
SMALLEST = 32  # side of the smallest octave, in pixels


@ts.technique(
    "DeepDream",
    family="Synthesis",
    gpu_seconds=lambda octaves, steps: 8 + octaves * steps / 20,
    outputs=[
        ts.Picture("image", "Dream"),
        ts.Animation("animation", "How it came"),
        ts.Curves("objective", "Objective"),
    ],
)
def deepdream(
    model: ts.VisionModel,
    image: Annotated[ts.PhotoInput, ts.Photo("Photo", seen=False)],
    layer: Annotated[str, ts.Layer("Layer", depth=DEPTH, known=KNOWN)] = "",
    unit: Annotated[int | None, ts.Unit("Unit")] = None,
    octaves: Annotated[int, ts.Number("Octaves", 1, 8)] = 4,
    octave_scale: Annotated[float, ts.Number("Octave scale", 1.1, 2)] = 1.4,
    steps: Annotated[int, ts.Number("Steps per octave", 1, 200)] = 15,
    jitter: Annotated[int, ts.Number("Jitter", 0, 64)] = 16,
    strength: Annotated[float, ts.Number("Strength", 0.001, 0.1)] = 0.01,
    size: Annotated[int, ts.Number("Size", 32, 1024)] = 400,
    seed: Annotated[int, ts.Number("Seed", 0, 2**31 - 1)] = 0,
) -> Iterator[ts.Outputs]:
    r"""Whatever a layer sees in a photo, more of it, until dogs look out of the clouds.

    What you see:
        The photo, with what the layer took it for drawn into it: lines and curls in early layers, fur, eyes and
        animals in late ones. The animation shows how it came, from coarse to fine.

    How it works:
        Gradient ascent on the photo $I$ for the energy of the layer's features $f$, whatever they are:
        $$I \leftarrow I + \alpha \, \frac{\tilde g}{\mathrm{std}(\tilde g)}, \qquad
        g = \nabla_I \, \frac{1}{n} \sum_i f_i(I)^2$$
        $\tilde g$ is $g$ in natural colours and with all frequencies equally strong (a Laplacian pyramid whose levels
        have deviation 1). It is done at several sizes, octaves, from small to large, and the photo is shifted at random
        (jitter) at every step, so that no grid is burnt in.

    How to read it:
        It shows what the layer has features for, not what it would decide. With one unit it shows what
        that unit looks for.

    Source:
        Mordvintsev, Olah and Tyka 2015, "Inceptionism: Going Deeper into Neural Networks".

    Args:
        image: The photo to dream on.
        layer: Name of a layer; empty for one at about two thirds of the depth.
        unit: Channel of the layer, by index; -1 for all.
        octaves: Sizes, 1 to 8.
        octave_scale: Ratio of one size to the next, 1.1 to 2.
        steps: Steps per octave, 1 to 200.
        jitter: Largest random shift, 0 to 64 pixels.
        strength: Step, 0.001 to 0.1, as a share of the range of a pixel.
        size: Longer side of the picture, 32 to 1024 pixels.
        seed: Seed of the shifts.

    Raises:
        Declined: The layer has neither a grid nor one value per unit, or there is no gradient.
        InvalidInput: The layer has no such unit.
    """
    import torch

    from timmscope.synthesis import Descent, Network, Pixels, ascend, energy, resized, scaled, to_tensor, transforms

    photo = to_tensor(scaled(image.picture, size)).to(model.device)
    sizes = octave_sizes((photo.shape[2], photo.shape[3]), octaves, octave_scale)
    shifted = transforms.jitter(jitter, torch.Generator().manual_seed(seed))
    energies: list[float] = []
    detail, frames = torch.zeros_like(photo), Frames(photo, len(sizes) * steps)
    for octave, shape in enumerate(sizes):
        canvas = Pixels(resized(photo, shape) + resized(detail, shape))
        score = energy(layer, unit).on(Network(model, shape))
        optimizer = Descent(canvas.parameters, strength, natural_direction)
        for step in ascend(canvas, score, optimizer, steps, shifted, frames.of(canvas, octave * steps)):
            curve = energies + [-value for value in step.curves["-S"]]
            outputs = ts.Outputs(image=frames.picture(step.images), animation=frames.all, objective={"energy": curve})
            note = f"Layer {layer}, octave {octave + 1} of {len(sizes)}: energy {curve[-1]:.3g}."
            yield outputs.at(len(curve), frames.total).note(note)
        energies, detail = curve, step.images - resized(photo, shape)


def natural_direction(gradient):
    """The gradient in natural colours, all frequencies equally strong, with deviation 1."""
    from timmscope.synthesis import regularizers

    natural = regularizers.natural_colors(gradient)
    return regularizers.unit_deviation(regularizers.laplacian_normalized(natural))


class Frames:
    """The pictures of the animation, at the size of the photo.

    Args:
        photo: The first one, RGB from 0 to 1, [1, 3, height, width].
        total: Steps of all octaves; of these at most `FRAMES` are kept.
    """

    def __init__(self, photo, total: int) -> None:
        self.size, self.total, self.every = tuple(photo.shape[2:]), total, -(-total // FRAMES)
        self.kept = [self.picture(photo)]

    def picture(self, images):
        """An image of any octave, uint8 [height, width, 3]."""
        from timmscope.synthesis import resized, to_uint8

        return to_uint8(resized(images, self.size))[0]

    @property
    def all(self):
        """The frames so far, uint8 [frames, height, width, 3]."""
        import numpy as np

        return np.stack(self.kept)

    def of(self, canvas, before: int):
        """What is done after each step of an octave that begins after so many steps: clamp, and keep some frames."""

        def after(done: int) -> None:
            canvas.clamp()
            if (before + done) % self.every == 0 or before + done == self.total:
                self.kept.append(self.picture(canvas()))

        return after


def octave_sizes(size: tuple[int, int], octaves: int, scale: float) -> list[tuple[int, int]]:
    """Height and width at each octave, the smallest first; those too small for a network are left out."""
    height, width = size
    sizes = [(max(1, round(height * scale**-i)), max(1, round(width * scale**-i))) for i in range(octaves)]
    return [size for i, size in enumerate(sizes) if i == 0 or min(size) >= SMALLEST][::-1]


@ts.hookimpl
def register_techniques(register):
    register(deepdream)
