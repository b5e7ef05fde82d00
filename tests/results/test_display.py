"""Results as people see them: HTML in a notebook, and a matplotlib figure."""

from __future__ import annotations

import base64
import io
import re
import subprocess
import sys
import types
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from timmscope.registry.declare.ports import Curves, Heatmap
from timmscope.registry.pictures.values import Absent, Outputs
from timmscope.registry.results.result import Result

from ..serving import ROOT
from .test_result import PORTS, VALUES, make

PYPLOT = "matplotlib.pyplot"


@pytest.fixture
def result():
    recipe = {"technique": "toy", "model": {"name": "<model>", "weights": "random", "origin": "here"}}
    return Result(make(), Outputs(VALUES), recipe, ("A <note>.",))


def pixels(figure) -> np.ndarray:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return np.asarray(Image.open(buffer).convert("RGB"))


def test_html_has_every_output_and_escapes_every_text(result):
    text = result._repr_html_()
    assert text.count("<img") == 9  # seven pictures, the curves and the film
    assert text.count("<table") == 2
    assert "10.0%" in text
    assert ">1.5<" in text
    for raw in ("<one>", "<note>", "<model>"):
        assert raw not in text
        assert raw.replace("<", "&lt;").replace(">", "&gt;") in text


def test_the_pictures_in_html_are_those_of_the_result(result):
    found = re.findall(r'src="data:image/(\w+);base64,([^"]+)"', result._repr_html_())
    pictures = [Image.open(io.BytesIO(base64.b64decode(data))) for _, data in found]
    assert np.array_equal(np.asarray(pictures[0]), VALUES["picture"])
    curves = next(p for p in pictures if p.size[0] > 100)
    assert len(np.unique(np.asarray(curves.convert("RGB")).reshape(-1, 3), axis=0)) > 50
    assert [p.n_frames for p, (kind, _) in zip(pictures, found) if kind == "webp"] == [2]


def test_a_figure_has_a_panel_for_everything(result):
    figure = result.figure()
    titles = [ax.get_title() for ax in figure.axes if ax.get_title()]
    assert titles == [
        *("Picture", "<one>", "two", "Heat", "one", "two", "Shown", "Scores", "Table", "Curves"),
        *("Film, frame 1", "Film, frame 2"),
    ]
    assert figure.get_suptitle() == "Toy"
    shown = next(ax for ax in figure.axes if ax.get_title() == "Picture").images[0].get_array()
    assert np.array_equal(shown, VALUES["picture"])
    assert (pixels(figure) < 128).mean() > 0.02


def test_other_values_give_another_figure():
    ports = (Heatmap("heat", "Heat"), Curves("curves", "Loss of $x"))  # no formula, and an unbalanced one at that
    ramp = np.tile(np.arange(8.0), (6, 1))
    first, second = (
        pixels(Result(make(ports), Outputs(heat=heat, curves={"_loss $": losses}), {}).figure())
        for heat, losses in ((ramp, [3, 2, 1]), (ramp[:, ::-1], [1, 2, 3]))
    )
    half = first.shape[1] // 2
    assert (first[:, :half] != second[:, :half]).mean() > 0.05
    assert (first[:, half:] != second[:, half:]).any()


def test_a_figure_leaves_pyplot_alone(result, monkeypatch):
    ours = [module for name, module in sys.modules.items() if name.startswith("timmscope.registry.")]
    modules = [value for module in ours for value in vars(module).values() if isinstance(value, types.ModuleType)]
    assert "matplotlib" in " ".join(module.__name__ for module in modules)
    assert PYPLOT not in [module.__name__ for module in modules]
    monkeypatch.setitem(sys.modules, PYPLOT, None)  # cannot be imported
    assert len(result.figure().axes) == 12
    assert "<img" in result._repr_html_()


@pytest.mark.slow  # 7 s of imports
def test_in_a_fresh_process_a_figure_loads_no_pyplot():
    code = (
        "import sys; from tests.results.test_display import VALUES, make, Result, Outputs\n"
        "figure = Result(make(), Outputs(VALUES), {}).figure()\n"
        "print(len(figure.axes), 'matplotlib.pyplot' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["12", "False"]


def test_what_is_absent_is_said_in_its_place():
    ports = [replace(port, optional=True) for port in PORTS]
    values = Outputs({port.name: Absent(f"No {port.name} of $x$, since <nobody> knows.") for port in ports})
    result = Result(make(ports), values, {})
    text, figure = result._repr_html_(), result.figure()
    assert "<img" not in text
    assert "<table" not in text
    assert [ax.get_title() for ax in figure.axes if ax.get_title()] == [port.label for port in ports]
    for port, ax in zip(ports, figure.axes):
        assert f"No {port.name} of $x$, since &lt;nobody&gt; knows." in text
        assert " ".join(ax.texts[0].get_text().split()) == values[port.name].why
    assert (pixels(figure) < 128).mean() > 0.001
