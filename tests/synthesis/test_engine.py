"""The synthesis engine: objectives rise, canvases hold an image, and formulas equal a direct computation."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from timmscope import Declined, lend, synthesis
from timmscope.synthesis import natural_magnitude, projections, regularizers, transforms
from timmscope.techniques.embedded import sample_photos

from ..references import EMBEDDED

MODEL = "test_convnext"


@pytest.fixture
def model():
    with lend(MODEL, "random") as model:
        yield model


@pytest.fixture
def noise():
    return torch.Generator().manual_seed(0)


def photo(height=48, width=64):
    return synthesis.to_tensor(sample_photos.photographs()[0].resize((width, height)))


def maco(height, width, noise):
    return synthesis.Maco(natural_magnitude(sample_photos.photographs(), height, width), width, 2, generator=noise)


CANVASES = {
    "pixels": lambda noise: synthesis.Pixels(torch.full((2, 3, 64, 64), 0.5) + 0.01 * torch.randn(2, 3, 64, 64)),
    "fourier": lambda noise: synthesis.Fourier(None, (2, 64, 64), noise),
    "maco": lambda noise: maco(64, 64, noise),
}
LAYER = "stages.1"


def wanted(network):
    return synthesis.Features(network, [LAYER], before_activation=True)(photo(64, 64))[LAYER].detach()


OBJECTIVES = {
    "class": lambda network: synthesis.class_score(3),
    "channel": lambda network: synthesis.channel(LAYER, 2),
    "neuron": lambda network: synthesis.neuron(LAYER, 2, 1, 1),
    "direction": lambda network: synthesis.direction(
        LAYER, [1.0, -2.0] + [0.0] * (network.model.layers[LAYER].channels - 2)
    ),
    "energy": lambda network: synthesis.energy(LAYER),
    "features": lambda network: -1 * synthesis.feature_distance(LAYER, wanted(network)),
    "gram": lambda network: -1 * synthesis.gram_distance(LAYER, synthesis.gram(wanted(network))),
    "sum": lambda network: 0.2 * synthesis.channel(LAYER, 2) + synthesis.class_score(3),
}


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        pytest.param(kind, name, marks=[] if kind == "fourier" or name == "channel" else pytest.mark.slow)
        for kind in CANVASES
        for name in OBJECTIVES
    ],
)
def test_a_few_steps_improve_every_objective_on_every_canvas(name, kind, model, noise):
    torch.manual_seed(0)
    network = synthesis.Network(model, (64, 64))
    canvas, score = CANVASES[kind](noise), OBJECTIVES[name](network).on(network)
    rate = {"pixels": 0.01, "fourier": 0.05, "maco": 0.1}[kind]
    *_, last = synthesis.ascend(canvas, score, torch.optim.Adam(canvas.parameters, rate), 12)
    curve = last.curves["-S"]
    assert len(curve) == last.done == last.total == 12
    assert min(curve[-3:]) < curve[0]
    assert last.pictures.shape == (2, 64, 64, 3)


def test_objectives_equal_what_hooks_record_and_add_and_scale(model):
    network, images = (
        synthesis.Network(model, model.size),
        torch.rand(2, 3, *model.size, generator=torch.Generator().manual_seed(0)),
    )
    with torch.no_grad(), model.record(LAYER) as outputs:
        logits = model.module(network.input(images))
        values = outputs[LAYER]
        v = torch.linspace(-1, 1, values.shape[1])
        expected = {
            "class": (synthesis.class_score(5), logits[:, 5]),
            "channel": (synthesis.channel(LAYER, 2), values[:, 2].flatten(1).mean(1)),
            "neuron": (synthesis.neuron(LAYER, 2, 1, 3), values[:, 2, 1, 3]),
            "direction": (
                synthesis.direction(LAYER, 7 * v),
                (values * (v / v.norm())[:, None, None]).sum(1).flatten(1).mean(1),
            ),
            "energy": (synthesis.energy(LAYER, 4), (values[:, 4] ** 2).mean()),
        }
        found = {name: objective.on(network)(images) for name, (objective, _) in expected.items()}
        for name, (_, by_hand) in expected.items():
            assert torch.allclose(found[name], by_hand, rtol=1e-4, atol=1e-6), name
        both = 0.2 * synthesis.channel(LAYER, 2) - 3 * synthesis.class_score(5)
        assert torch.allclose(both.on(network)(images), 0.2 * found["channel"] - 3 * found["class"], rtol=1e-5)
        assert both.layers == (LAYER,)
        assert "0.2" in both.name


@pytest.mark.parametrize(("height", "width"), [(48, 64), (33, 47)])
def test_canvases_hold_an_image(height, width):
    image = photo(height, width)
    assert torch.equal(synthesis.Pixels(image)(), image)
    assert torch.allclose(synthesis.Pixels(image, 0.4, 0.2)(), image, atol=1e-6)
    assert torch.allclose(synthesis.Fourier(image)(), image.clamp(1e-3, 1 - 1e-3), atol=1e-4)
    magnitude = natural_magnitude(sample_photos.photographs()[:1], height, width)
    own = synthesis.Maco(
        magnitude, width, start=synthesis.to_tensor(sample_photos.photographs()[0].resize((width, height)))
    )
    assert F.mse_loss(own(), image - image.mean() + 0.5) < 0.01  # this photo's magnitude and phase are this photo


def test_a_magnitude_is_kept_whatever_the_phase(noise):
    canvas = maco(32, 32, noise)
    with torch.no_grad():
        canvas.phase.add_(torch.randn(canvas.phase.shape, generator=noise))
    inner = torch.fft.irfft2(torch.polar(canvas.magnitude.expand_as(canvas.phase), canvas.phase), s=(32, 32))
    found = torch.fft.rfft2(inner).abs()[..., 1:-1]
    assert torch.allclose(found, canvas.magnitude.expand_as(canvas.phase)[..., 1:-1], rtol=1e-3)


def test_formulas_equal_a_direct_computation():
    x = torch.rand(1, 2, 5, 6, dtype=torch.double)
    n, variation = 2 * 4 * 5, 0.0
    for c in range(2):
        for i in range(4):
            for j in range(5):
                right, down = x[0, c, i, j + 1] - x[0, c, i, j], x[0, c, i + 1, j] - x[0, c, i, j]
                variation += float(right**2 + down**2) ** (1.5 / 2)
    assert float(regularizers.total_variation(x, 1.5)) == pytest.approx(variation / n, rel=1e-4)
    gram = [[float((x[0, a] * x[0, b]).sum()) / 30 for b in range(2)] for a in range(2)]
    assert np.allclose(synthesis.gram(x)[0], gram)
    assert float(regularizers.l2(x)) == pytest.approx(sum(float(v) ** 2 for v in x.flatten()))
    assert float(synthesis.relative_distance(x, 2 * x)) == pytest.approx(0.25)
    assert float(synthesis.relative_distance(synthesis.gram(x), synthesis.gram(x))) == 0


def test_rules_for_gradients(noise):
    g = torch.randn(2, 3, 32, 40, generator=noise)
    assert torch.allclose(regularizers.unit_norm(g).flatten(1).norm(dim=1), torch.ones(2))
    cut = regularizers.without_small(g, 0.3)
    gone = (cut == 0).all(1)
    assert gone.float().mean() == pytest.approx(0.3, abs=0.01)
    for norm, dropped in zip(g.norm(dim=1), gone):
        assert norm[dropped].max() <= norm[~dropped].min()
    flat = torch.full((1, 3, 20, 20), 0.7)
    assert torch.allclose(regularizers.blurred(flat, 2), flat)
    for shape in ((1, 3, 64, 50), (1, 3, 3, 90), (1, 3, 1, 1)):
        assert regularizers.laplacian_normalized(torch.randn(shape, generator=noise)).isfinite().all()


def test_transforms_draw_from_their_own_generator():
    image = photo(64, 64)
    state = torch.random.get_rng_state()
    for make in (
        lambda g: transforms.jitter(5, g),
        lambda g: transforms.crops(2, 0.5, 0.9, (32, 32), g),
        lambda g: transforms.wobble(8, 0.1, 4, g),
        lambda g: transforms.noise(0.1, g),
    ):
        first, second = (make(torch.Generator().manual_seed(4))(image) for _ in range(2))
        assert torch.equal(first, second)
        assert not torch.equal(first, make(torch.Generator().manual_seed(5))(image))
    assert torch.equal(state, torch.random.get_rng_state())
    still = transforms.wobble(0, 0, 0, torch.Generator())(image)
    assert torch.allclose(still, image, atol=1e-5)


@pytest.mark.parametrize(("norm", "radius"), [("linf", 2 / 255), ("linf", 2.5 / 255), ("l2", 0.5)])
def test_the_ball_holds_after_rounding(norm, radius, noise):
    center = (photo(32, 32) * 255).round() / 255
    ball = projections.Ball(center, norm, radius)
    image = ball.nearest(center + 0.05 * torch.randn(center.shape, generator=noise))
    assert ball.size(image) <= radius + 1e-6
    rounded = ball.rounded(image)
    assert ball.size(rounded) <= radius + 1e-6
    assert torch.allclose(rounded * 255, (rounded * 255).round(), atol=1e-4)
    assert not torch.equal(rounded, center)


def test_lbfgs_keeps_to_its_evaluations(noise):
    canvas, calls = synthesis.Fourier(None, (1, 16, 16), noise), []

    def loss(x):
        calls.append(1)
        return {"loss": (x - 0.3).square().mean()}

    optimizer = synthesis.lbfgs(canvas.parameters)
    steps = list(synthesis.optimize(canvas, loss, optimizer, 30, scale=synthesis.LBFGS_SCALE))
    assert steps[-1].last
    assert all(len(step.curves["loss"]) == step.done for step in steps)
    assert len(calls) < 30 + 30
    assert steps[-1].curves["loss"][-1] < 1e-4


def test_without_a_gradient_it_declines(noise):
    canvas = synthesis.Pixels(torch.zeros(1, 3, 8, 8))
    optimizer = torch.optim.Adam(canvas.parameters)
    with pytest.raises(Declined, match="gradient is zero"):
        list(synthesis.optimize(canvas, lambda x: {"loss": 0 * x.sum()}, optimizer, 3))


def test_features_stop_early_and_leave_no_hooks(model):
    see = synthesis.Features(synthesis.Network(model, (64, 64)), ["stages.0"])
    later = []
    handle = model.module.get_submodule("stages.1").register_forward_hook(lambda *_: later.append(1))
    assert see(photo(64, 64))["stages.0"].ndim == 4
    handle.remove()
    assert not later
    assert not any(part._forward_hooks for part in model.module.modules())


@pytest.mark.parametrize(("name", "layer", "activation"), [(EMBEDDED, "bn1", F.relu6), ("resnet18", "layer1", F.relu)])
def test_the_value_before_a_saturating_activation_is_used(name, layer, activation):
    with lend(name, "pretrained" if name == EMBEDDED else "random") as model:
        network = synthesis.Network(model, (64, 64))
        before = synthesis.Features(network, [layer, "conv1" if name == "resnet18" else "conv_stem"], True)
        assert list(before.opened) == [layer]
        values = before(photo(64, 64))[layer]
        assert values.min() < 0 or name == "resnet18"  # whose random branches start at zero
        assert torch.equal(activation(values), synthesis.Features(network, [layer])(photo(64, 64))[layer])


@pytest.mark.parametrize(("name", "fixed"), [("test_vit", True), ("test_convnext", False), ("resnet18", False)])
def test_images_of_any_size_are_taken(name, fixed):
    with lend(name, "random") as model:
        network = synthesis.Network(model, (72, 96))
        assert (tuple(network.size) == tuple(model.size)) == fixed
        see = synthesis.Features(network, [model.stages[0]])
        assert see(photo(72, 96))[model.stages[0]].ndim == 4
        assert network.logits(photo(72, 96)).shape == (1, 1000)


def test_layers_are_chosen_by_depth_where_the_recipe_has_none(model):
    assert model.at_depths(("blocks.9",), (0, 1)) == [model.stages[0], model.stages[-1]]
    assert model.at_depths(("stages.1",), (0, 1)) == ["stages.1"]
