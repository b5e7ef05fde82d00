"""Guided backpropagation and the deconvnet rule against Captum, on networks with and without nn.ReLU."""

from __future__ import annotations

import copy
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from captum.attr import Deconvolution, GuidedBackprop
from torch import nn
from torch.nn import functional as F

import timmscope
from timmscope import plugins, testing
from timmscope.gradients import guided_gradient
from timmscope.registry.base.settings import Settings
from timmscope.registry.vision import gradients

from ..references import CHELSEA, EMBEDDED, assert_close, named, plain, transformed, without_inplace

TARGET = 285
pytestmark = pytest.mark.filterwarnings("ignore:Setting backward hooks on ReLU")  # what the reference says


@pytest.mark.case(35)
@pytest.mark.parametrize("rule", ["guided", "deconvnet"])
@pytest.mark.parametrize("name", ["resnet18", "vgg11"])
def test_rules_are_captums_on_networks_of_relu(name, rule):
    result = timmscope.run("guided_backprop", image=CHELSEA, target=TARGET, rule=rule, **named(name))
    model = without_inplace(copy.deepcopy(plain(name))).to(memory_format=torch.channels_last)
    method = {"guided": GuidedBackprop, "deconvnet": Deconvolution}[rule](model)
    image = transformed(name).to(memory_format=torch.channels_last).requires_grad_()
    expected = method.attribute(image, target=TARGET)
    assert_close(result.arrays["heatmap"], expected.abs().amax(1)[0].detach())


def test_plain_rule_is_saliency():
    guided = timmscope.run("guided_backprop", image=CHELSEA, target=TARGET, rule="gradient")
    saliency = timmscope.run("saliency", image=CHELSEA, target=TARGET)
    assert_close(guided.arrays["heatmap"], saliency.arrays["heatmap"], 1e-6)


class Guided(torch.autograd.Function):
    """ReLU6 whose backward pass is the published rule, written out."""

    @staticmethod
    def forward(context, x):
        context.save_for_backward(x)
        return x.clamp(0, 6)

    @staticmethod
    def backward(context, gradient):
        (x,) = context.saved_tensors
        return gradient.clamp(min=0) * ((x > 0) & (x < 6))


class Deconvnet(torch.autograd.Function):
    """ReLU6 whose backward pass looks at the gradient alone, as published."""

    @staticmethod
    def forward(context, x):
        return x.clamp(0, 6)

    @staticmethod
    def backward(context, gradient):
        return gradient.clamp(min=0)


@pytest.mark.case(35)
@pytest.mark.parametrize(("rule", "relu6"), [("guided", Guided), ("deconvnet", Deconvnet)])
def test_relu6_is_treated_as_published(rule, relu6):
    class Module(nn.Module):
        def forward(self, x):
            return relu6.apply(x)

    model = copy.deepcopy(plain(EMBEDDED)).to(memory_format=torch.channels_last)
    for part in list(model.modules()):
        for name, child in part.named_children():
            if isinstance(child, nn.ReLU6):
                setattr(part, name, Module())
    image = transformed(EMBEDDED).to(memory_format=torch.channels_last).requires_grad_()
    (expected,) = torch.autograd.grad(model(image)[0, TARGET], image)
    result = timmscope.run("guided_backprop", image=CHELSEA, target=TARGET, rule=rule)
    assert_close(result.arrays["heatmap"], expected.abs().amax(1)[0])


# ReLU6; GELU; SiLU; Hardswish
@pytest.mark.parametrize("name", [EMBEDDED, "test_vit", "test_efficientnet", "lcnet_050"])
def test_every_rule_and_switch_changes_the_map(name):
    def heat(**inputs):
        result = timmscope.run("guided_backprop", image=CHELSEA, target=TARGET, **inputs, **named(name))
        heat = result.arrays["heatmap"]
        return heat / np.linalg.norm(heat)

    maps = [heat(rule=rule) for rule in ("gradient", "guided", "deconvnet")]
    if name == EMBEDDED:
        maps.append(heat(open_top=True))
    for i, one in enumerate(maps):
        for other in maps[:i]:
            assert np.linalg.norm(one - other) > 0.1


class Linear(nn.Module):
    """A network with nothing to guide."""

    pretrained_cfg = {"input_size": (3, 32, 32), "mean": (0.5,) * 3, "std": (0.5,) * 3, "num_classes": 10}  # noqa: RUF012

    def __init__(self):
        super().__init__()
        self.num_classes = 10
        self.conv = nn.Conv2d(3, 10, 4, stride=4)

    def forward(self, x):
        return self.conv(x).mean((2, 3))


