"""What the synthesis engine costs over the bare passes, and how good its pictures are.

    python -m benchmarks.synthesis [folder of photos for fooling]

Ratios compare two sides that are run in turn, so that a drifting machine slows both; medians are compared.
"""

from __future__ import annotations

import itertools
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image

import timmscope
from timmscope.registry.photos.decoding import PhotoInput, decode
from timmscope.registry.runs.inputs import sample
from timmscope.synthesis import (
    LBFGS_SCALE,
    Features,
    Fourier,
    Maco,
    Network,
    Pixels,
    gram,
    lbfgs,
    natural_magnitude,
    optimize,
    regularizers,
    relative_distance,
    square,
    to_tensor,
    transforms,
)
from timmscope.techniques.embedded import sample_photos
from timmscope.techniques.synthesis.feature_inversion import psnr
from timmscope.techniques.synthesis.texture import KNOWN

LITE0 = "tf_efficientnet_lite0"
CLASSES = ("koala", "flamingo", "beach wagon")


def noise() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def run(canvas, loss, optimizer, steps, after=None, scale=1.0):
    """The last moment of an optimisation, and its seconds an evaluation."""
    start, calls = time.perf_counter(), itertools.count()

    def counted(images):
        next(calls)
        return loss(images)

    *_, last = optimize(canvas, counted, optimizer, steps, after, scale, seconds=1e9)
    return last, (time.perf_counter() - start) / next(calls)


def overhead(title: str, images: torch.Tensor, function, make, repeats: int = 7) -> None:
    """Seconds of an evaluation in the loop over a forward and backward pass of the same batch."""

    def bare(times: int = 6) -> float:
        start = time.perf_counter()
        for _ in range(times):
            x = images.clone().requires_grad_()
            function(x).backward()
        return (time.perf_counter() - start) / times

    bare(), make()
    pairs = [(make(), bare()) for _ in range(repeats)]
    ratio = statistics.median(ours / theirs for ours, theirs in pairs)
    ours, theirs = (statistics.median(side) for side in zip(*pairs))
    print(f"{title:58} {ours * 1e3:7.1f} ms / {theirs * 1e3:7.1f} ms = {ratio:5.2f}   (aim 1.1 or less)", flush=True)


def overheads(model) -> None:
    working = Network(model, (160, 160))
    magnitude, generator = natural_magnitude(sample_photos.photographs(), 256, 256), noise()
    crops = transforms.chain(transforms.crops(2, 0.6, 0.95, (160, 160), generator), transforms.noise(0.08, generator))

    def maco():
        canvas = Maco(magnitude, 256, 1, generator=noise())
        optimizer = torch.optim.NAdam(canvas.parameters, lr=1)
        return run(canvas, lambda x: {"S": -working.logits(crops(x))[:, 105].mean()}, optimizer, 12)[1]

    overhead("class, MACO: two crops", torch.rand(2, 3, 160, 160), lambda x: working.logits(x)[:, 105].mean(), maco)

    network = Network(model, (224, 224))
    see, wanted = texture_sample(model, network)

    def distance(x):
        found = see(x)
        return sum(relative_distance(gram(found[layer]), wanted[layer]) for layer in KNOWN) / len(KNOWN)

    def texture():
        canvas = Fourier(None, (1, 224, 224), noise())
        optimizer = lbfgs(canvas.parameters)
        return run(canvas, lambda x: {"gram": distance(x)}, optimizer, 24, scale=LBFGS_SCALE)[1]

    overhead("texture, Fourier and L-BFGS: 224 px", torch.rand(1, 3, 224, 224), distance, texture)


def texture_sample(model, network):
    see = Features(network, KNOWN)
    with torch.no_grad():
        found = see(to_tensor(square(decode(sample("brick")), 224)))
    return see, {layer: gram(values) for layer, values in found.items()}


def against_pixels(title: str, size, loss, steps: int, quality) -> None:
    """Quality of the Fourier canvas with L-BFGS, and of pixels with Adam in the same number of seconds."""
    canvas = Fourier(None, (1, *size), noise())
    optimizer = lbfgs(canvas.parameters)
    start = time.perf_counter()
    ours, _ = run(canvas, loss, optimizer, steps, scale=LBFGS_SCALE)
    budget = time.perf_counter() - start
    pixels = Pixels((0.5 + 0.01 * torch.randn(1, 3, *size, generator=noise())).clamp(0, 1))
    start = time.perf_counter()
    adam = torch.optim.Adam(pixels.parameters, 0.02)
    for moment in optimize(pixels, loss, adam, 10**6, lambda done: pixels.clamp(), seconds=0):
        theirs = moment
        if time.perf_counter() - start > budget:
            break
    print(
        f"{title:58} {quality(ours)} after {ours.done} evaluations; pixels + Adam {quality(theirs)} after "
        f"{theirs.done}, in {budget:.0f} s each",
        flush=True,
    )


