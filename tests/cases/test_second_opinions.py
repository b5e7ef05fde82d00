"""A second model's opinion of a picture: asked for, absent, and never made up."""

from __future__ import annotations

import asyncio
import io
import json
import re

import httpx
import numpy as np
import pytest
from click.testing import CliRunner
from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client

import timmscope
from timmscope import Absent, InvalidInput, ModelUnavailable
from timmscope.registry.cli import cli
from timmscope.registry.plugins.discovery import plugins

from .. import toys
from ..references import CHELSEA

NO_REPOSITORY = "mobilenetv2_035"  # timm knows no weights of it, so that no network can bring them
TOO_LARGE = "vit_gigantic_patch14_224"
SECOND = {"gradient_ascent": {"size": 64}, "fooling": {"image": CHELSEA}}  # techniques that ask a second model


def opinion(technique: str, **inputs):
    """A short run of a technique that asks a second model."""
    short = {"model": "test_convnext", "weights": "random", "steps": 1, "target": 3}
    return timmscope.run(technique, **short | SECOND[technique] | inputs)


def refuse():
    raise ModelUnavailable("never_there: it is on the moon. Look up.")


@pytest.fixture
def sources(monkeypatch):
    """Models of plugins: one that cannot be had, others with classes of their own."""
    for source in (
        timmscope.ModelSource("never_there", refuse, "the moon", build=toys.Tiny),
        toys.source("ten_classes"),
        toys.source("twelve_classes", classes=12),
        toys.source("no_classes", classes=0),
        toys.source("many_channels", channels=12),
    ):
        monkeypatch.setitem(plugins().model_sources, source.name, source)


ABSENT = [
    (NO_REPOSITORY, "timm names no hub repository"),
    (TOO_LARGE, "million parameters; here at most"),
    ("never_there", "it is on the moon"),
    ("many_channels", "takes 12 channels"),
    ("", "no second model is named"),
    ("no_classes", "has no classes"),
]


@pytest.mark.case(4)
@pytest.mark.parametrize(("second", "why"), ABSENT)
def test_without_a_second_model_nobody_gives_a_second_opinion(second, why, sources, tmp_path):
    result = opinion("gradient_ascent", second_model=second)
    absent = result["second_opinion"]
    assert isinstance(absent, Absent)
    assert not absent
    assert absent.why.startswith("No second opinion: ")
    assert why in absent.why
    assert [note for note in result.notes if "opinion" in note] == [absent.why]
    assert result.recipe["notes"] == list(result.notes)
    result.save(tmp_path)
    with np.load(tmp_path / "arrays.npz") as arrays:
        assert set(arrays) == {"image", "scores", "images", "objective"}
    assert "second model" not in " ".join(result["images"].captions)


@pytest.mark.case(4)
@pytest.mark.parametrize(("second", "why"), ABSENT)
def test_a_column_of_which_nothing_is_known_is_empty(second, why, sources):
    result = opinion("fooling", second_model=second)
    assert all(row[4] is None and None not in row[:4] for row in result["opinions"])
    assert np.isnan(result.arrays["opinions"][:, 3]).all()
    assert np.isfinite(result.arrays["opinions"][:, :3]).all()
    assert any(note.startswith("No second opinion: ") and why in note for note in result.notes)


@pytest.mark.case(4)
def test_what_is_absent_is_said_in_html_and_figure():
    result = opinion("gradient_ascent", second_model=NO_REPOSITORY)
    sentence = result["second_opinion"].why
    html = re.sub("<[^>]+>", " ", result._repr_html_()).replace("&#x27;", "'")
    assert f"Scores by a second model: {sentence}" in html
    panel = next(ax for ax in result.figure().axes if ax.get_title() == "Scores by a second model")
    assert " ".join(panel.texts[0].get_text().split()) == sentence
    assert not panel.patches  # no bars

    result = opinion("fooling", second_model=NO_REPOSITORY)
    assert "<td>–</td></tr>" in result._repr_html_()
    grid = next(ax for ax in result.figure().axes if ax.get_title().startswith("Opinions")).tables[0]
    assert grid[1, 4].get_text().get_text() == "–"


@pytest.mark.case(4)
def test_what_is_absent_is_absent_over_http(server, cat):
    kind, data = server.call("gradient_ascent", {"steps": 1, "size": 64, "second_model": NO_REPOSITORY})
    assert kind == "complete"
    assert data[1]["confidences"]
    assert data[2]["confidences"] is None
    assert data[2]["label"].startswith(f"No second opinion: {NO_REPOSITORY}")
    assert "timm names no hub repository" in data[2]["label"]
    with np.load(io.BytesIO(server.get_file(data[-2]))) as arrays:
        assert "second_opinion" not in arrays
    assert data[2]["label"] in json.loads(server.get_file(data[-1]))["notes"]

    values = {"image": server.upload(cat), "steps": 1, "second_model": NO_REPOSITORY}
    kind, data = server.call("fooling", values)
    assert kind == "complete"
    assert {row[4] for row in data[5]} == {None}
    assert any("No second opinion" in note for note in json.loads(server.get_file(data[-1]))["notes"])


