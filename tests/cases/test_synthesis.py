"""Pictures that are made: what is said of them is true of them."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from PIL import Image
from timm.data import create_transform, resolve_data_config

import timmscope
from timmscope import Declined, synthesis
from timmscope.registry.plugins.discovery import plugins
from timmscope.synthesis import transforms

from .. import toys
from ..references import CHELSEA, EMBEDDED, plain


def seen(picture: np.ndarray, layers) -> dict[str, torch.Tensor]:
    """The outputs of layers of the plain network on a picture as it is, uint8 [height, width, 3]."""
    network, found = plain(EMBEDDED), {}
    config = resolve_data_config(pretrained_cfg=network.pretrained_cfg)
    mean, std = (torch.tensor(config[key]).view(3, 1, 1) for key in ("mean", "std"))
    handles = [
        network.get_submodule(name).register_forward_hook(lambda m, i, o, n=name: found.update({n: o.clone()[0]}))
        for name in layers
    ]
    with torch.no_grad():
        network((torch.from_numpy(picture).permute(2, 0, 1) / 255 - mean).div(std)[None])
    for handle in handles:
        handle.remove()
    return found


def distance(a: torch.Tensor, b: torch.Tensor) -> float:
    return float((a - b).square().sum() / b.square().sum())


def grams(values: dict) -> dict:
    flat = {name: value.flatten(1) for name, value in values.items()}
    return {name: value @ value.T / value.shape[1] for name, value in flat.items()}


def variation(picture: np.ndarray) -> float:
    """Mean square of the steps to the right and down, a pixel and colour."""
    x = picture / 255.0
    return float((np.diff(x, axis=1)[:-1] ** 2 + np.diff(x, axis=0)[:, :-1] ** 2).mean())


GRAMS = ("bn1", *(f"blocks.{i}.0.bn1" for i in (1, 2, 3, 4)))  # of texture and style
CAT = np.array(Image.open(CHELSEA))[40:264, 100:324]
BUDGETS = (1, 5, 20)


def style_loss(picture: np.ndarray, style: np.ndarray) -> float:
    made, wanted = grams(seen(picture, GRAMS)), grams(seen(style, GRAMS))
    return sum(distance(made[name], wanted[name]) for name in GRAMS) / len(GRAMS)


def texture(steps: int):
    """Pictures with what is said of them: name of a curve, its last value, and the loss of the picture itself."""
    for step in timmscope.stream("texture", image=CAT, size=64, steps=steps):
        values = getattr(step, "outputs", step)
        total = sum(curve[-1] for curve in values["gram_loss"].values())
        yield step, values["texture"], {"Gram loss": (total, style_loss(values["texture"], CAT))}


def style(steps: int):
    content, painting = CAT[:48, :64], CAT[100:164, 60:124]
    for step in timmscope.stream("style_transfer", content=content, style=painting, size=64, steps=steps, tv=0.3):
        values = getattr(step, "outputs", step)
        picture, layer = values["image"], "blocks.3.0.bn1"
        true = {
            "content": 0.03 * distance(seen(picture, [layer])[layer], seen(content, [layer])[layer]),
            "style": style_loss(picture, painting),
            "total variation": 0.3 * variation(picture),
        }
        yield step, picture, {name: (curve[-1], true[name]) for name, curve in values["losses"].items()}


def inversion(steps: int):
    layer = "blocks.0"
    for step in timmscope.stream("feature_inversion", image=CHELSEA, layers=[layer], steps=steps):
        values = getattr(step, "outputs", step)
        photo, picture = values["reconstructions"].items
        true = distance(seen(picture, [layer])[layer], seen(photo, [layer])[layer]) + variation(picture)
        decibels = -10 * np.log10(np.square(picture / 255.0 - photo / 255.0).mean())
        caption = float(values["reconstructions"].captions[1].split()[1])
        assert caption == pytest.approx(decibels, abs=0.051)
        yield step, picture, {"objective": (values["objective"][layer][-1], true)}


@pytest.mark.case(10)
@pytest.mark.parametrize("make", [texture, style, inversion])
def test_a_picture_after_so_many_steps_has_the_loss_that_is_said(make):
    made = {}
    for steps in BUDGETS:
        for shown in make(steps):
            for name, (said, true) in shown[2].items():
                assert said == pytest.approx(true, rel=0.03, abs=2e-5), (steps, name)
        step, picture, losses = shown
        made[steps] = picture, sum(said for said, _ in losses.values())
        said = {f"{value:.2g}" for value, _ in losses.values()} | {f"{value:.3g}" for value, _ in losses.values()}
        assert said & set(re.findall(r"[\d.e-]+\d", step.notes[0]))
        (curves,) = (step.arrays[port.name] for port in step.technique.outputs if type(port) is timmscope.Curves)
        assert curves.shape[1] == steps
    assert made[1][1] > made[5][1] > made[20][1]
    assert not any(np.array_equal(made[a][0], made[b][0]) for a, b in ((1, 5), (5, 20)))


OPTIMIZERS = {
    "L-BFGS": synthesis.lbfgs,
    "Adam": lambda parameters: torch.optim.Adam(parameters, 0.02),
    "NAdam": lambda parameters: torch.optim.NAdam(parameters, 0.02),
    "descent": lambda parameters: synthesis.Descent(parameters, 0.01, torch.sign, 0.9),
}


@pytest.mark.case(10)
@pytest.mark.parametrize("steps", [1, 2, 5, 20, 47])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_step_is_an_image_with_its_own_loss(name, steps):
    noise = torch.Generator().manual_seed(0)
    canvas = (
        synthesis.Fourier(None, (1, 16, 16), noise) if name == "L-BFGS" else synthesis.Pixels(torch.zeros(1, 3, 8, 8))
    )
    wanted, calls = torch.rand(canvas().shape, generator=noise), []

    def loss(images):
        calls.append(1)
        return {"a": (images - wanted).square().mean(), "b": 0.1 * images.abs().mean()}

    optimizer = OPTIMIZERS[name](canvas.parameters)
    before = [0] * 3
    for step in synthesis.optimize(canvas, loss, optimizer, steps, seconds=0):
        a, b = (step.images - wanted).double().square().mean(), 0.1 * step.images.double().abs().mean()
        assert [step.curves["a"][-1], step.curves["b"][-1]] == pytest.approx([float(a), float(b)], rel=1e-5)
        assert len(step.curves["a"]) == len(step.curves["b"]) == step.done
        assert step.curves["a"][: len(before)] == before or before == [0] * 3  # what was said stays
        before = step.curves["a"]
    assert step.last
    assert step.done == steps
    assert len(calls) == steps + 1  # and that of the start


@pytest.mark.case(10)
def test_a_loss_of_random_views_is_said_of_the_last_view_of_the_picture_shown():
    noise = torch.Generator().manual_seed(3)
    canvas, view = synthesis.Pixels(torch.rand(1, 3, 16, 16, generator=noise)), transforms.noise(0.3, noise)
    log = []

    def loss(images):
        value = view(images).square().mean()
        log.append((images.detach().clone(), float(value.detach())))
        return {"loss": value}

    after = []
    steps = synthesis.optimize(canvas, loss, torch.optim.Adam(canvas.parameters, 0.02), 9, after.append, seconds=0)
    for step in steps:
        images, value = log[step.done]
        assert torch.equal(step.images, images)
        assert step.curves["loss"][-1] == value
    assert len(log) == 10
    assert after == list(range(1, 10))
    assert torch.equal(step.images, canvas())


@pytest.mark.case(10)
def test_the_curve_of_fooling_ends_at_the_fooled_picture():
    for steps in (1, 3):
        result = timmscope.run("fooling", image=CHELSEA, target="koala", steps=steps, epsilon=1, second_model="")
        exact = next(row for row in result["opinions"] if row[0] == "koala")[2]
        assert result.arrays["objective"].shape == (1, steps)
        assert result.arrays["objective"][0, -1] == pytest.approx(-np.log(exact), rel=1e-3)


def percent(picture: Image.Image, **changes) -> str:
    """The best class of the plain network for a photo that timm itself puts into it, as a note has it."""
    config = resolve_data_config(pretrained_cfg=plain(EMBEDDED).pretrained_cfg) | changes
    with torch.no_grad():
        values = plain(EMBEDDED)(create_transform(**config, is_training=False)(picture)[None])[0].softmax(0)
    best = int(values.argmax())
    with timmscope.lend(EMBEDDED, "random") as model:
        return f"{model.labels[best]} {float(values[best]):.1%}"


@pytest.mark.case(15)
@pytest.mark.case(40)
def test_what_is_left_of_the_saved_picture_is_measured_and_said(tmp_path):
    result = timmscope.run("fooling", image=CHELSEA, target="goldfish", second_model="")
    result.save(tmp_path)
    saved = Image.open(tmp_path / "fooled.png")
    for quality in (95, 100):
        saved.save(tmp_path / f"{quality}.jpg", quality=quality)
    whole = {"crop_pct": 1.0, "crop_mode": "squash"}
    png, cropped = percent(saved, **whole), percent(saved)
    jpeg, best_jpeg = (percent(Image.open(tmp_path / f"{quality}.jpg"), **whole) for quality in (95, 100))
    assert png.startswith("goldfish")
    assert not cropped.startswith("goldfish")
    assert not jpeg.startswith("goldfish") or share(jpeg) < share(png)
    assert not best_jpeg.startswith("goldfish") or share(best_jpeg) < share(png)
    expected = (
        f"fooled.png loaded again is seen as follows: whole (fit) {png}, cropped as photos are by default {cropped}, "
        f"whole from a JPEG of quality 95 {jpeg}."
    )
    assert expected in result.notes
    assert expected in result.recipe["notes"]
    for fit, as_said in ((False, cropped), (True, png)):  # what a technique says of the file
        (best,) = timmscope.run("saliency", image=tmp_path / "fooled.png", samples=1, fit=fit)["scores"].top(1).items()
        assert f"{best[0]} {best[1]:.1%}" == as_said
    reading = plugins().technique("fooling").sections["How to read it"]
    assert "fit" in reading
    assert "JPEG" in reading


def share(text: str) -> float:
    return float(text.rsplit(" ", 1)[1].rstrip("%"))


@pytest.mark.case(15)
def test_how_a_picture_of_a_class_is_seen_when_it_is_loaded_again_is_measured_and_said():
    result = timmscope.run("gradient_ascent", target="koala", steps=8, size=96, canvas="fourier", second_model="")
    picture = Image.fromarray(result["image"])
    whole, cropped = percent(picture, crop_pct=1.0, crop_mode="squash"), percent(picture)
    expected = f"whole (fit) {whole}, cropped as photos are by default {cropped}."
    assert f"image.png loaded again is seen as follows: {expected}" in result.notes
    assert f"{result['scores'].values.max():.1%}" == whole.rsplit(" ", 1)[1]


class Deep(toys.Tiny):
    """Has a layer that is no grid: the first seven cells of each unit."""

    def __init__(self):
        super().__init__()
        self.deep = torch.nn.LayerNorm(7)

    def forward(self, x):
        return self.classifier(self.deep(self.act(self.conv(x)).flatten(2)[:, :, :7]).mean(2))


def test_a_layer_that_cannot_be_inverted_is_refused_before_any_other_is(monkeypatch):
    source = timmscope.ModelSource("deep", lambda: Deep().state_dict(), "test", build=Deep)
    monkeypatch.setitem(plugins().model_sources, "deep", source)
    with pytest.raises(Declined, match="deep"):
        next(timmscope.stream("feature_inversion", image=CHELSEA, layers=["conv", "deep"], model="deep"))