def comparisons(model) -> None:
    network = Network(model, (224, 224))
    see, wanted = texture_sample(model, network)

    def texture(x):
        found = see(x)
        return {layer: relative_distance(gram(found[layer]), wanted[layer]) / len(KNOWN) for layer in KNOWN}

    def last(moment):
        return f"{sum(curve[-1] for curve in moment.curves.values()):.5f}"

    against_pixels("texture of the brick: Gram loss", (224, 224), texture, 150, last)
    photo = torch.from_numpy(model.see(PhotoInput(decode(sample("chelsea")))).pixels).permute(2, 0, 1)[None] / 255
    for layer in ("blocks.0", "blocks.2", "blocks.4"):
        features = Features(network, [layer])
        with torch.no_grad():
            content = features(photo)[layer]

        def inversion(x, layer=layer, features=features, content=content):
            return {"f": relative_distance(features(x)[layer], content), "tv": regularizers.total_variation(x)}

        def fidelity(moment):
            return f"{psnr((moment.images.clamp(0, 1) - photo).square().mean().item()):.1f} dB"

        against_pixels(f"inversion of chelsea at {layer}", (224, 224), inversion, 120, fidelity)


def timed(title: str, name: str, **inputs):
    start = time.perf_counter()
    result = timmscope.run(name, **inputs)
    print(f"{title:58} {time.perf_counter() - start:5.1f} s  ", end="")
    return result


def quality() -> None:
    """The figures of the techniques' defaults."""
    for label in CLASSES:
        result = timed(f"gradient ascent, {label}, three seeds", "gradient_ascent", target=label, seeds=3)
        opinion = result["second_opinion"]
        print(f"second model {opinion.values[opinion.target]:.2f}   (aim .5 or more)", flush=True)
    result = timed("feature inversion of chelsea", "feature_inversion", image="sample:chelsea")
    print(*result["reconstructions"].captions[1:], "  (aim 40, 21, 17 or more)", flush=True)
    result = timed("texture of the brick", "texture", image="sample:brick")
    loss = sum(curve[-1] for curve in result["gram_loss"].values())
    print(f"Gram loss {loss:.5f}   (aim .002 or less)", flush=True)
    timed("style of tissue on chelsea", "style_transfer", content="sample:chelsea", style="sample:tissue")
    print(flush=True)
    timed("deepdream of china", "deepdream", image="sample:china")
    print(flush=True)
    timed("Efros and Leung's brick", "texture_patchwise", image="sample:brick")
    print(flush=True)


def fooled(folder: Path, count: int = 20) -> None:
    """How many photos become a koala within 2 / 255, by the PNGs."""
    photos = sorted(p for p in folder.iterdir() if p.suffix.lower() in (".jpg", ".png") and "koala" not in p.name)
    photos, successes, levels, steps, second = photos[:: len(photos) // count][:count], 0, [], [], 0
    with tempfile.TemporaryDirectory() as place, timmscope.lend(LITE0) as model:
        for photo in photos:
            result = timmscope.run("fooling", image=str(photo), target="koala")
            result.save(place)
            png = Image.open(Path(place) / "fooled.png")
            change = np.asarray(png, int) - np.asarray(Image.open(Path(place) / "original.png"), int)
            levels.append(int(abs(change).max()))
            successes += model.labels[int(model.score_photo(png, fit=True).values.argmax())] == "koala"
            steps.append(result.arrays["objective"].shape[1])
            second += result["opinions"][0][4] > 0.5
    print(
        f"fooling {len(photos)} photos at 2/255: {successes} fooled, largest change {max(levels)} levels, "
        f"median {statistics.median(steps):g} steps; the second model is fooled by {second}   (aim all, 2)"
    )


if __name__ == "__main__":
    with timmscope.lend(LITE0) as lent:
        overheads(lent)
        comparisons(lent)
    quality()
    if len(sys.argv) > 1:
        fooled(Path(sys.argv[1]))