@pytest.mark.case(4)
def test_what_is_absent_is_absent_over_mcp(server):
    async def talk():
        async with (
            streamable_http_client(f"{server.url}/gradio_api/mcp/") as (read, write, _),
            ClientSession(read, write) as session,
        ):
            await session.initialize()
            return await session.call_tool("gradient_ascent", {"steps": 1, "size": 64, "second_model": NO_REPOSITORY})

    answer = asyncio.run(talk())
    assert not answer.isError, answer
    texts = [part.text for part in answer.content if part.type == "text"]
    (said,) = (text for text in texts if "No second opinion" in text)
    assert "confidence" not in said or "None" in said or "null" in said
    (archive,) = re.findall(r"http\S+?\.npz", " ".join(texts))
    with np.load(io.BytesIO(httpx.get(archive, trust_env=False).content)) as arrays:
        assert "second_opinion" not in arrays


@pytest.mark.case(4)
def test_what_is_absent_is_absent_on_the_command_line(tmp_path):
    words = ["run", "gradient_ascent", "--steps", "1", "--size", "64", "--second-model", NO_REPOSITORY]
    done = CliRunner().invoke(cli, [*words, "--out", str(tmp_path)], prog_name="timmscope")
    assert done.exit_code == 0, done.output
    assert "No second opinion: " in done.stderr
    with np.load(tmp_path / "arrays.npz") as arrays:
        assert "second_opinion" not in arrays


@pytest.mark.case(4)
def test_of_a_class_that_the_second_model_does_not_have_it_says_nothing(sources):
    ascent, fooled = (opinion(name, second_model="ten_classes") for name in SECOND)
    assert ascent["second_opinion"].target is None
    assert len(ascent["second_opinion"].values) == 10
    rows = {row[0]: row[1:] for row in fooled["opinions"]}
    assert rows["tiger shark"][3] is None
    assert rows["tiger shark"][0] is not None
    own = [row for name, row in rows.items() if name.startswith("class ")]  # which the first model does not have
    assert len(own) == 3
    assert all(row[:3] == [None, None, None] and row[3] > 0 for row in own)
    for result in (ascent, fooled):
        assert "ten_classes has no class called tiger shark." in result.notes


@pytest.mark.case(4)
@pytest.mark.parametrize(
    ("second", "why"),
    [
        ("twelve_classes", "have numbers only, and are not those of the model"),
        ("ten_classes", "ten_classes is the model itself"),
    ],
)
def test_an_opinion_on_other_classes_or_of_the_model_itself_is_no_second_one(second, why, sources):
    inputs = {"model": "ten_classes", "weights": "pretrained", "second_model": second}
    ascent = opinion("gradient_ascent", **inputs)
    assert why in ascent["second_opinion"].why
    assert all(row[4] is None for row in opinion("fooling", **inputs)["opinions"])


@pytest.mark.case(4)
@pytest.mark.parametrize("technique", SECOND)
def test_it_is_said_before_the_steps_are_spent(technique):
    inputs = {"model": "test_convnext", "weights": "random", "steps": 100, "second_model": NO_REPOSITORY}
    stream = timmscope.stream(technique, **inputs, **SECOND[technique])
    first = next(stream)
    stream.close()
    assert first.done < 100
    assert any(note.startswith(f"No second opinion: {NO_REPOSITORY}") for note in first.outputs.notes)


NAMES = [(t.name, p.name) for t in plugins().techniques.values() for p in t.parameters if "ModelName" in str(p.port)]


@pytest.mark.parametrize(("technique", "parameter"), NAMES)
def test_a_model_that_there_is_not_is_refused_before_any_is_loaded_by_its_own_parameter(
    technique, parameter, monkeypatch
):
    def lend(*_):
        raise AssertionError("a model is loaded")

    monkeypatch.setattr("timmscope.registry.models.loading.lend", lend)
    photos = {p.name: CHELSEA for p in plugins().technique(technique).parameters if type(p.port) is timmscope.Photo}
    with pytest.raises(InvalidInput, match=f"^{parameter}: got 'resnet51', expected .*resnet50") as refused:
        next(timmscope.stream(technique, **photos, **{parameter: "resnet51"}))
    assert refused.value.parameter == parameter
