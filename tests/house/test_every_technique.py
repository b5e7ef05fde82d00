"""What every technique must do, whoever wrote it: run, stream, stop, repeat, leave nothing behind, explain itself."""

from __future__ import annotations

import base64
import html
import io
import json
import re

import numpy as np
import pytest
import torch
from PIL import Image

import timmscope
from timmscope import testing
from timmscope.registry.declare import ports
from timmscope.registry.declare.technique import SECTIONS
from timmscope.registry.models import loading

from ..references import CHELSEA

TECHNIQUES = timmscope.plugins().techniques
MODEL = "test_convnext"  # small, and its gradient is not zero with random weights


def smallest(technique) -> dict:
    """The shortest honest call on a tiny model."""
    return testing.smallest(technique, CHELSEA, MODEL, testing.generated_photos())


def same(a: timmscope.Result, b: timmscope.Result) -> bool:
    return all(np.array_equal(a.arrays[name], b.arrays[name]) for name in a.arrays)


@pytest.fixture(scope="module", params=TECHNIQUES)
def technique(request):
    return TECHNIQUES[request.param]


@pytest.fixture(scope="module")
def run(technique):
    """Previews and result of one run."""
    *previews, result = timmscope.stream(technique.name, **smallest(technique))
    return previews, result


def test_it_runs_and_streams(technique, run):
    previews, result = run
    assert isinstance(result, timmscope.Result)
    assert all(isinstance(preview, timmscope.Preview) for preview in previews)
    assert bool(previews) == technique.streams
    done = [preview.done for preview in previews if preview.total]
    assert done == sorted(done)
    assert all(preview.done <= preview.total for preview in previews if preview.total)


def test_its_arrays_are_as_declared(technique, run):
    arrays = run[1].arrays
    assert list(arrays) == [port.name for port in technique.outputs if port.shape]
    assert list(np.load(io.BytesIO(run[1].npz()))) == list(arrays)
    for port in (port for port in technique.outputs if port.shape):
        array = arrays[port.name]
        assert array.dtype == np.float32
        assert np.isfinite(array).all()
        assert array.size
        if isinstance(port, (ports.Picture, ports.Gallery, ports.Animation)):
            assert array.ndim == (3 if isinstance(port, ports.Picture) else 4)
            assert array.shape[-1] in (3, 4)
            assert 0 <= array.min() <= array.max() <= 1
        elif isinstance(port, ports.Heatmap):
            if not isinstance(port, ports.LayerMaps):  # these are as large as the layer's grid
                assert array.shape[-2:] == (160, 160)
            assert array.ndim == (3 if isinstance(port, ports.Heatmaps) else 2)
        elif isinstance(port, ports.Scores):
            assert array.shape == (1000,)
            assert array.sum() == pytest.approx(1, abs=1e-3)


def test_its_pictures_are_pngs_and_its_recipe_is_json(technique, run, tmp_path):
    result = run[1]
    files = {file.relative_to(tmp_path).as_posix(): file for file in result.save(tmp_path)}
    recipe = json.loads(files["recipe.json"].read_text())
    assert recipe == json.loads(json.dumps(result.recipe))
    assert recipe["technique"] == technique.name
    assert recipe["plugin"]["name"] == technique.plugin
    assert set(recipe["inputs"]) == {parameter.name for parameter in technique.parameters} - {"files"}
    assert recipe["libraries"]["timmscope"] == timmscope.__version__
    for name, pictures in result.pictures.items():
        for i, (picture, caption) in enumerate(pictures):
            file = files.get(f"{name}.png") or files[f"{name}_{i}.png"]
            assert np.array_equal(np.asarray(Image.open(file)), np.asarray(picture))
            assert caption


