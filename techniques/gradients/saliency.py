"""Saliency: the gradient of a class score to the pixels, and SmoothGrad."""

from collections.abc import Iterator
from typing import Annotated

import timmscope as ts

BATCH = 8  # noisy copies per pass, at most


def saliency_maps(
    model: ts.VisionModel, image: ts.PhotoInput, target: int | None, samples: int, noise: float, seed: int
) -> Iterator[tuple]:
    """Yield (sum of the maps so far [height, width], copies done, what the network saw, what is explained)."""
    import torch
    from captum.attr import Saliency

    batch = model.batch(BATCH)
    seen = model.see(image)
    seen.input.requires_grad_(samples == 1)
    explained = model.explain(seen.input, target)  # the clean photo decides the class and its scores

    def maps(images, score):  # M_ij = max over RGB of |dS_c / dI_ij|
        gradient = Saliency(score).attribute(images.requires_grad_(), abs=True)
        return ts.require_gradient(gradient, model).amax(dim=1)

    if samples == 1:  # the score is there already
        yield maps(seen.input, lambda _: explained.score)[0].cpu().numpy(), 1, seen, explained
        return
    sigma = noise * (seen.input.amax() - seen.input.amin())
    generator = torch.Generator().manual_seed(seed)
    total = torch.zeros(seen.input.shape[-2:], device=model.device)
    for done in range(0, samples, batch):
        shape = (min(batch, samples - done), *seen.input.shape[1:])
        noisy = seen.input + sigma * torch.randn(shape, generator=generator).to(model.device)
        total += maps(noisy.contiguous(memory_format=torch.channels_last), explained).sum(0)
        yield total.cpu().numpy() / (done + shape[0]), done + shape[0], seen, explained


@ts.technique(
    "Saliency",
    family="Gradients",
    outputs=[ts.Heatmap("heatmap", "Saliency"), ts.Picture("overlay", "Over the photo"), ts.Scores("scores", "Scores")],
)
def saliency(
    model: ts.VisionModel,
    image: Annotated[ts.PhotoInput, ts.Photo("Photo")],
    target: Annotated[int | None, ts.Target("Class")] = None,
    samples: Annotated[int, ts.Number("Samples", 1, 256)] = 1,
    noise: Annotated[float, ts.Number("Noise", 0, 1)] = 0.15,
    seed: Annotated[int, ts.Number("Seed", 0, 2**31 - 1)] = 0,
) -> Iterator[ts.Outputs]:
    r"""Which pixels change the class score most when they change a little.

    What you see:
        A bright pixel is one that the score of the class reacts to. With one sample the map is the plain
        gradient, fine and noisy. With more samples it is SmoothGrad, the mean over noisy copies of the photo, and
        the object comes out of the noise.

    How it works:
        The unnormalised class score $S_c$ is differentiated with respect to the image $I$; of the three colour
        channels the largest magnitude is kept:
        $$M_{ij} = \max_{k} \left| \frac{\partial S_c}{\partial I_{ijk}} \right|$$
        SmoothGrad averages $M$ over copies $I + \mathcal{N}(0, \sigma^2)$.

    How to read it:
        The map says where the score is sensitive, not what speaks for or against the class. Compare it with
        random weights: what stays the same was not learned.

    Source:
        Simonyan, Vedaldi and Zisserman 2013, "Deep Inside Convolutional Networks"; Smilkov et al. 2017, "SmoothGrad".

    Args:
        image: The photo to explain.
        target: Class index or label text; empty for the model's top prediction.
        samples: Noisy copies to average, 1 to 256; 1 is the plain gradient, 32 gives a smooth map.
        noise: Standard deviation of the noise, 0 to 1, as a share of the range of the network's input.
        seed: Seed of the noise.

    Raises:
        Declined: The gradient is zero everywhere, or not finite.
    """
    for heat, done, seen, explained in saliency_maps(model, image, target, samples, noise, seed):
        outputs = ts.Outputs(heatmap=heat, overlay=seen.over(heat), scores=explained.scores)
        yield outputs.at(done, samples).note(f"{model.labels.noun.title()} explained: {explained.label}.")


@ts.hookimpl
def register_techniques(register):
    register(saliency)
