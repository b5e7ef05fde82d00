"""Layers: their grids, what is recorded of them, and a sensible default for every family."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from timmscope.registry.models.loading import lend
from timmscope.registry.vision.grids import Grid
from timmscope.registry.vision.layers import grid_probe, list_layers, recorded, stages, varies

from ..toys import Tiny


@pytest.mark.parametrize(
    ("model", "layer", "grid"),
    [
        ("resnet18", "layer4", Grid("NCHW", 512, 7, 7)),
        ("vgg11", "features.20", Grid("NCHW", 512, 7, 7)),
        ("densenet121", "features.norm5", Grid("NCHW", 1024, 7, 7)),
        ("efficientnet_b0", "blocks.6", Grid("NCHW", 320, 7, 7)),
        ("convnext_atto", "stages.3", Grid("NCHW", 320, 7, 7)),
        ("vit_tiny_patch16_224", "blocks.10", Grid("NLC", 192, 14, 14, 1)),  # the last block's patches are not read
        ("test_vit4", "blocks.8", Grid("NLC", 96, 10, 10, 1)),  # the mean over all patches is read
        ("deit_tiny_distilled_patch16_224", "blocks.10", Grid("NLC", 192, 14, 14, 2)),
        ("swin_tiny_patch4_window7_224", "layers.3", Grid("NHWC", 768, 7, 7)),
        ("mixer_s32_224", "blocks.7", Grid("NLC", 512, 7, 7)),
        ("tnt_s_legacy_patch16_224", "blocks.10.mlp", Grid("NLC", 384, 14, 14, 1)),  # its blocks give two tensors
        *(
            pytest.param(*row, marks=pytest.mark.slow)  # seconds each to be made
            for row in (
                ("repvgg_a0", "final_conv", Grid("NCHW", 1280, 7, 7)),  # an identity, at the end of the last stage
                ("crossvit_tiny_240", "blocks.2.blocks.1", Grid("NLC", 192, 14, 14, 1)),  # one of two branches
                # later layers are the same everywhere with random weights
                ("levit_128s", "stages.0", Grid("NLC", 128, 14, 14)),
            )
        ),
    ],
)
def test_default_layer(model, layer, grid):
    with lend(model, "random", {}) as lent:
        assert lent.default_layer == layer
        assert lent.layers[layer].grid == grid


def test_layers_come_in_the_order_of_execution_with_their_shapes():
    layers = list_layers(Tiny(size=(24, 40)), torch.zeros(1, 3, 24, 40))
    assert [(layer.name, layer.shape) for layer in layers.values()] == [
        ("conv", (8, 12, 20)),
        ("act", (8, 12, 20)),
        ("classifier", (10,)),
    ]
    assert [layer.title for layer in layers.values()][1:] == ["act — 8 × 12 × 20", "classifier — 10"]
    assert layers["conv"].grid == Grid("NCHW", 8, 12, 20)
    assert layers["classifier"].grid is None


def test_no_layer_is_listed_with_a_hook_left_on_it():
    network = Tiny()
    list_layers(network, torch.zeros(1, 3, 32, 32))
    assert not any(part._forward_hooks for part in network.modules())


def test_stages_are_those_timm_names():
    with lend("resnet18", "random", {}) as model:
        assert stages(model.module, model.layers) == ["act1", "layer1", "layer2", "layer3", "layer4"]
    tiny = Tiny()
    assert stages(tiny, list_layers(tiny, torch.zeros(1, 3, 32, 32))) == ["conv", "act"]


@pytest.mark.parametrize(
    ("grid", "shape"),
    [
        (Grid("NCHW", 6, 2, 3), (4, 6, 2, 3)),
        (Grid("NHWC", 6, 2, 3), (4, 2, 3, 6)),
        (Grid("NLC", 6, 2, 3, 2), (4, 8, 6)),
    ],
)
def test_gather_and_scatter_are_inverse(grid, shape):
    output = torch.arange(float(torch.tensor(shape).prod())).reshape(shape)
    gathered = grid.gather(output)
    assert gathered.shape == (4, 6, 2, 3)
    assert torch.equal(grid.scatter(gathered, output), output)
    changed = grid.scatter(gathered + 1, output)
    if grid.prefix:
        assert torch.equal(changed[:, :2], output[:, :2])
        assert torch.equal(changed[:, 2:], output[:, 2:] + 1)
        assert gathered[0, :, 1, 0].tolist() == output[0, 2 + 3].tolist()
    else:
        assert torch.equal(changed, output + 1)


class Twice(nn.Module):
    """Runs one module at two sizes."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1)

    def forward(self, x):
        return self.conv(self.conv(x)[..., ::2, ::2]).mean((2, 3))


def test_a_module_that_runs_at_two_sizes_has_no_grid():
    network = Twice()
    layers = list_layers(network, torch.zeros(1, 3, 32, 32))
    assert layers["conv"].grid is None
    assert not network.conv._forward_hooks


@pytest.mark.parametrize(("slope", "expected"), [(0.0, False), (1e-6, False), (0.1, True)])
def test_values_vary_beyond_rounding(slope, expected):
    values = torch.ones(1, 2, 4, 4)
    values[0, 1] += slope * torch.arange(4)
    assert varies(values) is expected


class AddsInPlace(nn.Module):
    """A residual block as timm writes it: the layer's output is overwritten by the sum."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Conv2d(1, 1, 1)

    def forward(self, x):
        y = self.layer(x)
        y += x
        return y.sum((1, 2, 3))


def test_a_record_is_what_the_layer_gave_even_if_it_is_overwritten_later():
    network, image = AddsInPlace(), torch.randn(1, 1, 4, 4)
    expected = network.layer(image).detach()
    with recorded({"layer": network.layer}) as outputs:
        score = network(image)
    assert torch.equal(outputs["layer"], expected)
    (gradient,) = torch.autograd.grad(score, outputs["layer"])
    assert torch.equal(gradient, torch.ones_like(expected))
    seen = []
    with grid_probe(network.layer, Grid("NCHW", 1, 4, 4)) as probe:
        probe.register_forward_hook(lambda _m, _i, output: seen.append(output))
        network(image)
    assert torch.equal(seen[0], expected)


def test_a_probe_changes_nothing_and_goes_again():
    network, image = Tiny(), torch.randn(1, 3, 32, 32)
    expected = network(image)
    with grid_probe(network.act, Grid("NCHW", 8, 16, 16)):
        assert torch.equal(network(image), expected)
    assert not network.act._forward_hooks
