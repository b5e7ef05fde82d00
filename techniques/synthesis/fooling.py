"""Fooling: the small change of a photo that makes the network say something else."""

from collections.abc import Iterator
from typing import Annotated

import timmscope as ts

SURE = 0.9  # probability of the target at which the change is strong enough
MOMENTUM = 0.9  # of the gradient: without it the steps go to and fro at the border of the ball
LISTED = 3  # classes of each opinion in the table
QUALITY = 95  # of the JPEG that is tried


@ts.technique(
    "Fooling",
    family="Synthesis",
    gpu_seconds=lambda steps: 8 + steps / 20,
    outputs=[
        ts.Picture("fooled", "Fooled"),
        ts.Picture("difference", "Difference (grey is none)"),
        ts.Picture("difference_10x", "Difference x 10"),
        ts.Scores("scores", "Scores of the fooled picture, in 8 bit"),
        ts.Picture("original", "Original"),
        ts.Table("opinions", "Opinions", ("Class", "Original", "Fooled", "Fooled, 8 bit", "Second model")),
        ts.Curves("objective", "Objective"),
    ],
)
def fooling(
    model: ts.VisionModel,
    image: Annotated[ts.PhotoInput, ts.Photo("Photo")],
    target: Annotated[int | None, ts.Target("Class to be seen")] = None,
    norm: Annotated[str, ts.Choice("Norm", ("linf", "l2"))] = "linf",
    epsilon: Annotated[float, ts.Number("Epsilon", 0.25, 64)] = 2,
    steps: Annotated[int, ts.Number("Steps", 1, 500)] = 20,
    second_model: Annotated[str, ts.ModelName("Second model")] = "tf_efficientnet_lite2",
) -> Iterator[ts.Outputs]:
    r"""Change a photo so little that nobody sees it, and the network says whatever you want.

    What you see:
        The photo as the network sees it and the fooled one look the same. Their difference is shown as it is, and ten
        times stronger: it does not look like the class at all.

    How it works:
        Projected gradient descent on the cross-entropy of the wanted class $c$, from the photo $I_0$. After each step
        the image is put back into the ball of radius $\epsilon$ around the photo, $\Pi$:
        $$I \leftarrow \Pi\big(I + \alpha \, \mathrm{sign} \nabla_I \log p_c(I)\big), \qquad
        \lVert I - I_0 \rVert \le \epsilon$$
        For the norm l2 the step goes along $\nabla / \lVert \nabla \rVert_2$ instead; $\nabla$ has momentum.
        It ends once the picture rounded to 8 bit is the class with 90 %. The bound holds
        for the rounded picture, the one you can save.

    How to read it:
        That it is so easy is a property of trained networks, not of the photo. Read the second model's opinion: it
        is rarely fooled by a change made for another. The saved picture is what the network sees. Loaded again as a
        photo it is cropped and scaled like any other, which undoes most of the change: choose `fit`. A JPEG keeps less
        than the PNG. A note says what the network sees in each.

    Source:
        Szegedy et al. 2014, "Intriguing properties of neural networks"; Madry et al. 2018
        (projected gradient descent); Dong et al. 2018 (momentum).

    Args:
        image: The photo to change.
        target: Class index or label text that the network is to see; empty for the second best one.
        norm: linf bounds the change of every pixel, l2 the length of the whole change.
        epsilon: The bound, 0.25 to 64: for linf in grey levels of 255, for l2 with pixels from 0 to 1.
        steps: Largest number of steps, 1 to 500.
        second_model: Name of a model for the second opinion; empty for none.

    Raises:
        Declined: The model has no classes, or there is no gradient.
        InvalidInput: There is no such class, or the bound is below one grey level.
    """
    import torch
    import torch.nn.functional as F

    from timmscope.synthesis import Descent, Network, Pixels, optimize, projections, regularizers, to_uint8

    from ..shared import opinion

    if not model.classifies:
        raise ts.Declined(f"{model.name} has no classes to be fooled about.")
    if norm == "linf" and epsilon < 1:
        raise ts.InvalidInput(
            "epsilon", epsilon, "at least 1 grey level for the norm linf", "Less is lost in rounding."
        )
    network, seen = Network(model, model.size), model.see(image)
    original = torch.from_numpy(seen.pixels).to(model.device).permute(2, 0, 1)[None] / 255
    with torch.no_grad():
        before = network.logits(original)[0]
    target = int(before.topk(min(2, len(before))).indices[-1]) if target is None else target
    second = opinion.Second(second_model, model, model.labels[target])
    radius = epsilon / 255 if norm == "linf" else epsilon
    step = max(radius / 4, 1 / 255) if norm == "linf" else radius / 4
    canvas, ball = Pixels(original), projections.Ball(original, norm, radius)
    wanted = torch.tensor([target], device=model.device)

    def loss(images):
        return {"-log p": F.cross_entropy(network.logits(images), wanted)}

    rule = torch.sign if norm == "linf" else regularizers.unit_norm
    optimizer = Descent(canvas.parameters, step, rule, MOMENTUM)
    for moment in optimize(canvas, loss, optimizer, steps, ball.onto(canvas), seconds=0):
        rounded = ball.rounded(moment.images)
        with torch.no_grad():
            exact, after = network.logits(torch.cat([moment.images, rounded]))
        done = moment.last or after.softmax(0)[target] >= SURE
        fooled = to_uint8(rounded)[0]
        difference, difference_10x = (difference_picture(rounded - original, gain) for gain in (1, 10))
        outputs = ts.Outputs(fooled=fooled, difference=difference, difference_10x=difference_10x, original=seen.pixels)
        outputs |= {"scores": model.scores(after, target), "objective": moment.curves}
        if done:
            break
        if moment.done % 5 == 1:
            yield outputs.at(moment.done, steps).note(*second.notes)
    opinions = [model.scores(logits) for logits in (before, exact, after)] + second.ask([fooled])
    outputs["opinions"] = table(opinions, model.labels[target])
    size = ball.size(rounded) * (255 if norm == "linf" else 1)
    yield outputs.at(moment.done, moment.done).note(
        f"{model.labels[int(before.argmax())]} became {model.labels[int(after.argmax())]} in {moment.done} steps; "
        f"the change is {size:.3g} {'of 255 grey levels at most' if norm == 'linf' else 'long'}.",
        opinion.loaded_again(model, "fooled.png", fooled, QUALITY),
        *second.notes,
    )


def difference_picture(difference, gain: float):
    """A difference of images from -1 to 1 as a picture in which grey is none."""
    from timmscope.synthesis import to_uint8

    return to_uint8(0.5 + gain * difference)[0]


def table(opinions, target: str) -> list[list]:
    """A row for the target and for each class among the best of an opinion; a column per opinion, None without one."""
    rows = dict.fromkeys([target, *(label for scores in opinions for label in list(scores.top(LISTED))[:LISTED])])
    columns = [{scores.labels[i]: float(value) for i, value in enumerate(scores.values)} for scores in opinions]
    columns += [{}] * (4 - len(columns))  # no second opinion
    return [[label, *(column.get(label) for column in columns)] for label in rows]  # not every model has every class


@ts.hookimpl
def register_techniques(register):
    register(fooling)
