"""What every kind of port does on each face: nothing is left out, and nothing falls through to a picture."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

import timmscope
from timmscope import Outputs, Placed
from timmscope.registry.declare import ports
from timmscope.registry.declare.technique import Parameter, technique
from timmscope.registry.results.result import Result
from timmscope.registry.runs.inputs import Here
from timmscope.registry.vision.explained import ClassScores
from timmscope.registry.vision.labels import labels_for
from timmscope.registry.web import inputs, outputs

KINDS = [kind for kind in vars(ports).values() if inspect.isclass(kind)]
INPUTS = [kind for kind in KINDS if issubclass(kind, ports.Input) and kind is not ports.Input]
OUTPUTS = [kind for kind in KINDS if issubclass(kind, ports.Output) and kind is not ports.Output]
MADE = {ports.Number: (0, 1), ports.Choice: (("a", "b"),), ports.Choices: (("a", "b"),)}
PIXELS = np.random.default_rng(0).integers(0, 255, (12, 10, 3), np.uint8)
HEAT = np.arange(120.0).reshape(12, 10)
VALUES = {
    ports.Picture: PIXELS,
    ports.Gallery: timmscope.Captioned([PIXELS, PIXELS], ["one", "two"]),
    ports.Heatmap: HEAT,
    ports.Heatmaps: timmscope.Captioned([HEAT, HEAT], ["one", "two"]),
    ports.LayerMaps: timmscope.Captioned([HEAT, HEAT], ["one", "two"]),
    ports.Animation: np.stack([PIXELS, PIXELS[::-1]]),
    ports.Points: Placed(np.zeros((2, 2)), ["a", "b"], ["", ""], np.zeros((2, 4, 4, 3), np.uint8)),
    ports.Scores: ClassScores(np.linspace(0, 1, 1000, dtype=np.float32), labels_for(1000, 1000)),
    ports.Table: [["row", 1.5, None]],
    ports.Curves: {"loss": [2.0, 1.0]},
    ports.File: b"content",
}


def port(kind):
    if issubclass(kind, ports.Output):
        return kind("made", "Label", ("a", "b", "c")) if kind is ports.Table else kind("made", "Label")
    return kind("Label", *MADE.get(kind, ()))


@pytest.mark.parametrize("kind", INPUTS, ids=lambda kind: kind.__name__)
def test_an_input_is_known_to_every_face(kind):
    made = Parameter("name", port(kind), help="Help.")
    assert made.port.accepts
    assert made.port.metavar == made.port.metavar.upper() or "|" in made.port.metavar
    assert isinstance(made.port.several, bool)
    assert all(isinstance(word, str) for word in made.port.completions(Here()))
    assert made.port.bad_values() or kind in (ports.Photos, ports.Files)
    for face in (inputs.api_input, inputs.page_input):
        assert face(made).api_info()
    for entries in (inputs._api, inputs._control):
        assert entries.dispatch(kind) is not entries.dispatch(object), f"write an entry for {kind.__name__}"


@pytest.mark.parametrize("kind", OUTPUTS, ids=lambda kind: kind.__name__)
def test_an_output_is_shown_on_every_face(kind, tmp_path):
    made, value = port(kind), VALUES[kind]
    made.check(value)
    result = Result(technique("Toy", family="Synthesis", outputs=[made])(_toy), Outputs(made=value), {"notes": []})
    assert ("made" in result.arrays) == bool(made.shape)
    assert not made.blank(result.arrays.get("made"))
    assert "Label" in result._repr_html_() or "one" in result._repr_html_()
    figure = result.figure()
    assert [ax.get_title() for ax in figure.axes if ax.get_title()]
    written = {path.suffix[1:] for path in result.save(tmp_path)} - {"npz"}
    assert written == {"json", *made.endings}
    for for_page, face in ((True, outputs.page_output), (False, outputs.api_output)):
        assert face(made)
        assert outputs.component_value(made, value, for_page) is not None
    for entries in (outputs._component, outputs._value):
        assert entries.dispatch(kind) is not entries.dispatch(object), f"write an entry for {kind.__name__}"


def _toy() -> Outputs:
    """A toy."""


def test_a_kind_that_nobody_knows_is_an_error_and_no_picture():
    class Sound(ports.Output):
        pass

    class Colour(ports.Input):
        pass

    sound = Sound("sound", "Sound")
    for face in (
        outputs.api_output,
        outputs.page_output,
        lambda port: outputs.component_value(port, b"", True),
        sound.check,
        sound.html,
    ):
        with pytest.raises(NotImplementedError, match="Sound"):
            face(sound)
    for face in (inputs.api_input, inputs.page_input):
        with pytest.raises(NotImplementedError, match="Colour"):
            face(Parameter("colour", Colour("Colour")))


@pytest.mark.parametrize("value", ["0.25, 0.5", [0.25, 0.5], (0.25, 0.5), np.array([0.25, 0.5])])
def test_a_point_is_shares_of_the_photo_however_it_is_given(value):
    point = ports.Point("Place")
    checked = point.check("place", value)
    assert checked == "0.25, 0.5"
    assert point.resolve("place", checked, None) == (0.25, 0.5)
    assert point.resolve("place", point.check("place", None), None) is None
    for bad in point.bad_values():
        with pytest.raises(timmscope.InvalidInput, match="place: got"):
            point.check("place", bad)


def test_a_file_is_written_as_it_is_and_has_no_array(tmp_path):
    made = ports.File("network", "Network", ending="safetensors")
    result = Result(
        technique("Toy", family="Synthesis", outputs=[made])(_toy), Outputs(network=b"weights"), {"notes": []}
    )
    result.save(tmp_path)
    assert (tmp_path / "network.safetensors").read_bytes() == b"weights"
    assert result.arrays == {}
    with open(outputs.component_value(made, b"weights", for_page=False), "rb") as served:
        assert served.read() == b"weights"
