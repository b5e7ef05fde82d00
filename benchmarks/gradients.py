"""Ratios of the gradient techniques to what they cannot do without, in one run on one machine.

    python -m benchmarks.gradients [repeats]

The two sides of a ratio are run in turn, so that a drifting machine slows both; medians are compared.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable

import captum.attr
import timm
import torch

import timmscope
from timmscope.registry.photos.decoding import decode
from timmscope.registry.runs.inputs import sample
from timmscope.techniques.activations.occlusion import occlusion
from timmscope.techniques.gradients.grad_cam import grad_cam
from timmscope.techniques.gradients.saliency import saliency


def seconds(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def compare(title: str, ours: Callable[[], object], theirs: Callable[[], object], repeats: int, aim: float) -> None:
    """Time two callables in turn and print the ratio of their medians."""
    ours(), theirs()
    pairs = [(seconds(ours), seconds(theirs)) for _ in range(repeats)]
    a, b = (statistics.median(side) for side in zip(*pairs))
    print(f"{title:58} {a * 1e3:8.1f} ms / {b * 1e3:8.1f} ms = {a / b:5.2f}   (aim {aim} or less)")


def last(steps) -> object:
    """Run a streaming technique to its end."""
    for step in steps:
        result = step
    return result


def main(repeats: int) -> None:
    """Print the ratios."""
    with timmscope.lend("tf_efficientnet_lite0") as model:
        photo = timmscope.PhotoInput(decode(sample("chelsea")))
        seen = model.see(photo)
        layer = model.default_layer

        def bare() -> None:
            x = seen.input.clone().requires_grad_()
            model.module(x).amax().backward()

        compare("saliency / forward+backward", lambda: last(saliency(model, photo)), bare, repeats, 1.15)
        compare("Grad-CAM / forward+backward", lambda: grad_cam(model, photo, layer=layer), bare, repeats, 1.15)

        plain = timm.create_model("tf_efficientnet_lite0").eval().requires_grad_(False)
        plain.load_state_dict(model.module.state_dict())
        target = int(plain(seen.input).argmax())
        score = torch.nn.Sequential(plain, torch.nn.Softmax(1))
        x = seen.input.contiguous()

        def reference(batch: int) -> object:
            with torch.no_grad():
                return captum.attr.Occlusion(score).attribute(
                    x, (3, 56, 56), (3, 14, 14), target=target, perturbations_per_eval=batch
                )

        times = {
            batch: statistics.median(seconds(lambda b=batch: reference(b)) for _ in range(3))
            for batch in (1, 2, 4, 8, 16, 32)
        }
        fastest = min(times, key=times.get)
        print("Captum's Occlusion by perturbations_per_eval: " + ", ".join(f"{b}: {t:.2f} s" for b, t in times.items()))
        compare(
            f"occlusion / Captum's (perturbations_per_eval={fastest})",
            lambda: last(occlusion(model, photo)),
            lambda: reference(fastest),
            max(3, repeats // 5),
            0.8,
        )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 30)
