"""Model names: what they stand for, close matches, and nothing else reaches timm."""

from __future__ import annotations

import pytest
import torch

from timmscope import InvalidInput, ModelSource, ModelUnavailable
from timmscope.registry.models.catalogue import Entry, activation_bytes, count_parameters, find, model_names
from timmscope.registry.plugins.discovery import plugins

from ..toys import Tiny

SOURCES = plugins().model_sources


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("", ("tf_efficientnet_lite0", "tf_efficientnet_lite0", "")),
        ("tf_efficientnet_lite0", ("tf_efficientnet_lite0", "tf_efficientnet_lite0", "")),
        ("resnet50", ("resnet50.a1_in1k", "resnet50", "a1_in1k")),  # the default weights
        ("resnet50.tv_in1k", ("resnet50.tv_in1k", "resnet50", "tv_in1k")),
    ],
)
def test_what_a_name_stands_for(name, expected):
    entry = find(name, SOURCES)
    assert (entry.name, entry.architecture, entry.tag) == expected
    assert bool(entry.source) == ("lite0" in entry.name)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("resnet5O", "model: got 'resnet5O', expected the name of a timm model, .*Did you mean .*resnet50"),
        ("tf_efficientnet_lite00", "Did you mean .*tf_efficientnet_lite0"),
        ("resnet50.wrong_tag", "Did you mean resnet50"),
        ("local-dir:/etc", "model: got 'local-dir:/etc', expected"),
        ("hf-hub:timm/resnet50.a1_in1k", "expected the name of a timm model"),
        ("../resnet50", "expected the name of a timm model"),
        ("resnet50 ", "Did you mean"),
        ("zzzzzz", "See timm.list_models"),
    ],
)
def test_other_names_are_refused(name, message):
    with pytest.raises(InvalidInput, match=message):
        find(name, SOURCES)


def test_names_to_choose_from_start_with_what_needs_no_network():
    names = model_names(SOURCES)
    assert names[0] == "tf_efficientnet_lite0"
    assert len(names) > 1500
    assert len(names) == len(set(names))


def test_a_source_hides_the_timm_model_of_its_name():
    source = ModelSource("resnet50", dict, "test", architecture="resnet18")
    entry = find("resnet50", {"resnet50": source})
    assert entry.source is source
    assert entry.architecture == "resnet18"


def test_parameters_are_counted_without_being_allocated():
    entry = find("vit_giant_patch14_224", SOURCES)  # a billion parameters
    assert count_parameters(entry, 10**10) == pytest.approx(1.01e9, rel=0.02)
    with pytest.raises(ModelUnavailable, match=r"1,01\d million parameters; here at most 400 million"):
        count_parameters(entry, 400_000_000)
    assert count_parameters(find("test_vit", SOURCES), 10**6) == 371_240
    assert torch.empty(1).device.type == "cpu"  # the meta device is left again


class Looks(Tiny):
    """A network that does something else by its values."""

    def forward(self, x):
        return super().forward(x if x.sum().item() > 0 else -x)


def test_what_a_backward_pass_keeps_is_estimated_without_running_it():
    def estimate(network):
        return activation_bytes(Entry("x", "x", source=ModelSource("x", dict, "test", build=network)), (3, 32, 32))

    assert estimate(Tiny) == 4 * (3 * 32 * 32 + 8 * 16 * 16)  # what the convolution gets and what ReLU gives
    assert estimate(Looks) == 0
    before = torch.random.get_rng_state()
    assert 10e6 < activation_bytes(find("resnet18", {}), (3, 224, 224)) < 40e6
    assert torch.equal(torch.random.get_rng_state(), before)
