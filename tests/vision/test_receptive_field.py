"""Receptive fields against the gradient of a unit: which pixels have one, and where it is concentrated."""

from __future__ import annotations

import contextlib
import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import timmscope
from timmscope.registry.base.settings import Settings
from timmscope.registry.models import loading
from timmscope.techniques.shared.patches import window

from .. import toys
from ..references import EMBEDDED, named, plain


def wide_open(name: str) -> nn.Module:
    """The network with nothing that could stop a gradient: positive weights, and means in the place of maxima."""
    model = copy.deepcopy(plain(name))
    for part in list(model.modules()):
        if isinstance(part, nn.Conv2d):
            part.weight.fill_(1 / part.weight[0].numel())
            if part.bias is not None:
                part.bias.zero_()
        elif isinstance(part, nn.BatchNorm2d):
            part.running_mean.zero_()
            part.running_var.fill_(1)
            part.weight.fill_(1)
            part.bias.zero_()
        for child, pool in part.named_children():
            if isinstance(pool, nn.MaxPool2d):
                setattr(part, child, nn.AvgPool2d(pool.kernel_size, pool.stride, pool.padding))
    return model


def supports(name: str, layer: str, cells: list[tuple[int, int]]) -> list[tuple[int, int, int, int]]:
    """Left, top, right and bottom of the pixels for which each cell of the layer has a gradient."""
    model, kept = wide_open(name), []
    model.get_submodule(layer).register_forward_hook(lambda _m, _i, output: kept.append(output))
    image = torch.full((1, *model.pretrained_cfg["input_size"]), 0.5, requires_grad=True)
    model(image)
    boxes = []
    for row, column in cells:
        (gradient,) = torch.autograd.grad(kept[0][0, :, row, column].sum(), image, retain_graph=True)
        rows, columns = (gradient[0].abs().sum((0, axis)).nonzero().flatten().tolist() for axis in (2, 1))
        boxes.append((columns[0], rows[0], columns[-1] + 1, rows[-1] + 1))
    return boxes


