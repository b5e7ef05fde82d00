"""Places: what every operation does to them, held against what it does to values."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from timmscope.registry.vision.following import followed
from timmscope.registry.vision.grids import Grid, find_grid

SIDE = 8


def place_of(function, images=None):
    """The place of what a function makes of an image, and its value."""
    images = torch.randn(1, 3, SIDE, SIDE) if images is None else images
    with followed(images) as follow:
        output = function(images)
        return follow.place(output), output


def coordinates(images):
    """The rows of the pixels as an image: what moves values moves them alike."""
    rows = torch.arange(images.shape[2]).double()
    return rows.view(1, 1, -1, 1).expand(images.shape)


MOVES = {
    "windows": lambda x: (
        x.permute(0, 2, 3, 1).view(1, 2, 4, 2, 4, 3).permute(0, 1, 3, 2, 4, 5).reshape(-1, 4, 4, 3).contiguous()
    ),
    "roll": lambda x: x.roll((2, 3), (2, 3)),
    "flip": lambda x: x.flip(2),
    "tokens": lambda x: x.flatten(2).transpose(1, 2),
    "slice": lambda x: x[:, :, 1::2, 2:],
    "index": lambda x: x.flatten(2)[:, :, torch.tensor([5, 3, 60])],
    "cat": lambda x: torch.cat([x, x.flip(2)], 3),
    "stack and unbind": lambda x: torch.stack(x.unbind(2)[::-1], 1),
    "pixel unshuffle": lambda x: F.pixel_unshuffle(x, 2),
    "unfold": lambda x: F.unfold(x, 2, stride=2),
    "split": lambda x: x.split([3, 5], 2)[1],
    "strides": lambda x: x.unfold(2, 2, 2),
}


@pytest.mark.parametrize("move", MOVES.values(), ids=MOVES)
def test_what_moves_values_moves_places(move):
    images = torch.randn(1, 3, SIDE, SIDE)
    place, output = place_of(move, images)
    assert place.shape == output.shape
    mass, y, _, _ = place.values
    assert torch.equal(y, move(coordinates(images)))
    assert bool((mass == 1).all())


MEANS = {
    "a convolution as large as the photo": (
        lambda x: F.conv2d(x, torch.randn(5, 3, 7, 7), padding=3),
        lambda y: y[:, :1].expand(-1, 5, -1, -1),
    ),
    "pooling": (lambda x: F.avg_pool2d(x, 2), lambda y: F.avg_pool2d(y, 2)),
    "maximum pooling": (lambda x: F.max_pool2d(x, 2), lambda y: F.avg_pool2d(y, 2)),
    "a convolution": (
        lambda x: F.conv2d(x, torch.randn(5, 3, 3, 3), stride=2, padding=1),
        lambda y: y[:, :1, ::2, ::2].expand(-1, 5, -1, -1),
    ),
    "a dilated convolution": (
        lambda x: F.conv2d(x, torch.randn(5, 3, 2, 2), dilation=3),
        lambda y: (y[:, :1, :-3, 3:] + y[:, :1, 3:, 3:]).expand(-1, 5, -1, -1) / 2,
    ),
    "windows that overlap, added up": (
        lambda x: F.fold(F.unfold(x, 3, padding=1), SIDE, 3, padding=1),
        lambda y: y,
    ),
    "a mean": (lambda x: x.mean(2), lambda y: y.mean(2)),
    "a maximum": (lambda x: x.amax((2, 3)), lambda y: y.mean((2, 3))),
    "adaptive pooling": (lambda x: F.adaptive_avg_pool2d(x, 4), lambda y: F.adaptive_avg_pool2d(y, 4)),
    "enlarging": (
        lambda x: F.interpolate(x, scale_factor=4),
        lambda y: (torch.arange(4 * SIDE).double().view(-1, 1) * 0.25 - 0.375).expand(1, 3, -1, 4 * SIDE),
    ),
}


@pytest.mark.parametrize(("function", "mean"), MEANS.values(), ids=MEANS)
def test_what_mixes_values_takes_the_mean_of_their_places(function, mean):
    images = torch.randn(1, 3, SIDE, SIDE)
    place, output = place_of(function, images)
    assert place.shape == output.shape
    assert torch.allclose(place.values[1], mean(coordinates(images)))


def test_padding_is_no_place_and_draws_no_centre():
    place, _ = place_of(lambda x: F.pad(x, (2, 2, 0, 0)))
    assert place.values[0][0, 0, 0].tolist() == [0, 0, *[1] * SIDE, 0, 0]
    place, _ = place_of(lambda x: F.avg_pool2d(F.pad(x, (2, 2, 0, 0)), 4))
    assert place.values[2][0, 0, 0].tolist() == [0.0, 3.5, 7.0]


class Attention(nn.Module):
    """Self-attention as networks write it: by matrices, from the right, or fused."""

    def __init__(self, how):
        super().__init__()
        self.how, self.qkv = how, nn.Linear(3, 12)

    def forward(self, x):
        q, k, v = self.qkv(x).chunk(3, -1)
        if self.how == "fused":
            return F.scaled_dot_product_attention(q, k, v)
        if self.how == "from the right":
            return (v.mT @ (q @ k.mT).softmax(-1).mT).mT
        return (q @ k.mT).softmax(-1) @ v


@pytest.mark.parametrize("how", ["matrices", "from the right", "fused"])
def test_attention_gives_each_query_a_value_at_its_own_place(how):
    attention = Attention(how)
    images = torch.randn(1, 3, SIDE, SIDE)
    place, _ = place_of(lambda x: attention(x.flatten(2).mT), images)
    assert torch.equal(place.values[1][0, :, 0], coordinates(images)[0, 0].flatten())


def test_a_class_token_comes_from_everywhere_once_it_has_attended():
    attention, token = Attention("matrices"), torch.randn(1, 1, 3)
    place, _ = place_of(lambda x: torch.cat([token, x.flatten(2).mT], 1))
    assert place.values[0][0, :, 0].tolist() == [0, *[1] * SIDE**2]
    place, output = place_of(lambda x: attention(torch.cat([token, x.flatten(2).mT], 1)))
    mass, y, x, _ = place.values[:, 0, :, 0]
    assert bool((mass == 1).all())
    assert (float(y[0]), float(x[0])) == (3.5, 3.5)
    assert find_grid(place.tight(), output.shape, (SIDE, SIDE)) == Grid("NLC", 4, SIDE, SIDE, 1)


def test_what_is_not_understood_has_no_place():
    images = torch.randn(1, 3, SIDE, SIDE)
    with followed(images) as follow:
        shown = torch.sort(images, 3).values
        later = F.conv2d(shown, torch.ones(1, 3, 1, 1))
        assert follow.place(later) is None
        assert follow.lost(later)
        assert not follow.lost(torch.ones(2))
        assert follow.unknown == {"sort"}


def test_what_is_written_through_a_view_is_not_known_any_more():
    def shift(x):
        y = x * 1
        y[:, :1] = y[:, :1].roll(1, 2)
        return y

    images = torch.randn(1, 3, SIDE, SIDE)
    with followed(images) as follow:
        assert follow.place(shift(images)) is None


WINDOWS = torch.arange(64).view(4, 4, 2, 2)
LAYOUTS = {
    "convolution": (lambda x: x, Grid("NCHW", 3, SIDE, SIDE)),
    "channels last": (lambda x: x.permute(0, 2, 3, 1), Grid("NHWC", 3, SIDE, SIDE)),
    "tokens": (MOVES["tokens"], Grid("NLC", 3, SIDE, SIDE)),
    "tokens, units first": (lambda x: x.flatten(2), Grid("NCL", 3, SIDE, SIDE)),
    "tokens in the batch": (lambda x: x.permute(0, 2, 3, 1).flatten(0, 2), Grid("BC", 3, SIDE, SIDE, windows=64)),
    "one unit": (lambda x: x[:, :1], Grid("NCHW", 1, SIDE, SIDE)),
    "a single cell": (lambda x: x.mean((2, 3), keepdim=True), Grid("NCHW", 3, 1, 1)),
    "registers at both ends": (
        lambda x: torch.cat([torch.zeros(1, 2, 3), MOVES["tokens"](x), torch.zeros(1, 1, 3)], 1),
        Grid("NLC", 3, SIDE, SIDE, 2),
    ),
    "units of four pixels": (
        lambda x: x.reshape(1, 3, 4, 2, 4, 2).permute(0, 2, 4, 3, 5, 1).flatten(3),
        Grid("NHWC", 12, 4, 4),
    ),
    "the only one of several windows": (
        lambda x: MOVES["tokens"](x)[:, None],
        Grid("NHWC", 3, SIDE, SIDE, cells=tuple(range(64))),
    ),
    "windows in two dimensions": (
        lambda x: x.permute(0, 2, 3, 1).view(1, 4, 2, 4, 2, 3).transpose(2, 3).contiguous(),
        Grid("NDDHWC", 3, SIDE, SIDE, cells=tuple(WINDOWS.transpose(1, 2).flatten().tolist())),
    ),
    "a norm of one value": (lambda x: F.layer_norm(x[:, 0].flatten(1)[..., None], [1]), None),
    "a unit that is half padding": (
        lambda x: torch.cat([x[:, :1, ::2, ::2], F.pad(x[..., :7, :7], (-1, 1, -1, 1))[:, 1:, ::2, ::2]], 1),
        Grid("NCHW", 3, 4, 4),
    ),
    "a class token alone": (lambda x: x.mean((2, 3))[:, None], None),
    "pooled": (lambda x: x.mean((2, 3)), None),
    "a matrix between places": (lambda x: x.flatten(2).mT @ x.flatten(2), None),
    "heads": (lambda x: x.flatten(2).mT.reshape(1, 64, 3, 1).expand(1, 64, 3, 5).transpose(1, 2) * 1, None),
    "the same everywhere": (lambda x: x.mean((2, 3), keepdim=True).expand(1, 3, 8, 8) * 1, None),
    "another aspect": (lambda x: x[:, :, :4], None),
    "cells that come twice": (lambda x: torch.cat([x, x], 2)[:, :, ::2], None),
}


@pytest.mark.parametrize(("function", "grid"), LAYOUTS.values(), ids=LAYOUTS)
def test_the_grid_is_found_by_where_values_come_from(function, grid):
    place, output = place_of(function)
    assert find_grid(place.tight(), output.shape, (SIDE, SIDE)) == grid


def test_means_of_tokens_in_a_line_are_no_grid_though_their_centres_lie_like_one():
    place, output = place_of(lambda x: F.avg_pool1d(x.flatten(2), 9), torch.randn(1, 3, 12, 12))
    assert output.shape == (1, 3, 16)
    assert find_grid(place.tight(), output.shape, (12, 12)) is None


@pytest.mark.parametrize("move", ["windows", "roll", "flip", "unrolled", "tokens", "a window"])
@pytest.mark.parametrize("count", [1, 3])
def test_cells_are_put_back_in_their_places(move, count):
    moves = MOVES | {
        "a window": lambda x: MOVES["tokens"](x)[:, None],
        "unrolled": lambda x: x.reshape(-1, 3, 4, 2, 4, 2).permute(0, 3, 5, 2, 4, 1).flatten(1, 4),
        "windows": lambda x: x.permute(0, 2, 3, 1).view(-1, 2, 4, 2, 4, 3).transpose(2, 3).reshape(-1, 16, 3),
    }
    place, output = place_of(moves[move])
    grid = find_grid(place.tight(), output.shape, (SIDE, SIDE))
    images = torch.randn(count, 3, SIDE, SIDE)
    moved = moves[move](images)
    assert torch.equal(grid.gather(moved), images)
    assert torch.equal(grid.scatter(images + 1, moved), moved + 1)
