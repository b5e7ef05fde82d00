"""Pictures that are made: what is said of them is true of them, and what there is not is absent."""

from __future__ import annotations

import asyncio
import io
import json
import re

import httpx
import numpy as np
import pytest
import torch
from click.testing import CliRunner
from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client
from PIL import Image
from timm.data import create_transform, resolve_data_config

import timmscope
from timmscope import Absent, Declined, InvalidInput, ModelUnavailable
from timmscope.registry import synthesis
from timmscope.registry.cli import cli
from timmscope.registry.plugins.discovery import plugins
from timmscope.registry.synthesis import optimizers, transforms

from .. import toys
from ..references import CHELSEA, EMBEDDED, plain

NO_REPOSITORY = "mobilenetv2_035"  # timm knows no weights of it, so that no network can bring them
TOO_LARGE = "vit_gigantic_patch14_224"
TINY = {"model": "test_convnext", "weights": "random", "size": 64, "steps": 3}
SECOND = {"gradient_ascent": {"size": 64}, "fooling": {"image": CHELSEA}}  # techniques that ask a second model


def opinion(technique: str, **inputs):
    """A short run of a technique that asks a second model."""
    short = {"model": "test_convnext", "weights": "random", "steps": 1, "target": 3}
    return timmscope.run(technique, **short | SECOND[technique] | inputs)


def refuse():
    raise ModelUnavailable("never_there: it is on the moon. Look up.")


@pytest.fixture
def sources(monkeypatch):
    """Models of plugins: one that cannot be had, others with classes of their own."""
    for source in (
        timmscope.ModelSource("never_there", refuse, "the moon", build=toys.Tiny),
        toys.source("ten_classes"),
        toys.source("twelve_classes", classes=12),
        toys.source("no_classes", classes=0),
        toys.source("many_channels", channels=12),
    ):
        monkeypatch.setitem(plugins().model_sources, source.name, source)


ABSENT = [
    (NO_REPOSITORY, "timm names no hub repository"),
    (TOO_LARGE, "million parameters; here at most"),
    ("never_there", "it is on the moon"),
    ("many_channels", "takes 12 channels"),
    ("", "no second model is named"),
    ("no_classes", "has no classes"),
]


@pytest.mark.case(4)
@pytest.mark.parametrize(("second", "why"), ABSENT)
def test_without_a_second_model_nobody_gives_a_second_opinion(second, why, sources, tmp_path):
    result = opinion("gradient_ascent", second_model=second)
    absent = result["second_opinion"]
    assert isinstance(absent, Absent)
    assert not absent
    assert absent.why.startswith("No second opinion: ")
    assert why in absent.why
    assert [note for note in result.notes if "opinion" in note] == [absent.why]
    assert result.recipe["notes"] == list(result.notes)
    result.save(tmp_path)
    with np.load(tmp_path / "arrays.npz") as arrays:
        assert set(arrays) == {"image", "scores", "images", "objective"}
    assert "second model" not in " ".join(result["images"].captions)


@pytest.mark.case(4)
@pytest.mark.parametrize(("second", "why"), ABSENT)
def test_a_column_of_which_nothing_is_known_is_empty(second, why, sources):
    result = opinion("fooling", second_model=second)
    assert all(row[4] is None and None not in row[:4] for row in result["opinions"])
    assert np.isnan(result.arrays["opinions"][:, 3]).all()
    assert np.isfinite(result.arrays["opinions"][:, :3]).all()
    assert any(note.startswith("No second opinion: ") and why in note for note in result.notes)