@pytest.mark.case(37)
@pytest.mark.parametrize(
    ("name", "layer", "size"),
    [
        ("resnet10t", "layer1", 31),
        ("resnet10t", "layer3", 103),
        pytest.param("resnet18", "layer2", 99, marks=pytest.mark.slow),  # as resnet10t
        ("repvgg_a0", "stages.0", 15),
        ("densenet121", "features.denseblock1", 59),
        (EMBEDDED, "blocks.2", 67),  # paddings of stride 2 that are not symmetric
        pytest.param(EMBEDDED, "blocks.3", 147, marks=pytest.mark.slow),
    ],
)
def test_the_theoretical_field_is_where_a_unit_has_a_gradient(name, layer, size):
    with timmscope.lend(**lent(name)) as model:
        field = model.receptive_field(layer)
        grid, (height, width) = model.grid(layer), model.size
    assert (field.kind, field.height, field.width, field.theoretical) == ("theoretical", size, size, (size, size))
    cells = [(grid.height // 2, grid.width // 2), (0, 1), (grid.height - 1, grid.width - 2)]
    for cell, expected in zip(cells, supports(name, layer, cells)):
        left, top, right, bottom = field.box(*cell)
        assert (max(left, 0), max(top, 0), min(right, width), min(bottom, height)) == expected


def lent(name: str) -> dict[str, str]:
    inputs = named(name)
    return {"name": inputs["model"], "weights": inputs["weights"]}


@pytest.mark.slow
def test_fields_larger_than_the_input_are_known_and_the_effective_one_is_taken():
    with timmscope.lend(EMBEDDED) as model:
        field = model.receptive_field("blocks.4")
        exact = model.receptive_field("blocks.4", "theoretical")
    assert (field.kind, field.theoretical) == ("effective", (339, 339))
    assert (exact.height, exact.width, exact.stride) == (339, 339, (16, 16))
    assert 90 < field.height < 180
    left, top, right, bottom = field.box(7, 7)
    assert left < 7.5 * 16 < right
    assert top < 7.5 * 16 < bottom


def test_the_effective_field_holds_most_of_the_gradient_and_is_smaller():
    with timmscope.lend(EMBEDDED) as model:
        exact, field = (model.receptive_field("blocks.3", kind) for kind in ("theoretical", "effective"))
        image = torch.randn(1, 3, 224, 224, generator=torch.Generator().manual_seed(5)).requires_grad_()
        with model.record("blocks.3") as outputs:
            model.module(image)
        (gradient,) = torch.autograd.grad(outputs["blocks.3"][0, :, 7, 7].square().sum(), image)
    left, top, right, bottom = (round(edge) for edge in field.box(7, 7))
    share = gradient[0, :, top:bottom, left:right].abs().sum() / gradient.abs().sum()
    assert field.height < exact.height / 2
    assert share > 0.8
    assert abs((top + bottom) / 2 - (exact.box(7, 7)[1] + exact.box(7, 7)[3]) / 2) < 8


@pytest.mark.parametrize(
    ("images", "expected"),
    [(3, [3, 1]), *(pytest.param(*case, marks=pytest.mark.slow) for case in ((1, [1] * 4), (9, [4])))],
)
def test_the_effective_field_keeps_to_the_memory_that_is_allowed(images, expected, monkeypatch):
    with timmscope.lend("test_resnet", "random") as model:
        free, most = model.receptive_field("layer3", "effective"), int((images + 0.5) * model.activation_bytes)
        monkeypatch.setattr("timmscope.registry.base.settings.settings", lambda: Settings(activation_bytes=most))
        with batches_of(model) as batches:
            field = model.receptive_field("layer3", "effective")
        assert batches == expected
        assert (field.height, field.width) == pytest.approx((free.height, free.width))


def test_where_not_even_one_image_fits_the_effective_field_is_declined_and_patches_do_without(monkeypatch):
    monkeypatch.setattr("timmscope.registry.base.settings.settings", lambda: Settings(activation_bytes=1000))
    with timmscope.lend("test_resnet", "random") as model:
        with pytest.raises(timmscope.Declined, match=r"A backward pass through test_resnet.* takes about"):
            model.receptive_field("layer4", "effective")
        assert window(model, "layer4").kind == "token"


@contextlib.contextmanager
def batches_of(model):
    """How many images go through the model at once, of those that have a gradient."""
    batches = []

    def count(_module, given):
        batches.extend([len(given[0])] * given[0].requires_grad)

    handle = model.module.register_forward_pre_hook(count)
    try:
        yield batches
    finally:
        handle.remove()


@pytest.mark.parametrize(("name", "layer"), [("test_vit", "blocks.1"), ("efficientnet_b0", "blocks.0")])
def test_that_everything_is_seen_is_known_after_one_pass(name, layer):
    with timmscope.lend(name, "random") as model:
        model.grid(layer)
        passes = []
        handle = model.module.register_forward_pre_hook(lambda *_: passes.append(torch.is_grad_enabled()))
        assert model.receptive_field(layer).theoretical is None
        handle.remove()
    assert passes.count(False) == 1


def test_tokens_are_their_patches_and_a_patch_embedding_sees_them_exactly():
    with timmscope.lend("test_vit", "random") as model:
        grid, side = model.grid("blocks.1"), model.size[0]
        patch = side / grid.height
        field = model.receptive_field("blocks.1")
        embedding = model.receptive_field("patch_embed.proj")
    assert (field.kind, field.theoretical) == ("token", None)  # attention looks everywhere
    assert embedding.kind == "theoretical"
    for row, column in ((0, 0), (2, 3)):
        expected = (column * patch, row * patch, (column + 1) * patch, (row + 1) * patch)
        assert field.box(row, column) == embedding.box(row, column) == expected


def test_attention_and_squeeze_and_excite_cover_everything():
    with timmscope.lend("efficientnet_b0", "random") as model:  # the first block squeezes
        assert model.receptive_field("conv_stem").theoretical == (3, 3)
        field = model.receptive_field("blocks.0")
        assert (field.kind, field.theoretical) == ("effective", None)
        with pytest.raises(timmscope.Declined, match=r"blocks.0 of efficientnet_b0.* sees all of the input"):
            model.receptive_field("blocks.0", "theoretical")


class Windows(nn.Module):
    """Every cell of a window of 4 x 4 sees the same, as in attention by windows."""

    def forward(self, x):
        return F.interpolate(F.avg_pool2d(x, 4), scale_factor=4)


class Windowed(toys.Tiny):
    """A network with windows behind its convolution."""

    def __init__(self):
        super().__init__()
        self.act = Windows()


def test_windows_that_are_not_the_same_for_every_cell_are_not_called_theoretical():
    source = timmscope.ModelSource("windowed", lambda: Windowed().state_dict(), "test", build=Windowed)
    with loading.lend("windowed", "random", {"windowed": source}) as model:
        assert model.receptive_field("conv").theoretical == (3, 3)
        field = model.receptive_field("act")
    assert (field.kind, field.theoretical) == ("effective", None)


def test_inputs_that_are_not_square_have_sides_of_their_own():
    source = toys.source(size=(24, 40))
    with loading.lend("tiny", "pretrained", {"tiny": source}) as model:
        field = model.receptive_field("conv")
        left, top, right, bottom = field.box(11, 19)
    assert (field.height, field.width, field.stride, field.offset) == (3, 3, (2, 2), (0.5, 0.5))
    assert (left, top, right, bottom) == (37, 21, 40, 24)


def test_layers_without_a_grid_are_declined():
    with timmscope.lend(EMBEDDED) as model, pytest.raises(timmscope.Declined, match="no spatial grid"):
        model.receptive_field("classifier")
