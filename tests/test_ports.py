"""Ports accept what they declare, in one canonical form, and refuse the rest with a complete message."""

from __future__ import annotations

import pytest

import timmscope
from timmscope import (
    Captioned,
    Choice,
    Choices,
    InvalidInput,
    Layer,
    Layers,
    ModelName,
    Number,
    Outputs,
    Position,
    Switch,
    Target,
    Targets,
    Text,
    Unit,
    Units,
)

WHOLE = Number("Steps", 1, 9, whole=True)
REAL = Number("Noise", 0, 1)
STEPPED = Number("Share", 0.1, 1, step=0.3)
CHOICE = Choice("Rule", ("guided", "gradient"))
CHOICES = Choices("Parts", ("blur", "clip"))
NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("port", "value", "expected"),
    [
        (WHOLE, 1, 1),
        (WHOLE, 9.0, 9),
        (REAL, 0, 0.0),
        (REAL, 1.0, 1.0),
        (STEPPED, 0.7, 0.7),
        (CHOICE, "guided", "guided"),
        (CHOICES, "blur; clip", ["blur", "clip"]),
        (CHOICES, ["clip"], ["clip"]),
        (CHOICES, None, []),
        (Switch("On"), False, False),
        (Text("Text"), "  a  ", "a"),
        (Target("Class"), None, ""),
        (Target("Class"), 281, "281"),
        (Target("Class"), " tabby ", "tabby"),
        (Targets("Classes"), "tabby; 285;", ["tabby", "285"]),
        (Targets("Classes"), 285, ["285"]),
        (Targets("Classes"), ["tabby", 285], ["tabby", "285"]),
        (Targets("Classes"), None, []),
        (Layers("Layers"), "a;b", ["a", "b"]),
        (Unit("Unit"), -1, -1),
        (Unit("Unit"), None, -1),
        (Unit("Unit"), 3.0, 3),
        (Units("Units"), "3; 11;", [3, 11]),
        (Units("Units"), [2, 2, "5"], [2, 5]),
        (Units("Units"), 0, [0]),
        (Units("Units"), None, []),
        (Position("Position"), "03 ,5", "3, 5"),
        (Position("Position"), "", ""),
        (Position("Position"), None, ""),
    ],
)
def test_accepted(port, value, expected):
    canonical = port.check("name", value)
    assert canonical == expected
    assert type(canonical) is type(expected)
    assert port.check("name", canonical) == canonical  # a recipe's value goes in again


ANYTHING = (True, NAN, INF, -INF, {}, {"a": 1}, object(), 10**400, b"tabby", "x" * 201, 3.5)


@pytest.mark.parametrize(
    ("port", "values"),
    [
        (WHOLE, (*ANYTHING, 0, 10, None, "5", [5])),
        (REAL, (*ANYTHING, -0.1, 1.1, None, "0.5", [0.5])),
        (STEPPED, (0.5, 0.2)),
        (CHOICE, (*ANYTHING, None, "", "Guided", ["guided"], 0)),
        (CHOICES, (*ANYTHING, "blur; wrong", [["blur"]], ["blur"] * 3, 1)),
        (Switch("On"), (*ANYTHING[1:], None, "no", 0, 1, [True])),
        (Text("Text"), (*ANYTHING, None, 1, ["a"])),
        (ModelName("Model"), (*ANYTHING, None, 1)),
        (Target("Class"), (*ANYTHING, ["tabby"])),
        (Targets("Classes"), (*ANYTHING, "1;2;3;4;5;6;7", list(range(7)), [None, True], [[1]])),
        (Layer("Layer"), (*ANYTHING, None, 1, ["a"])),
        (Layers("Layers"), (*ANYTHING, ["a", 1], ["a"] * 9)),
        (Unit("Unit"), (*ANYTHING, -2, 2**31, "1", [1])),
        (Units("Units"), (*ANYTHING, -1, "-1", "1.5", "first", "²", [True], [1.0], [[1]], [0] * 33)),
        (Position("Position"), (*ANYTHING, "1", "1, 2, 3", "-1, 2", "a, b", "1.5, 2", "²,3", (1, 2))),
    ],
)
def test_refused(port, values):
    for value in values:
        with pytest.raises(InvalidInput) as caught:
            port.check("knob", value)
        text = str(caught.value)
        assert text.startswith("knob: got "), value
        assert ", expected " in text
        assert not text.split(", expected ")[1].startswith(".")  # something is expected
        assert len(text) < 400


def test_close_choices_are_named():
    with pytest.raises(InvalidInput, match=r"expected one of guided, gradient. Did you mean guided\?"):
        CHOICE.check("rule", "guidde")


def test_outputs_carry_progress_and_notes():
    outputs = Outputs(a=1).at(2, 5).note("one", "").note("two")
    assert (outputs.done, outputs.total, outputs.notes) == (2, 5, ("one", "two"))
    assert Outputs().notes == ()


def test_captions_fit_their_pictures():
    with pytest.raises(ValueError, match="2 pictures with 1 captions"):
        Captioned([1, 2], ["one"])


def test_model_names_are_a_list_or_text_with_semicolons():
    port = timmscope.ModelNames("Models", limit=2)
    assert port.check("compare", " resnet18 ; vgg11") == port.check("compare", ["resnet18", "vgg11"])
    assert port.check("compare", "") == []
    with pytest.raises(timmscope.InvalidInput, match=r"compare: .*at most 2 names of timm models"):
        port.check("compare", "a; b; c")


def test_pictures_stand_for_as_many_values_as_there_are():
    assert timmscope.Captioned([1, 2], ["a", "b"], [7, 8]).values == [7, 8]
    with pytest.raises(ValueError, match="2 pictures with 2 captions and 1 values"):
        timmscope.Captioned([1, 2], ["a", "b"], [7])
