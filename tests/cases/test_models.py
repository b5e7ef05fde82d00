"""Networks of every make, values of every library, torch in every state: what a run gives depends on none of it."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from timm.data import create_transform, resolve_data_config
from torch.overrides import TorchFunctionMode

import timmscope
from timmscope import ModelSource, testing
from timmscope.registry.models import loading
from timmscope.registry.models.loading import ModelCache
from timmscope.registry.plugins.discovery import plugins

from ..references import CHELSEA, assert_close
from ..toys import Tiny, source

TECHNIQUES = timmscope.plugins().techniques
MODEL = "test_convnext"
RANDOM = {"image": CHELSEA, "model": MODEL, "weights": "random"}


def gradient(network: torch.nn.Module, config: dict, **changes) -> tuple[np.ndarray, int]:
    """The saliency map of the best output, and which that is: plain timm and plain autograd."""
    config = resolve_data_config(pretrained_cfg=config) | changes
    photo = Image.open(CHELSEA).convert("L" if config["input_size"][0] == 1 else "RGB")
    image = create_transform(**config, is_training=False)(photo)[None].requires_grad_()
    output = network(image)
    scores = output[0] if output.ndim == 2 else output[0].mean((1, 2))
    scores.max().backward()
    return image.grad[0].abs().amax(0).numpy(), int(scores.argmax())


@pytest.mark.case(9)
@pytest.mark.parametrize(
    ("technique", "foreign", "plain"),
    [
        (
            "saliency",
            {"target": np.int64(281), "samples": np.uint8(2), "noise": np.float32(0.15), "seed": np.int64(3)},
            {"target": 281, "samples": 2, "noise": 0.15, "seed": 3},
        ),
        ("saliency", {"target": np.argmax(np.eye(300)[281]), "fit": np.bool_(True)}, {"target": 281, "fit": True}),
        ("saliency", {"target": torch.eye(300)[281].argmax()}, {"target": "tabby"}),
        ("grad_cam", {"targets": np.array([281, 285])}, {"targets": "281; 285"}),
        ("grad_cam", {"targets": ("tabby", np.int32(285)), "layer": np.str_("stages.2")}, {"layer": "stages.2"}),
        (
            "guided_backprop",
            {"layer": "stages.2", "unit": np.int64(5), "position": (3, 5)},
            {"layer": "stages.2", "unit": 5, "position": "3, 5"},
        ),
        (
            "guided_backprop",
            {"layer": "stages.2", "unit": torch.tensor(5), "position": np.unravel_index(35, (10, 10))},
            {"layer": "stages.2", "unit": 5, "position": "3,5"},
        ),
    ],
)
def test_numbers_of_numpy_and_torch_mean_what_pythons_mean(technique, foreign, plain):
    if technique == "grad_cam":
        plain = {"targets": "tabby; 285"} | plain
    result, expected = (timmscope.run(technique, **RANDOM, **inputs) for inputs in (foreign, plain))
    for name, array in expected.arrays.items():
        assert np.array_equal(result.arrays[name], array), name
    assert json.loads(json.dumps(result.recipe)) == result.recipe
    again = timmscope.rerun(json.loads(json.dumps(result.recipe)), image=CHELSEA)
    assert all(np.array_equal(again.arrays[name], array) for name, array in expected.arrays.items())


TOWER = {"embed_dim": 48, "depth": 3, "num_heads": 3}  # a small one


def brought(monkeypatch, architecture: str, options: dict, channels: int = 3) -> torch.nn.Module:
    """The network as timm makes it; under the name "brought" the product gets another one with the same weights."""
    size = options.get("img_size")
    overlay = {"input_size": (channels, *((size, size) if isinstance(size, int) else size))} if size else {}
    build = functools.partial(timm.create_model, architecture, pretrained_cfg_overlay=overlay, **options)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        network = build()
        for parameter in network.parameters():  # timm leaves the position embeddings of some at zero
            if not parameter.any():
                torch.nn.init.normal_(parameter, std=0.02)
    origin = ModelSource("brought", network.state_dict, "test", build=build)
    monkeypatch.setitem(plugins().model_sources, "brought", origin)
    monkeypatch.setattr(loading, "_cache", functools.cache(lambda: ModelCache(10**9)))
    return network.eval().requires_grad_(False)


@pytest.mark.case(11)
@pytest.mark.parametrize("architecture", ["vit_base_patch32_clip_224.openai", "vit_base_patch16_siglip_224.webli"])
def test_coordinates_of_an_embedding_are_features(monkeypatch, architecture):
    network = brought(monkeypatch, architecture, TOWER)
    heat, best = gradient(network, network.pretrained_cfg)
    result = timmscope.run("saliency", image=CHELSEA, model="brought")
    assert f"Feature explained: feature {best}." in result.notes
    assert_close(result.arrays["heatmap"], heat, 1e-3)
    with torch.no_grad():
        image = create_transform(**resolve_data_config(pretrained_cfg=network.pretrained_cfg), is_training=False)
        positive = network(image(Image.open(CHELSEA).convert("RGB"))[None])[0].relu()
    assert_close(result.arrays["scores"], positive / positive.sum(), 1e-3)  # shares, not a softmax over coordinates
    with pytest.raises(timmscope.Declined, match="brought has no classes to be fooled about"):
        timmscope.run("fooling", image=CHELSEA, model="brought")
    covered = timmscope.run("occlusion", image=CHELSEA, model="brought", window=112, stride=112)
    assert any(
        note.startswith(f"Feature explained: feature {best}, share of the features 0.") for note in covered.notes
    )


@pytest.mark.case(11)
def test_a_thousand_outputs_are_imagenets_classes_only_where_that_is_said(monkeypatch):
    for tag in ("", "in1k"):

        def build(tag=tag):
            network = Tiny(classes=1000)
            network.pretrained_cfg["tag"] = tag
            return network

        own = ModelSource(f"own{tag}", source(classes=1000).weights, "test", build=build)
        monkeypatch.setitem(plugins().model_sources, own.name, own)
        (best,) = timmscope.run("saliency", image=CHELSEA, model=own.name)["scores"].top(1)
        assert best.startswith("class ") == (not tag)


class Forbidden(TorchFunctionMode):
    """What a program may have around: here it would end every call of torch."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        raise AssertionError(f"{function} was called in the thread of the program")


