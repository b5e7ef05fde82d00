"""Declarations: what the record holds, and what a wrong declaration is told."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Annotated

import pytest

import timmscope
from timmscope import (
    DeclarationError,
    Number,
    Outputs,
    Photo,
    PhotoInput,
    Picture,
    Switch,
    Target,
    VisionModel,
    technique,
)

OUTPUTS = [Picture("picture", "Picture")]


@technique("Example", family="Gradients", outputs=OUTPUTS)
def example(
    model: VisionModel,
    image: Annotated[PhotoInput, Photo("Photo")],
    target: Annotated[int | None, Target("Class")] = None,
    steps: Annotated[int, Number("Steps", 1, 9)] = 5,
    noise: Annotated[float, Number("Noise", 0, 1)] = 0,
) -> Iterator[Outputs]:
    """A sentence.

    What you see:
        Two lines
        of text.

    Source:
        A paper: with a colon.

    Args:
        image: The photo.
        target: A class, whose help
            goes on: in a second line.
        steps: How many.
        noise: How much.
    """
    yield Outputs()


def test_the_record_holds_what_was_declared():
    assert (example.name, example.title, example.summary) == ("example", "Example", "A sentence.")
    assert example.streams
    assert example.uses_model
    assert example.sections == {"What you see": "Two lines\nof text.", "Source": "A paper: with a colon."}
    assert [p.name for p in example.parameters] == ["image", "target", "steps", "noise", "fit", "model", "weights"]
    assert [p.name for p in example.parameters if p.required] == ["image"]
    by_name = {p.name: p for p in example.parameters}
    assert by_name["target"].help == "A class, whose help goes on: in a second line."
    assert by_name["steps"].port.whole
    assert not by_name["noise"].port.whole
    assert isinstance(by_name["noise"].default, float)
    assert example.photo is by_name["image"]
    with pytest.raises(dataclasses.FrozenInstanceError):
        example.name = "other"


def test_a_technique_without_a_model_or_photo_has_no_such_parameters():
    @technique("Plain", family="Synthesis", outputs=OUTPUTS)
    def plain(size: Annotated[int, Number("Size", 1, 9)] = 5):
        """A sentence.

        Args:
            size: How large.
        """

    assert [p.name for p in plain.parameters] == ["size"]
    assert not plain.uses_model
    assert not plain.streams


def declare(function, family="Gradients", outputs=OUTPUTS):
    return technique("Title", family=family, outputs=outputs)(function)


def function_with(annotation, default=5, name="steps", doc="Does it.\n\nArgs:\n    {name}: How many.\n"):
    """A function of one parameter, as if it had been written out."""
    source = f"def toy({name}: annotation = default): pass"
    scope = {"annotation": annotation, "default": default}
    exec(source, scope)
    scope["toy"].__doc__ = doc and doc.format(name=name)
    return scope["toy"]


STEPS = Annotated[int, Number("Steps", 1, 9)]


@pytest.mark.parametrize(
    ("function", "options", "message"),
    [
        (function_with(int), {}, r"toy, parameter steps: no port declared; write  steps: Annotated\[int, Number"),
        (function_with(Annotated[str, Number("Steps", 1, 9)]), {}, "Number goes with int or float, not str; write"),
        (function_with(Annotated[int, Switch("Steps")]), {}, r"Switch goes with bool, not int; write  steps: Annota"),
        (function_with(STEPS, default=10), {}, "its own default is refused: steps: got 10, expected a whole number"),
        (function_with(STEPS, default=True), {}, "its own default is refused: steps: got True"),
        (function_with(STEPS, doc="Does it."), {}, "not described; write a line  steps: ...  under 'Args:'"),
        (function_with(STEPS, doc=""), {}, "technique toy: no docstring"),
        (function_with(STEPS, name="recipe"), {}, "parameter recipe: the name is reserved"),
        (function_with(STEPS, name="weights"), {}, "parameter weights: the name is reserved"),
        (function_with(STEPS), {"family": "Gradient"}, "family 'Gradient' is not one of Activations, Gradients, Synth"),
        (function_with(STEPS), {"outputs": []}, "no outputs; write  outputs="),
        (function_with(STEPS), {"outputs": ["picture"]}, "output 'picture' is no output port"),
        (function_with(STEPS), {"outputs": OUTPUTS * 2}, "output name 'picture' is taken"),
        (function_with(STEPS), {"outputs": [Picture("a b", "A")]}, "output name 'a b' is taken, reserved or no ident"),
        (function_with(STEPS), {"outputs": [Picture("arrays", "A")]}, "output name 'arrays'"),
        (function_with("Nowhere"), {}, "its annotations cannot be read: name 'Nowhere' is not defined"),
    ],
)
def test_a_wrong_declaration_is_told_what_to_write(function, options, message):
    with pytest.raises(DeclarationError, match=message) as caught:
        declare(function, **options)
    assert "toy" in str(caught.value)


def test_nameless_parameters_are_refused():
    def toy(*args: Annotated[int, Number("Steps", 1, 9)]):
        """Does it.

        Args:
            args: Some.
        """

    with pytest.raises(DeclarationError, match="every parameter needs a name of its own"):
        declare(toy)


def test_a_gallery_selects_only_a_parameter_that_there_is():
    def wall(size: Annotated[int, timmscope.Number("Size", 1, 9)] = 3):
        """A wall.

        Args:
            size: Size.
        """

    with pytest.raises(timmscope.DeclarationError, match=r"output maps selects 'unit', which is none of .*: size"):
        timmscope.technique("Wall", family="Activations", outputs=[timmscope.Gallery("maps", "Maps", selects="unit")])(
            wall
        )


@pytest.mark.parametrize(
    ("seconds", "part"),
    [
        (-1, "gpu_seconds is -1, no number of seconds"),
        (True, "gpu_seconds is True"),
        ("10", "gpu_seconds is '10'"),
        (lambda steps, photos: 1, "gpu_seconds takes photos, which is none of its parameters: steps; write"),
    ],
)
def test_gpu_seconds_that_make_no_sense_are_refused(seconds, part):
    def toy(steps: Annotated[int, Number("Steps", 1, 9)] = 5):
        """A toy.

        Args:
            steps: How many.
        """

    with pytest.raises(DeclarationError, match=part):
        technique("Toy", family="Gradients", outputs=OUTPUTS, gpu_seconds=seconds)(toy)


def test_gpu_seconds_may_depend_on_the_inputs():
    def toy(steps: Annotated[int, Number("Steps", 1, 9)] = 5):
        """A toy.

        Args:
            steps: How many.
        """

    declare = technique("Toy", family="Gradients", outputs=OUTPUTS, gpu_seconds=lambda steps: 5 + steps)
    assert declare(toy).gpu_time({"steps": 7, "image": None}) == 12
    assert declare(toy).heavy
    assert not example.heavy
    assert example.gpu_time({}) == 0