@pytest.mark.case(4)
def test_what_is_absent_is_said_in_html_and_figure():
    result = opinion("gradient_ascent", second_model=NO_REPOSITORY)
    sentence = result["second_opinion"].why
    html = re.sub("<[^>]+>", " ", result._repr_html_()).replace("&#x27;", "'")
    assert f"Scores by a second model: {sentence}" in html
    panel = next(ax for ax in result.figure().axes if ax.get_title() == "Scores by a second model")
    assert " ".join(panel.texts[0].get_text().split()) == sentence
    assert not panel.patches  # no bars

    result = opinion("fooling", second_model=NO_REPOSITORY)
    assert "<td>–</td></tr>" in result._repr_html_()
    grid = next(ax for ax in result.figure().axes if ax.get_title().startswith("Opinions")).tables[0]
    assert grid[1, 4].get_text().get_text() == "–"


@pytest.mark.case(4)
def test_what_is_absent_is_absent_over_http(server, cat):
    kind, data = server.call("gradient_ascent", {"steps": 1, "size": 64, "second_model": NO_REPOSITORY})
    assert kind == "complete"
    assert data[1]["confidences"]
    assert data[2]["confidences"] is None
    assert data[2]["label"].startswith(f"No second opinion: {NO_REPOSITORY}")
    assert "timm names no hub repository" in data[2]["label"]
    with np.load(io.BytesIO(server.get_file(data[-2]))) as arrays:
        assert "second_opinion" not in arrays
    assert data[2]["label"] in json.loads(server.get_file(data[-1]))["notes"]

    values = {"image": server.upload(cat), "steps": 1, "second_model": NO_REPOSITORY}
    kind, data = server.call("fooling", values)
    assert kind == "complete"
    assert {row[4] for row in data[5]} == {None}
    assert any("No second opinion" in note for note in json.loads(server.get_file(data[-1]))["notes"])


@pytest.mark.case(4)
def test_what_is_absent_is_absent_over_mcp(server):
    async def talk():
        async with (
            streamable_http_client(f"{server.url}/gradio_api/mcp/") as (read, write, _),
            ClientSession(read, write) as session,
        ):
            await session.initialize()
            return await session.call_tool("gradient_ascent", {"steps": 1, "size": 64, "second_model": NO_REPOSITORY})

    answer = asyncio.run(talk())
    assert not answer.isError, answer
    texts = [part.text for part in answer.content if part.type == "text"]
    (said,) = (text for text in texts if "No second opinion" in text)
    assert "confidence" not in said or "None" in said or "null" in said
    (archive,) = re.findall(r"http\S+?\.npz", " ".join(texts))
    with np.load(io.BytesIO(httpx.get(archive, trust_env=False).content)) as arrays:
        assert "second_opinion" not in arrays


@pytest.mark.case(4)
def test_what_is_absent_is_absent_on_the_command_line(tmp_path):
    words = ["run", "gradient_ascent", "--steps", "1", "--size", "64", "--second-model", NO_REPOSITORY]
    done = CliRunner().invoke(cli, [*words, "--out", str(tmp_path)], prog_name="timmscope")
    assert done.exit_code == 0, done.output
    assert "No second opinion: " in done.stderr
    with np.load(tmp_path / "arrays.npz") as arrays:
        assert "second_opinion" not in arrays


@pytest.mark.case(4)
def test_of_a_class_that_the_second_model_does_not_have_it_says_nothing(sources):
    ascent, fooled = (opinion(name, second_model="ten_classes") for name in SECOND)
    assert ascent["second_opinion"].target is None
    assert len(ascent["second_opinion"].values) == 10
    rows = {row[0]: row[1:] for row in fooled["opinions"]}
    assert rows["tiger shark"][3] is None
    assert rows["tiger shark"][0] is not None
    own = [row for name, row in rows.items() if name.startswith("class ")]  # which the first model does not have
    assert len(own) == 3
    assert all(row[:3] == [None, None, None] and row[3] > 0 for row in own)
    for result in (ascent, fooled):
        assert "ten_classes has no class called tiger shark." in result.notes


