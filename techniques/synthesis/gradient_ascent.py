"""Gradient ascent: the picture that a class, a unit or a neuron likes best."""

from collections.abc import Iterator, Sequence
from typing import Annotated

import timmscope as ts

REGULARIZERS = ("l2", "blur", "clip_pixels", "clip_gradients")
WORKING = 160  # side of the crops that the network sees, in pixels
SHOWPIECE = "koala"  # the class when none is given


@ts.technique(
    "Gradient ascent",
    family="Synthesis",
    gpu_seconds=lambda steps, seeds: 8 + steps * (3 + seeds) / 100,
    outputs=[
        ts.Picture("image", "Best picture"),
        ts.Scores("scores", "Scores"),
        ts.Scores("second_opinion", "Scores by a second model", optional=True),
        ts.Gallery("images", "All pictures, best first"),
        ts.Curves("objective", "Objective"),
    ],
)
def gradient_ascent(
    model: ts.VisionModel,
    target: Annotated[int | None, ts.Target("Class")] = None,
    layer: Annotated[str, ts.Layer("Layer", optional=True)] = "",
    unit: Annotated[int | None, ts.Unit("Unit")] = None,
    position: Annotated[tuple | None, ts.Position("Position", resized=True)] = None,
    canvas: Annotated[str, ts.Choice("Canvas", ("maco", "fourier", "pixels"))] = "maco",
    regularizers: Annotated[Sequence[str], ts.Choices("Regularizers of pixels", REGULARIZERS)] = REGULARIZERS,
    facets: Annotated[int, ts.Number("Facets", 1, 6)] = 1,
    steps: Annotated[int, ts.Number("Steps", 1, 2048)] = 256,
    size: Annotated[int, ts.Number("Size", 32, 512)] = 256,
    seed: Annotated[int, ts.Number("Seed", 0, 2**31 - 1)] = 0,
    seeds: Annotated[int, ts.Number("Seeds at once", 1, 6)] = 1,
    second_model: Annotated[str, ts.ModelName("Second model")] = "tf_efficientnet_lite2",
) -> Iterator[ts.Outputs]:
    r"""The picture that a class, a unit or a single neuron likes best, made from noise.

    What you see:
        What the network would like to see: for a class the parts that make it out, such as a koala's nose and ears;
        for a unit of a layer its pattern, from stripes in early layers to eyes and wheels in late ones.

    How it works:
        Not the weights but the image $I$ is optimised, for an unnormalised class score, or a unit's mean before its
        activation:
        $$I^* = \arg\max_I \; S(I) - \lambda \lVert I \rVert_2^2$$
        The canvas says how. "pixels" is the lecture's: steps along $g / \lVert g \rVert$ from a zero image, with the
        norm above, a blur every fourth step, and small pixels and small gradients set to zero; $g$ is averaged over
        several blurs. "fourier" optimises a spectrum in independent colours. "maco" optimises only the
        spectrum's phase; its magnitude is that of photos. Of a class both see random crops with noise, of a unit slight
        turns.

    How to read it:
        The model's own score says nothing, since any noise can be driven to 100 %: read the second model's. A picture
        shows what is enough for the class, not all that the class can be; try several seeds or facets. The curve is of
        what the network saw at each step, crops or turns at random; captions and scores are of the whole picture.
        Loaded again as a photo it is cropped like any other: choose `fit` for the same scores.

    Source:
        Simonyan et al. 2013; Yosinski et al. 2015 (regularizers); Nguyen et al. 2016 (facets); Olah et al. 2017
        (Fourier canvas); Fel et al. 2023, "Unlocking Feature Visualization for Deeper Networks with MAgnitude
        Constrained Optimization" (MACO).

    Args:
        target: Class index or label text, when no layer is given; empty for koala, or class 0 of a model without it.
        layer: Name of a layer, to show a unit of it; empty to show a class.
        unit: Channel of the layer, by index; -1 for the one the first noise excites most.
        position: Row and column in the layer's output, such as "3, 5", for one neuron; empty for the whole channel.
        canvas: maco (whole objects), fourier (rich patterns, best for units) or pixels (the lecture's).
        regularizers: For the canvas pixels: any of l2, blur, clip_pixels, clip_gradients.
        facets: 1 to 6; from 2 on each picture starts from the mean of a cluster of the sample crops that excite most.
        steps: Changes of the picture, 1 to 2048.
        size: Side of the picture, 32 to 512 pixels.
        seed: Seed of the noise, the crops and the clusters.
        seeds: Pictures from different noise, 1 to 6, best first; with facets, there is one per facet instead.
        second_model: Name of a model for the second opinion; empty for none.

    Raises:
        Declined: There is no gradient, or the layer has neither a grid nor one value per unit.
        InvalidInput: The layer has no such unit or position.
    """
    import torch

    from timmscope.synthesis import Network, ascend

    from ..embedded import sample_photos
    from ..shared import ascent, opinion
    from ..shared.facets import crops_of, facet_means

    whole = bool(layer) or canvas == "pixels"  # else the network sees crops
    count = facets if facets > 1 else seeds
    network = Network(model, (size, size) if whole else (min(WORKING, *model.size),) * 2, count if whole else 2 * count)
    photos, generator = sample_photos.photographs(), torch.Generator().manual_seed(seed)
    seen = ascent.views(canvas, bool(layer), bool(position), network, generator)
    crops = crops_of(photos, size, seed, network) if facets > 1 else None

    def method(start=None):
        shape = (count, size, size)
        return ascent.method_of(canvas, start, shape, steps, generator, photos, network, regularizers)

    def first():
        """What the network sees first; of noise, the same noise and view come once more."""
        begun = generator.get_state()
        images = seen(method().canvas()) if crops is None else crops[:1]
        generator.set_state(begun)
        return images

    if layer:
        made_for = ascent.unit_subject(network, layer, unit, position, first)
    else:
        target = showpiece(model) if target is None else target
        made_for = ascent.class_subject(model, target)
    label, score = made_for.label, made_for.objective.on(network)
    second = opinion.Second(second_model, model, "" if layer else label)
    start = None if crops is None else facet_means(network, score, crops, facets, seed)
    how = method(start)
    for step in ascend(how.canvas, score, how.optimizer, steps, seen, how.after, how.terms):
        curve = [-value for value in step.curves["-S"]]
        outputs = ts.Outputs(objective={"S": curve}).at(step.done, steps)
        if not step.last:
            outputs |= {"image": step.pictures[0], "images": ts.Captioned(step.pictures, [label] * len(step.images))}
            yield outputs.note(f"{label}: S = {curve[-1]:.3g}.", *second.notes)

    with torch.no_grad():
        values = score(step.images).tolist()
    best, more = ranked(model, second, step.pictures, values, label, None if layer else target)
    outputs |= more
    mean = "a mean of " if count > 1 else ""
    outputs.note(
        f"{label}: S = {values[best]:.3g} for the whole picture, {mean}{curve[-1]:.3g} for what was seen last.",
        opinion.loaded_again(model, "image.png", step.pictures[best]),
    )
    if made_for.silent(score, step.images):
        outputs.note(f"{label} never fires: before its activation it stays below zero.")
    yield outputs.note(*second.notes)


def ranked(model, second, pictures, values: list[float], label: str, target: int | None):
    """The pictures from the best to the worst, by the second model where it knows the class, else by their values.

    Returns:
        Index of the best, and the outputs that depend on the order.
    """
    from ..shared import opinion

    own, others = opinion.scores(model, pictures, target), second.ask(pictures)
    rank = values
    if others and others[0].target is not None:
        rank = [float(scores.values[scores.target]) for scores in others]
    order = sorted(range(len(values)), key=lambda i: -rank[i])
    best = order[0]
    captions = [f"{label}: S = {values[i]:.3g}" for i in order]
    if rank is not values:
        captions = [f"{text}; second model {rank[i]:.0%}" for text, i in zip(captions, order)]
    return best, {
        "image": pictures[best],
        "scores": own[best],
        "second_opinion": others[best] if others else ts.Absent(second.why),
        "images": ts.Captioned(pictures[order], captions),
    }


def showpiece(model: ts.VisionModel) -> int:
    """The class to show when none is given."""
    try:
        return model.labels.find(SHOWPIECE)
    except ts.InvalidInput:
        return 0


@ts.hookimpl
def register_techniques(register):
    register(gradient_ascent)
