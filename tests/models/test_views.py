"""Private views: tensors are shared, everything else is the run's own, and what comes back changed is dropped."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from torch import nn

import timmscope
from timmscope.registry.models.views import KEPT, ViewPool, make_view

from ..references import CHELSEA
from ..toys import Tiny


def network() -> nn.Module:
    return Tiny().eval().requires_grad_(False)


def test_a_view_shares_tensors_and_nothing_else():
    module = network()
    view = make_view(module)
    for (name, mine), (_, shared) in zip(view.named_parameters(), module.named_parameters()):
        assert mine is shared, name
    for (name, mine), (_, other) in zip(view.named_modules(), module.named_modules()):
        assert mine is not other, name
    image = torch.randn(2, 3, 32, 32)
    assert torch.equal(view(image), module(image))
    view.act.inplace = False
    view.conv.register_forward_hook(lambda *_: torch.zeros(2, 8, 16, 16))
    assert not torch.equal(view(image), module(image))
    assert module.act.inplace


def test_a_clean_view_is_lent_again():
    pool = ViewPool(network())
    with pool.view() as first:
        first(torch.randn(1, 3, 32, 32))
    with pool.view() as second:
        assert second is first


def test_two_runs_at_once_have_two_views():
    pool = ViewPool(network())
    with pool.view() as first, pool.view() as second:
        assert first is not second


def replace_activation(view):
    del view.act  # the new module may get the address of the old one
    view.act = nn.ReLU(inplace=True)


CHANGES = {
    "forward hook": lambda view: view.conv.register_forward_hook(lambda *_: None),
    "forward pre-hook": lambda view: view.conv.register_forward_pre_hook(lambda *_: None),
    "backward hook": lambda view: view.act.register_full_backward_hook(lambda *_: None),
    "state dict hook": lambda view: view.register_state_dict_post_hook(lambda *_: None),
    "other activation": lambda view: setattr(view, "act", nn.GELU()),
    "equal activation": replace_activation,
    "in-place switch": lambda view: setattr(view.act, "inplace", False),
    "training": lambda view: view.act.train(),
    "stride": lambda view: setattr(view.conv, "stride", (1, 1)),
    "forward": lambda view: setattr(view, "forward", lambda x: x),
    "other method": lambda view: setattr(view.conv, "_conv_forward", lambda *_: None),
    "new attribute": lambda view: setattr(view, "note", object()),
    "new module": lambda view: view.add_module("extra", nn.Identity()),
    "new buffer": lambda view: view.register_buffer("extra", torch.zeros(1)),
    "other parameter": lambda view: setattr(view.conv, "weight", nn.Parameter(view.conv.weight, requires_grad=False)),
    "requires gradient": lambda view: view.conv.weight.requires_grad_(),
    "a gradient": lambda view: setattr(view.conv.weight, "grad", torch.ones_like(view.conv.weight)),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_view_is_dropped(change):
    pool = ViewPool(network())
    with pool.view() as first:
        CHANGES[change](first)
    with pool.view() as second:
        assert second is not first


def test_a_view_is_given_back_when_the_run_fails():
    pool = ViewPool(network())
    with pytest.raises(ZeroDivisionError), pool.view() as first:
        raise ZeroDivisionError
    with pool.view() as second:
        assert second is first


def test_few_views_are_kept():
    pool, barrier = ViewPool(network()), threading.Barrier(KEPT + 3)

    def use(_):
        with pool.view():
            barrier.wait(30)

    with ThreadPoolExecutor(KEPT + 3) as threads:
        list(threads.map(use, range(KEPT + 3)))
    assert len(pool._clean) == KEPT


@pytest.mark.case(43)
@pytest.mark.parametrize("model", ["test_resnet", pytest.param("tf_efficientnet_lite0", marks=pytest.mark.slow)])
def test_techniques_beside_each_other_give_what_they_give_alone(model):
    """Hooks of one run on another's network would change its numbers without any error."""
    weights = "pretrained" if model == "tf_efficientnet_lite0" else "random"
    calls = [
        (name, {"target": target, **more})
        for target in (281, 285)
        for name, more in [
            ("saliency", {}),
            ("guided_backprop", {"rule": "guided"}),
            ("guided_backprop", {"rule": "deconvnet"}),
            ("guided_backprop", {"rule": "gradient"}),
        ]
    ]

    def heat(call):
        name, inputs = call
        return timmscope.run(name, image=CHELSEA, model=model, weights=weights, **inputs).arrays["heatmap"]

    alone = [heat(call) for call in calls]
    with ThreadPoolExecutor(8) as threads:
        together = list(threads.map(heat, calls * 2))
    for i, found in enumerate(together):
        assert np.array_equal(found, alone[i % len(calls)]), calls[i % len(calls)]