@pytest.mark.case(4)
@pytest.mark.parametrize(
    ("second", "why"),
    [
        ("twelve_classes", "have numbers only, and are not those of the model"),
        ("ten_classes", "ten_classes is the model itself"),
    ],
)
def test_an_opinion_on_other_classes_or_of_the_model_itself_is_no_second_one(second, why, sources):
    inputs = {"model": "ten_classes", "weights": "pretrained", "second_model": second}
    ascent = opinion("gradient_ascent", **inputs)
    assert why in ascent["second_opinion"].why
    assert all(row[4] is None for row in opinion("fooling", **inputs)["opinions"])


@pytest.mark.case(4)
@pytest.mark.parametrize("technique", SECOND)
def test_it_is_said_before_the_steps_are_spent(technique):
    inputs = {"model": "test_convnext", "weights": "random", "steps": 100, "second_model": NO_REPOSITORY}
    stream = timmscope.stream(technique, **inputs, **SECOND[technique])
    first = next(stream)
    stream.close()
    assert first.done < 100
    assert any(note.startswith(f"No second opinion: {NO_REPOSITORY}") for note in first.outputs.notes)


NAMES = [(t.name, p.name) for t in plugins().techniques.values() for p in t.parameters if "ModelName" in str(p.port)]


@pytest.mark.parametrize(("technique", "parameter"), NAMES)
def test_a_model_that_there_is_not_is_refused_before_any_is_loaded_by_its_own_parameter(
    technique, parameter, monkeypatch
):
    def lend(*_):
        raise AssertionError("a model is loaded")

    monkeypatch.setattr("timmscope.registry.models.loading.lend", lend)
    photos = {p.name: CHELSEA for p in plugins().technique(technique).parameters if type(p.port) is timmscope.Photo}
    with pytest.raises(InvalidInput, match=f"^{parameter}: got 'resnet51', expected .*resnet50") as refused:
        next(timmscope.stream(technique, **photos, **{parameter: "resnet51"}))
    assert refused.value.parameter == parameter


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
    "L-BFGS": optimizers.lbfgs,
    "Adam": lambda parameters: torch.optim.Adam(parameters, 0.02),
    "NAdam": lambda parameters: torch.optim.NAdam(parameters, 0.02),
    "descent": lambda parameters: optimizers.Descent(parameters, 0.01, torch.sign, 0.9),
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


def flat(value: int, height: int = 40, width: int = 60) -> np.ndarray:
    return np.full((height, width, 3), value, np.uint8)


ODD = {
    "black": flat(0),
    "white": flat(255),
    "grey": flat(128),
    "one pixel": flat(77, 1, 1),
    "30:1": CAT[:7, :210],
    "1:30": CAT[:210, :7],
}


@pytest.mark.case(44)
@pytest.mark.parametrize("name", ODD)
def test_odd_contents_styles_and_textures_give_finite_pictures(name):
    odd = ODD[name]
    results = [
        timmscope.run("style_transfer", content=content, style=style, start=start, **TINY)
        for content, style, start in ((odd, CAT, "content"), (CAT, odd, "content"), (odd, odd, "noise"))
    ]
    results.append(timmscope.run("texture", image=odd, **TINY))
    results.append(timmscope.run("feature_inversion", image=odd, model="test_convnext", weights="random", steps=3))
    for result in results:
        assert all(np.isfinite(array).all() for array in result.arrays.values())
    height, width = odd.shape[:2]
    size = (max(1, round(64 * height / max(height, width))), max(1, round(64 * width / max(height, width))), 3)
    assert results[0]["image"].shape == results[2]["image"].shape == size
    assert results[3]["texture"].shape == (64, 64, 3)


@pytest.mark.case(44)
@pytest.mark.parametrize(
    "weights",
    [
        {"content_weight": 10, "style_weight": 0},
        {"content_weight": 0, "style_weight": 10},
        {"content_weight": 1e-9, "style_weight": 1e-9, "tv": 10},
        {"content_weight": 10, "style_weight": 10, "tv": 10, "start": "noise"},
    ],
    ids=str,
)
def test_extreme_weights_give_finite_pictures(weights):
    result = timmscope.run("style_transfer", content=CAT, style=CHELSEA, **TINY | {"steps": 8}, **weights)
    assert all(np.isfinite(array).all() for array in result.arrays.values())
    totals = [sum(values) for values in zip(*result["losses"].values())]
    assert totals == sorted(totals, reverse=True)