@contextlib.contextmanager
def switched(get, switch, value):
    before = get()
    switch(value)
    try:
        yield
        assert get() == value, "a run has switched it back"
    finally:
        switch(before)


STATES = {
    "float64": lambda: switched(torch.get_default_dtype, torch.set_default_dtype, torch.float64),
    "float16": lambda: switched(torch.get_default_dtype, torch.set_default_dtype, torch.float16),
    "default device": lambda: switched(torch.get_default_device, torch.set_default_device, torch.device("meta")),
    "device": lambda: torch.device("meta"),
    "no gradients": torch.no_grad,
    "inference": torch.inference_mode,
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
    "function mode": Forbidden,
    "saved tensors": lambda: torch.autograd.graph.saved_tensors_hooks(lambda _: 1 / 0, lambda kept: kept),
    "deterministic": lambda: switched(
        torch.are_deterministic_algorithms_enabled, torch.use_deterministic_algorithms, True
    ),
    "anomaly": lambda: torch.autograd.set_detect_anomaly(True),
}


@pytest.fixture
def afresh(monkeypatch):
    """A function that forgets all models that are loaded."""
    made = []

    def forget():
        made[:] = [ModelCache(10**9)]

    forget()
    monkeypatch.setattr(loading, "_cache", lambda: made[0])
    return forget


def smallest(technique: str) -> dict:
    return testing.smallest(TECHNIQUES[technique], CHELSEA, MODEL, testing.generated_photos())


def arrays(technique: str) -> dict[str, np.ndarray]:
    result = timmscope.run(technique, **smallest(technique))
    assert result.pictures
    return result.arrays


@functools.cache
def by_default(technique: str) -> dict[str, np.ndarray]:
    return arrays(technique)