def test_a_network_without_activations_is_declined(monkeypatch):
    source = timmscope.ModelSource("linear", lambda: Linear().state_dict(), "test", build=Linear)
    monkeypatch.setitem(plugins().model_sources, "linear", source)
    with pytest.raises(timmscope.Declined, match=r"nothing to guide.*Choose rule 'gradient'"):
        timmscope.run("guided_backprop", image=CHELSEA, model="linear", weights="random")
    result = timmscope.run("guided_backprop", image=CHELSEA, model="linear", weights="random", rule="gradient")
    assert result.arrays["heatmap"].shape == (32, 32)


def test_neuron_is_the_gradient_of_one_value_of_the_layer():
    layer, unit, row, column = "blocks.2", 7, 11, 3
    result = timmscope.run(
        "guided_backprop", image=CHELSEA, layer=layer, unit=unit, position=f"{row}, {column}", rule="gradient"
    )
    model = copy.deepcopy(plain(EMBEDDED)).to(memory_format=torch.channels_last)
    kept = []
    model.get_submodule(layer).register_forward_hook(lambda _m, _i, output: kept.append(output))
    image = transformed(EMBEDDED).to(memory_format=torch.channels_last).requires_grad_()
    model(image)
    (expected,) = torch.autograd.grad(kept[0][0, unit, row, column], image)
    assert_close(result.arrays["heatmap"], expected.abs().amax(1)[0])
    heat = result.arrays["heatmap"]
    assert heat[190:, 160:].max() == 0  # out of the neuron's receptive field
    top = divmod(int(kept[0][0, unit].argmax()), 28)
    free = timmscope.run("guided_backprop", image=CHELSEA, layer=layer, unit=unit, rule="gradient")
    assert f"unit {unit} at row {top[0]}, column {top[1]}" in " ".join(free.notes)
    best = int(kept[0][0].amax((1, 2)).argmax())
    free = timmscope.run("guided_backprop", image=CHELSEA, layer=layer, rule="gradient")
    assert f"unit {best} " in " ".join(free.notes)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"layer": "blocks.2", "unit": 40}, "unit: got 40, expected a channel of blocks.2, 0 to 39"),
        (
            {"layer": "blocks.2", "position": "28, 0"},
            "position: got '28, 0', expected row below 28 and column below 28",
        ),
        ({"layer": "block.2"}, "layer: got 'block.2', .*Did you mean blocks.2"),
        ({"rule": "gided"}, "rule: got 'gided', expected one of guided, .*Did you mean guided"),
    ],
)
def test_a_neuron_that_is_not_there_is_refused(inputs, message):
    with pytest.raises(timmscope.InvalidInput, match=message):
        timmscope.run("guided_backprop", image=CHELSEA, **inputs)


def test_a_backward_pass_that_takes_too_much_memory_is_not_begun(monkeypatch):
    monkeypatch.setattr("timmscope.registry.base.settings.settings", lambda: Settings(activation_bytes=1000))
    inputs = {"image": CHELSEA, "model": "test_resnet", "weights": "random", "layer": "layer3"}
    with pytest.raises(timmscope.Declined, match="A backward pass through test_resnet"):
        timmscope.run("guided_backprop", **inputs)
    sheet = timmscope.run("unit_sheet", **inputs, files=testing.generated_photos(), steps=2)
    assert "Left out, guided: A backward pass through test_resnet" in " ".join(sheet.notes)


class Mixed(torch.nn.Module):
    """A network whose first activation is a module and whose second is a function, if it is `mixed`."""

    def __init__(self, mixed: bool) -> None:
        super().__init__()
        self.mixed, self.first, self.relu, self.again = (
            mixed,
            torch.nn.Conv2d(3, 6, 3),
            torch.nn.ReLU(),
            torch.nn.ReLU(),
        )
        self.second, self.last = torch.nn.Conv2d(6, 8, 3), torch.nn.Linear(8, 4)

    def forward(self, x):
        x = self.second(self.relu(self.first(x)))
        return self.last((F.relu(x) if self.mixed else self.again(x)).mean((2, 3)))


@pytest.mark.parametrize("rule", ["guided", "deconvnet"])
@pytest.mark.parametrize("mixed", [True, False])
def test_every_relu_is_guided_whether_captum_knows_it_or_not(rule, mixed):
    torch.manual_seed(0)
    network, image = Mixed(mixed).eval(), torch.randn(1, 3, 12, 12)
    twin = Mixed(False).eval()
    twin.load_state_dict(network.state_dict())
    kind = GuidedBackprop if rule == "guided" else Deconvolution
    expected = kind(twin).attribute(image.clone().requires_grad_(), target=2)[0]
    model = SimpleNamespace(module=network, batch=lambda wanted: wanted, name="mixed", weights="random")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = guided_gradient(model, lambda x: network(x)[:, 2], image, rule)
    assert torch.allclose(found, expected, atol=1e-7)
    assert gradients._all_relu_modules(model, lambda x: network(x)[:, 2], image.requires_grad_()) == (not mixed)
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in network.modules())