@pytest.mark.case(45)
@pytest.mark.parametrize("shape", [(1, 1, 4), (33, 47, 4), (47, 33, 3), (3, 90, 3), (61, 61, 4)])
def test_dreams_of_any_size_and_of_four_channels(shape):
    photo = np.random.default_rng(0).integers(0, 255, shape, np.uint8)
    options = {"octaves": 8, "octave_scale": 2, "jitter": 64, "size": max(32, max(shape[:2]))}
    result = timmscope.run("deepdream", image=photo, **TINY | options)
    scale = options["size"] / max(shape[:2])
    assert result["image"].shape == (max(1, round(shape[0] * scale)), max(1, round(shape[1] * scale)), 3)
    assert all(np.isfinite(array).all() for array in result.arrays.values())


@pytest.mark.case(45)
def test_shifting_a_dream_leaves_no_seam():
    size = 97
    photo = np.asarray(Image.fromarray(CAT).resize((size, size), Image.Resampling.LANCZOS))
    inputs = {"model": EMBEDDED, "weights": "pretrained", "size": size, "steps": 8, "jitter": 64, "octaves": 2}
    change = timmscope.run("deepdream", image=photo, **inputs)["image"].astype(float) - photo
    for axis in (0, 1):  # a seam is a line across the picture along which the change jumps
        jumps = np.abs(np.diff(change, axis=axis)).mean((1 - axis, 2))
        assert jumps.max() < 3 * np.median(jumps)


@pytest.mark.case(46)
@pytest.mark.parametrize("canvas", ["maco", "fourier", "pixels"])
def test_a_neuron_that_is_dead_is_declined_or_noted(canvas, monkeypatch):
    def weights():
        state = toys.Tiny().state_dict()
        state["conv.weight"][0], state["conv.bias"][0] = 0, -1  # reads nothing
        state["conv.weight"][1], state["conv.bias"][1] = state["conv.weight"][2] / 1000, -1  # reads, but never enough
        return state

    source = timmscope.ModelSource("half_dead", weights, "test", build=toys.Tiny)
    monkeypatch.setitem(plugins().model_sources, "half_dead", source)
    inputs = {"model": "half_dead", "layer": "act", "canvas": canvas, "steps": 3, "size": 32, "second_model": ""}
    with pytest.raises(Declined, match="a unit that never fires"):
        timmscope.run("gradient_ascent", unit=0, **inputs)
    with pytest.raises(Declined, match="a unit that never fires"):  # without an activation, too
        timmscope.run("gradient_ascent", unit=0, **inputs | {"layer": "conv"})
    silent = timmscope.run("gradient_ascent", unit=1, **inputs)
    assert "act, unit 1 never fires: before its activation it stays below zero." in silent.notes


@pytest.mark.case(46)
@pytest.mark.parametrize("canvas", ["maco", "fourier", "pixels"])
@pytest.mark.parametrize("model", ["test_vit", "test_resnet"])
def test_a_canvas_of_32_pixels_is_painted(model, canvas):
    inputs = {"model": model, "weights": "random", "canvas": canvas, "steps": 3, "size": 32, "second_model": ""}
    result = timmscope.run("gradient_ascent", **inputs)
    assert result["image"].shape == (32, 32, 3)
    assert result["image"].std() > 1
    assert all(np.isfinite(array).all() for array in result.arrays.values())


@pytest.mark.case(46)
def test_a_canvas_on_which_a_network_sees_nothing_is_declined():  # ReLU6 lets nothing through of a single grey cell
    with pytest.raises(Declined, match="a picture too small for the network"):
        timmscope.run("gradient_ascent", model=EMBEDDED, canvas="pixels", steps=3, size=32, second_model="")
