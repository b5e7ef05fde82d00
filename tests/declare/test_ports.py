"""Ports accept what they declare, in one canonical form, and refuse the rest with a complete message."""

from __future__ import annotations

import enum
import functools
import itertools
import json
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

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
from timmscope.registry.declare.ports import Files

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


class Rule(str, enum.Enum):
    GUIDED = "guided"


LOGITS = np.eye(300, dtype=np.float32)[281]


@pytest.mark.case(9)
@pytest.mark.parametrize(
    ("port", "value", "same"),
    [
        (WHOLE, np.int64(5), 5),
        (WHOLE, np.uint8(5), 5),
        (WHOLE, np.float32(5), 5),
        (WHOLE, np.array(5), 5),
        (WHOLE, torch.tensor(5), 5),
        (REAL, np.float32(0.15), 0.15),  # as it prints
        (REAL, np.float16(0.15), 0.15),
        (REAL, np.float64(0.15), 0.15),
        (REAL, np.int8(1), 1.0),
        (REAL, np.array(0.25), 0.25),
        (REAL, torch.tensor(0.25, requires_grad=True), 0.25),
        (REAL, Fraction(1, 4), 0.25),
        (REAL, Decimal("0.15"), 0.15),
        (STEPPED, np.float32(0.7), 0.7),
        (CHOICE, np.str_("guided"), "guided"),
        (CHOICE, Rule.GUIDED, "guided"),
        (CHOICES, ("blur", np.str_("clip")), ["blur", "clip"]),
        (CHOICES, np.array(["blur", "clip"]), ["blur", "clip"]),
        (Switch("On"), np.bool_(True), True),
        (Switch("On"), np.float32(2) > 1, True),
        (Switch("On"), np.array(False), False),
        (Switch("On"), torch.tensor(True), True),
        (Text("Text"), np.str_(" a "), "a"),
        (ModelName("Model"), np.array(["resnet18"])[0], "resnet18"),
        (timmscope.ModelNames("Models"), np.array(["resnet18", "vgg11"]), ["resnet18", "vgg11"]),
        (Target("Class"), np.int64(281), "281"),
        (Target("Class"), np.argmax(LOGITS), "281"),
        (Target("Class"), torch.from_numpy(LOGITS).argmax(), "281"),
        (Target("Class"), np.array(281), "281"),
        (Target("Class"), np.str_("tabby"), "tabby"),
        (Targets("Classes"), np.array([281, 285]), ["281", "285"]),
        (Targets("Classes"), torch.tensor([281, 285]), ["281", "285"]),
        (Targets("Classes"), np.argsort(-LOGITS, kind="stable")[:2], ["281", "0"]),
        (Targets("Classes"), (np.int64(281), "tabby", np.str_("lynx")), ["281", "tabby", "lynx"]),
        (Targets("Classes"), np.int32(285), ["285"]),
        (Targets("Classes"), range(2), ["0", "1"]),
        (Targets("Classes"), (label for label in ("tabby", "lynx")), ["tabby", "lynx"]),
        (Layer("Layer"), np.str_("a"), "a"),
        (Layers("Layers"), ("a", np.str_("b")), ["a", "b"]),
        (Layers("Layers"), {"a": 1, "b": 2}.keys(), ["a", "b"]),
        (Unit("Unit"), np.int64(3), 3),
        (Unit("Unit"), torch.tensor(-1), -1),
        (Units("Units"), np.array([2, 2, 5], np.uint16), [2, 5]),
        (Units("Units"), range(3), [0, 1, 2]),
        (Units("Units"), np.int64(0), [0]),
        (Position("Position"), (3, 5), "3, 5"),
        (Position("Position"), [3, 5], "3, 5"),
        (Position("Position"), np.array([3, 5]), "3, 5"),
        (Position("Position"), torch.tensor([3, 5]), "3, 5"),
        (Position("Position"), np.unravel_index(26, (7, 7)), "3, 5"),
    ],
)
def test_what_means_the_same_is_accepted_whatever_library_it_comes_from(port, value, same):
    canonical = port.check("name", value)
    assert canonical == port.check("name", same) == port.check("name", canonical)
    assert json.loads(json.dumps(canonical)) == canonical
    assert type(canonical) is type(port.check("name", same))  # and nothing of numpy's in it
    assert not isinstance(canonical, list) or all(type(item) in (int, str) for item in canonical)


NOT_ONE = (
    *(
        np.array([True]),
        np.float32("nan"),
        np.float64("inf"),
        np.array(3.5),
        np.array([[1, 2], [3, 4]]),
        np.complex64(1),
    ),
    *(torch.tensor([0.5]), torch.tensor(float("nan")), np.zeros(3), np.ones((900, 900, 3), np.uint8)),
    *(np.datetime64("2024-01-01"), np.array([{}]), Fraction(10**400), Decimal("NaN"), Path("tabby")),
    *({281, 285}, {"tabby": 1}, bytearray(b"tabby"), memoryview(b"tabby"), torch.eye(2).to_sparse(), itertools.count()),
    *([[[[[[1]]]]]], (0.5, 0.5), np.array(["x" * 300]), np.bool_),
)


@pytest.mark.case(9)
@pytest.mark.parametrize("value", NOT_ONE, ids=lambda value: type(value).__name__)
def test_what_has_no_such_meaning_is_refused_whatever_library_it_comes_from(value):
    one = (WHOLE, REAL, CHOICE, Switch("On"), Text("Text"), Target("Class"), Unit("Unit"), Position("Position"))
    for port in (*one, CHOICES, Targets("Classes"), Layers("Layers"), Units("Units")):
        with pytest.raises(InvalidInput, match=r"^knob: got .*, expected "):
            port.check("knob", value)


def test_lists_inside_each_other_without_end_are_refused():
    endless: list = []
    endless.append(endless)
    for deep in (endless, functools.reduce(lambda inner, _: [inner], range(10_000), 1)):
        for port in (WHOLE, Targets("Classes"), Units("Units"), Position("Position")):
            with pytest.raises(InvalidInput):
                port.check("knob", deep)


def test_files_are_a_list_whatever_lists_them(tmp_path):
    port, photo = Files("Files"), np.zeros((4, 5, 3), np.uint8)
    for name in "ab":
        (tmp_path / name).touch()
    both = [tmp_path / "a", tmp_path / "b"]
    for several in (both, tuple(both), (path for path in both), np.array(both), map(Path, both)):
        assert port.check("files", several) == both
    assert sorted(port.check("files", tmp_path.glob("*"))) == both
    assert port.check("files", both[0]) == [both[0]]
    assert port.check("files", "a") == ["a"]
    assert port.check("files", None) == port.check("files", []) == []
    (one,) = port.check("files", photo)
    assert one is photo
    assert [other.shape for other in port.check("files", np.stack([photo, photo]))] == [photo.shape] * 2


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
        (
            Position("Position"),
            (
                *ANYTHING,
                "1",
                "1, 2, 3",
                "-1, 2",
                "a, b",
                "1.5, 2",
                "²,3",
                (1, 2, 3),
                (1,),
                (1, -2),
                (1.5, 2),
                [],
                [True, 1],
                [[1, 2]],
            ),
        ),
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