def same(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> bool:
    return all(np.array_equal(found[name], array, equal_nan=True) for name, array in expected.items())


FEW = ("filters", "saliency")
QUICK = ("inference", "autocast", "default device", "function mode")
WITHIN = [
    *(("float64", name) for name in FEW),
    *((state, "saliency") for state in QUICK),
    *(pytest.param(state, "saliency", marks=pytest.mark.slow) for state in STATES if state not in ("float64", *QUICK)),
    *(
        pytest.param(state, name, marks=pytest.mark.slow)
        for state in ("float64", "inference")
        for name in TECHNIQUES
        if name not in FEW
    ),
]


@pytest.mark.case(21, 43)
@pytest.mark.parametrize(("state", "technique"), WITHIN)
def test_whatever_the_program_has_switched_a_run_gives_the_same_bits(afresh, state, technique):
    expected, generator = by_default(technique), torch.random.get_rng_state()
    afresh()
    with STATES[state]():
        assert same(arrays(technique), expected)
    assert same(arrays(technique), expected)  # by the model that was loaded then
    assert torch.equal(torch.random.get_rng_state(), generator)


@pytest.mark.case(21)
@pytest.mark.parametrize(
    "state", ["float64", "inference", *(pytest.param(name, marks=pytest.mark.slow) for name in ("device", "autocast"))]
)
def test_a_model_that_is_lent_or_a_recipe_that_is_run_again_then_works_ever_after(afresh, state):
    expected = timmscope.run("grad_cam", **RANDOM)
    for call in (lambda: lent_layer(), lambda: timmscope.rerun(expected.recipe, image=CHELSEA)):
        afresh()
        with STATES[state]():
            call()
        assert same(timmscope.run("grad_cam", **RANDOM).arrays, expected.arrays)


def lent_layer() -> None:
    with timmscope.lend(MODEL, "random") as model:
        assert model.default_layer == "stages.3"


@pytest.mark.case(21)
@pytest.mark.parametrize(
    "model",
    ["hgnetv2_b0", *(pytest.param(name, marks=pytest.mark.slow) for name in ("convit_tiny", "edgenext_xx_small"))],
)
def test_networks_that_make_tensors_as_they_run_are_the_same_by_another_default_type(afresh, model):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = timm.create_model(model).eval().requires_grad_(False)
    heat, best = gradient(network, network.pretrained_cfg)
    with STATES["float64"]():
        result = timmscope.run("saliency", image=CHELSEA, model=model, weights="random")
    assert result.recipe["model"]["name"].startswith(model)
    assert int(result["scores"].values.argmax()) == best
    assert_close(result.arrays["heatmap"], heat, 1e-3, kinks=0.01)


@pytest.mark.case(43)
def test_a_precision_of_the_program_is_in_the_recipe_and_said_when_it_is_another():
    with switched(torch.get_float32_matmul_precision, torch.set_float32_matmul_precision, "medium"):
        recipe = timmscope.run("saliency", **RANDOM).recipe
    assert recipe["precision"] == "medium"
    notes = timmscope.rerun(recipe, image=CHELSEA).notes
    assert "Made with precision medium, here highest: the last bits may differ." in notes


@pytest.mark.slow
@pytest.mark.case(43)
def test_all_techniques_at_once_in_as_many_threads_give_what_they_give_alone():
    expected = {name: by_default(name) for name in TECHNIQUES}
    with ThreadPoolExecutor(len(TECHNIQUES)) as threads:
        found = dict(zip(TECHNIQUES, threads.map(arrays, TECHNIQUES)))
    assert [name for name in TECHNIQUES if not same(found[name], expected[name])] == []


@pytest.mark.slow
@pytest.mark.case(43)
def test_runs_in_an_asyncio_loop_give_what_they_give_alone():
    names = ("saliency", "filters", "fooling")
    expected = [by_default(name) for name in names]

    async def directly():
        return [arrays(name) for name in names]

    async def in_threads():
        return await asyncio.gather(*(asyncio.to_thread(arrays, name) for name in names))

    for found in (asyncio.run(directly()), asyncio.run(in_threads())):
        assert all(map(same, found, expected))


@pytest.mark.case(43)
def test_a_stream_that_is_closed_early_leaves_the_next_run_as_it_was():
    expected = by_default("saliency")
    for _ in range(2):
        steps = timmscope.stream("saliency", **smallest("saliency"))
        next(steps)
        steps.close()
    assert same(arrays("saliency"), expected)


@pytest.mark.case(43)
def test_a_result_that_was_pickled_is_the_same():
    result = timmscope.run("grad_cam", **RANDOM)
    back = pickle.loads(pickle.dumps(result))
    assert same(back.arrays, result.arrays)
    assert back.recipe == result.recipe


FORKED = """
import hashlib, multiprocessing, torch, timmscope
torch.set_num_threads(1)
call = dict(image="sample:chelsea", model="test_convnext", weights="random")

def digest():
    results = [timmscope.run(name, **call) for name in ("saliency", "grad_cam", "activation_maps")]
    return [hashlib.sha256(array.tobytes()).hexdigest() for result in results for array in result.arrays.values()]

here = digest()
with multiprocessing.get_context("fork").Pool(2) as workers:
    there = [workers.apply_async(digest) for _ in range(4)]
    assert all(answer.get(60) == here for answer in there)
print("the same")
"""


@pytest.mark.slow
@pytest.mark.case(43)
@pytest.mark.skipif(sys.platform != "linux", reason="processes fork on Linux")
def test_forked_processes_give_the_same_bits():
    done = subprocess.run([sys.executable, "-c", FORKED], capture_output=True, text=True, timeout=110)
    assert done.stdout == "the same\n", done.stderr


@pytest.mark.case(47)
@pytest.mark.parametrize(
    "options", [{"channels": 1}, {"size": (8, 8)}, {"channels": 1, "size": (16, 40)}, {"channels": 1, "classes": 2}]
)
def test_one_channel_and_small_inputs_are_seen_as_they_are(monkeypatch, options):
    monkeypatch.setitem(plugins().model_sources, f"toy {options}", source("toy", **options))
    network = Tiny(**options).eval()
    network.load_state_dict(source(**options).weights())
    channels = options.get("channels", 3)
    statistics = {"mean": (0.5,) * channels, "std": (0.25,) * channels}
    heat, best = gradient(network, network.pretrained_cfg, **statistics)
    result = timmscope.run("saliency", image=CHELSEA, model=f"toy {options}")
    assert f"Class explained: class {best}." in result.notes
    assert_close(result.arrays["heatmap"], heat, 1e-4)
    for technique in ("grad_cam", "activation_maps", "guided_backprop"):
        found = timmscope.run(technique, image=CHELSEA, model=f"toy {options}", layer="conv")
        assert all(np.isfinite(array).all() and array.size for array in found.arrays.values())


NETWORKS = {
    "ViT that is not square": ("vit_tiny_patch16_224", TOWER | {"img_size": (96, 160)}),
    "distilled DeiT": ("deit_tiny_distilled_patch16_224", TOWER),
    "NaFlexVit": ("naflexvit_base_patch16_gap", TOWER),
    "DINO": ("vit_small_patch16_224.dino", TOWER),
    "12k classes": ("convnext_nano.in12k", {"depths": (1, 1, 1, 1), "dims": (16, 32, 48, 64)}),
    "FlexiViT": ("flexivit_small", TOWER),
    "21k classes": ("vit_tiny_patch16_224.augreg_in21k", TOWER),
    "22k classes": ("convnext_tiny.fb_in22k", {"depths": (1, 1, 1, 1), "dims": (16, 32, 48, 64)}),
    "Swin of 112 x 224": (
        "swin_tiny_patch4_window7_224",
        {"img_size": (112, 224), "embed_dim": 24, "depths": (1, 1, 1, 1), "num_heads": (1, 2, 2, 4)},
    ),
    "DINOv2 with registers": ("vit_small_patch14_reg4_dinov2", TOWER | {"img_size": 140}),
    "SigLIP": ("vit_base_patch16_siglip_224", TOWER),
    "SAM": ("samvit_base_patch16", TOWER | {"img_size": 256, "global_attn_indexes": (1,)}),
}


@pytest.mark.case(48)
@pytest.mark.parametrize(
    "network", [*list(NETWORKS)[:5], *(pytest.param(name, marks=pytest.mark.slow) for name in list(NETWORKS)[5:])]
)
def test_transformers_of_every_make_are_explained(monkeypatch, network):
    architecture, options = NETWORKS[network]
    model = brought(monkeypatch, architecture, options)
    heat, best = gradient(model, model.pretrained_cfg)
    result = timmscope.run("saliency", image=CHELSEA, model="brought")
    assert int(result.arrays["scores"].argmax()) == best
    assert_close(result.arrays["heatmap"], heat, 1e-3)
    cam = timmscope.run("grad_cam", image=CHELSEA, model="brought").arrays["heatmaps"]
    assert cam.shape[-2:] == heat.shape
    assert np.isfinite(cam).all()