@pytest.mark.case(42)
def test_it_is_drawn_as_a_figure_and_in_a_notebook(technique, run):
    result = run[1]
    figure, drawn = result.figure(), io.BytesIO()
    figure.savefig(drawn, dpi=30)
    assert len(np.unique(np.asarray(Image.open(drawn).convert("L")))) > 20
    said = " ".join(" ".join(text.get_text().split()) for ax in figure.axes for text in [ax.title, *ax.texts])
    shown = [item for pictures in result.pictures.values() for item in pictures]
    labels = [port.label for port in technique.outputs if port.name not in result.pictures]
    text = result._repr_html_()
    for caption in [*(caption for _, caption in shown), *labels]:
        assert " ".join(caption.split()) in said
        assert html.escape(caption) in text
    assert all(html.escape(note) in text for note in [technique.title, *result.notes])
    others = [port for port in technique.outputs if isinstance(port, (ports.Curves, ports.Points, ports.Animation))]
    found = re.findall(r'src="data:image/(\w+);base64,([^"]+)"', text)
    assert len(found) == len(shown) + len(others)
    exact = [np.asarray(picture) for picture, _ in shown]
    for kind, data in found:
        pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))
        if kind == "png" and not others:
            assert any(np.array_equal(pixels, picture) for picture in exact)


@pytest.mark.case(43)
def test_the_same_call_gives_the_same_bits_and_leaves_the_state_of_torch_alone(technique, run):
    torch.rand(7)  # the state of the global generator must not matter
    threads, generator = torch.get_num_threads(), torch.random.get_rng_state()
    steps = []
    for step in timmscope.stream(technique.name, **smallest(technique)):
        steps.append(step)
        assert torch.is_grad_enabled()  # also between steps, where other runs go on in this thread
        assert not torch.is_inference_mode_enabled()
    assert same(run[1], steps[-1])
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.random.get_rng_state(), generator)
    assert torch.get_default_dtype() == torch.float32


def test_its_recipe_runs_again(technique, run):
    inputs = run[1].recipe["inputs"]
    photos = {p.name: CHELSEA for p in technique.own_parameters if isinstance(p.port, ports.Photo) and inputs[p.name]}
    if files := smallest(technique).get("files"):
        photos["files"] = files
    assert same(run[1], timmscope.rerun(json.loads(json.dumps(run[1].recipe)), **photos))


def lent_view():
    """The clean view that the next run would get, without making one."""
    (model,) = [m for (name, *_), m in loading.cache()._models.items() if name.startswith(f"{MODEL}.")]
    return [id(view) for view, _ in model.pool._clean], model


@pytest.mark.case(43)
def test_stopped_midway_or_finished_it_leaves_nothing_behind(technique, run):
    if not technique.uses_model:
        pytest.skip("it uses no model")
    before, model = lent_view()
    assert before
    for stop in (True, False):
        steps = timmscope.stream(technique.name, **smallest(technique))
        first = next(steps)
        if stop:
            steps.close()
        else:
            list(steps)
        after, _ = lent_view()
        assert set(after) >= set(before), "the view came back changed and was dropped"
        assert model.users == 0
        assert model.pool.intact
        assert first is not None
    assert not any(part._forward_hooks or part._backward_hooks for part in model.module.modules())
    assert not torch.overrides._get_current_function_mode_stack()


@pytest.mark.case(43)
def test_it_runs_where_gradients_are_switched_off(technique, run):
    with torch.no_grad():
        assert same(run[1], timmscope.run(technique.name, **smallest(technique)))


def test_its_documentation_is_complete(technique):
    assert technique.summary.endswith(".")
    assert set(technique.sections) == set(SECTIONS)
    assert all(len(text) > 20 for text in technique.sections.values())
    for parameter in technique.parameters:
        assert parameter.help.strip().endswith((".", ")")), parameter.name
        assert parameter.port.label, parameter.name
        assert parameter.port.accepts, parameter.name
    for port in technique.outputs:
        assert port.label
        assert port.shape or isinstance(port, ports.File)


def test_an_unknown_parameter_is_answered_with_close_names(technique):
    with pytest.raises(timmscope.InvalidInput, match=f"parameter: got 'modle', .*parameters of {technique.name}: "):
        timmscope.run(technique.name, **smallest(technique), modle="resnet18")
    for parameter in technique.parameters:
        with pytest.raises(timmscope.InvalidInput, match=f"^{parameter.name}: got .*, expected ."):
            timmscope.run(technique.name, **(smallest(technique) | {parameter.name: object()}))
