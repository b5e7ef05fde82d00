"""Results: arrays, pictures and files; and what a technique returns is held against its declaration."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from timmscope.registry.declare.ports import Animation, Curves, Gallery, Heatmap, Heatmaps, Picture, Scores, Table
from timmscope.registry.declare.technique import Technique
from timmscope.registry.pictures.values import Absent, Captioned, Outputs, Shown
from timmscope.registry.results.result import BrokenOutput, Result, check_outputs
from timmscope.registry.vision.explained import ClassScores
from timmscope.registry.vision.labels import labels_for

RNG = np.random.default_rng(0)
PICTURE = RNG.integers(0, 256, (6, 8, 3), np.uint8)
HEAT = RNG.normal(size=(6, 8)) * 1000
PORTS = (
    Picture("picture", "Picture"),
    Gallery("gallery", "Gallery"),
    Heatmap("heat", "Heat"),
    Heatmaps("heats", "Heats"),
    Heatmap("shown", "Shown"),
    Scores("scores", "Scores"),
    Table("table", "Table", columns=("name", "value")),
    Curves("curves", "Curves"),
    Animation("film", "Film"),
)
VALUES = {
    "picture": PICTURE,
    "gallery": Captioned(np.stack([PICTURE, 255 - PICTURE]), ["<one>", "two"]),
    "heat": HEAT,
    "heats": Captioned(np.stack([HEAT, -HEAT]), ["one", "two"]),
    "shown": Shown(HEAT, PICTURE),
    "scores": ClassScores(np.full(10, 0.1, np.float32), labels_for(10, 10)),
    "table": [["a", 1.5], ["b", 2]],
    "curves": {"loss": [3, 2, 1], "norm": [1, 1, 1]},
    "film": np.stack([PICTURE, 255 - PICTURE]),
}


def make(ports=PORTS) -> Technique:
    return Technique("toy", "Toy", "Synthesis", lambda: None, (), tuple(ports), "A toy.", {}, plugin="test")


@pytest.fixture
def result():
    return Result(make(), Outputs(VALUES), {"technique": "toy", "text": "ü"}, ("A <note>.",))


def test_arrays_are_raw_and_float32(result):
    arrays = result.arrays
    assert {name: array.shape for name, array in arrays.items()} == {
        "picture": (6, 8, 3),
        "gallery": (2, 6, 8, 3),
        "heat": (6, 8),
        "heats": (2, 6, 8),
        "shown": (6, 8),
        "scores": (10,),
        "table": (2, 1),
        "curves": (2, 3),
        "film": (2, 6, 8, 3),
    }
    assert {array.dtype for array in arrays.values()} == {np.dtype(np.float32)}
    assert np.array_equal(arrays["heat"], HEAT.astype(np.float32))
    assert np.array_equal(arrays["shown"], HEAT.astype(np.float32))
    assert np.allclose(arrays["picture"] * 255, PICTURE)


def test_files_hold_what_the_result_holds(result, tmp_path):
    names = {path.name for path in result.save(tmp_path / "new" / "folder")}
    assert names == {
        *("picture.png", "gallery_0.png", "gallery_1.png", "heat.png", "heats_0.png", "heats_1.png", "shown.png"),
        *("film.webp", "arrays.npz", "recipe.json"),
    }
    folder = tmp_path / "new" / "folder"
    assert np.array_equal(np.asarray(Image.open(folder / "picture.png")), PICTURE)
    assert np.array_equal(np.asarray(Image.open(folder / "shown.png")), PICTURE)
    assert json.loads((folder / "recipe.json").read_text(encoding="utf-8")) == result.recipe
    archive = np.load(folder / "arrays.npz")
    assert set(archive) == set(VALUES)
    assert all(np.array_equal(archive[name], result.arrays[name]) for name in archive)
    film = Image.open(io.BytesIO((folder / "film.webp").read_bytes()))
    assert film.n_frames == 2
    assert np.array_equal(np.asarray(film.convert("RGB")), PICTURE)


def test_what_fits_is_accepted():
    check_outputs(make(), Outputs(VALUES), complete=True)
    check_outputs(make(), Outputs(picture=PICTURE), complete=False)
    check_outputs(make(), Outputs(picture=np.dstack([PICTURE, PICTURE[..., 0]])), complete=False)


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        (None, r"technique toy \(plugin test\) returned NoneType, expected Outputs"),
        ({"picture": PICTURE}, "returned dict, expected Outputs"),
        (Outputs(other=1), "returned other, which it does not declare"),
        (Outputs(picture=PICTURE), "did not return curves, film"),
        (Outputs(VALUES | {"picture": PICTURE / 255}), "output picture has shape .* type float64, expected"),
        (Outputs(VALUES | {"picture": PICTURE[..., :2]}), "output picture has shape"),
        (Outputs(VALUES | {"picture": PICTURE[:0]}), "output picture has shape"),
        (Outputs(VALUES | {"picture": None}), "output picture has shape"),
        (Outputs(VALUES | {"picture": Image.new("P", (3, 3))}), "output picture has shape"),
        (Outputs(VALUES | {"heat": HEAT[0]}), "output heat has shape"),
        (Outputs(VALUES | {"heat": HEAT * np.nan}), "output heat has values that are not finite"),
        (Outputs(VALUES | {"heat": np.full((2, 2), "a")}), "output heat has shape"),
        (Outputs(VALUES | {"heats": Captioned([HEAT[0]], ["a"])}), "output heats has shape"),
        (Outputs(VALUES | {"scores": np.ones(3)}), "output scores is ndarray, expected ClassScores"),
        (Outputs(VALUES | {"film": PICTURE}), "output film has shape"),
        (Outputs(VALUES | {"shown": Shown(HEAT, HEAT)}), "output shown: its picture has shape"),
        (Outputs(VALUES | {"table": [["a", "b"]]}), "output table"),
        (Outputs(VALUES | {"curves": {"a": [1], "b": [1, 2]}}), "output curves"),
        (Outputs(VALUES | {"curves": [1, 2]}), "output curves"),
    ],
)
def test_what_does_not_fit_is_named(outputs, message):
    with pytest.raises(BrokenOutput, match=message):
        check_outputs(make(), outputs, complete=True)


@pytest.mark.parametrize("port", PORTS, ids=lambda port: port.name)
def test_what_is_absent_is_left_out_where_it_may_be(port, tmp_path):
    values = Outputs(VALUES | {port.name: Absent("There is none, since nobody knows.")})
    with pytest.raises(
        BrokenOutput, match=rf"output {port.name} is absent .*; write  .*\({port.name!r}, ..., optional=True"
    ):
        check_outputs(make(), values, complete=True)
    technique = make([replace(other, optional=other is port) for other in PORTS])
    check_outputs(technique, values, complete=True)
    result = Result(technique, values, {"technique": "toy"})
    assert set(result.arrays) == set(VALUES) - {port.name}
    assert port.name not in result.pictures
    result.save(tmp_path)
    assert not list(tmp_path.glob(f"{port.name}.*"))
    with np.load(tmp_path / "arrays.npz") as archive:
        assert set(archive) == set(VALUES) - {port.name}


def test_what_is_absent_is_false_and_says_why():
    absent = Absent("No second opinion: the hub is far.")
    assert not absent
    assert "the hub is far" in repr(absent)
    with pytest.raises(ValueError, match="needs a reason"):
        Absent("")


def test_an_empty_cell_of_a_table_is_not_a_number_and_no_other_value_is_that():
    values = Outputs(VALUES | {"table": [["a", None], ["b", 2]]})
    check_outputs(make(), values, complete=True)
    np.testing.assert_array_equal(Result(make(), values, {}).arrays["table"], np.array([[np.nan], [2]], np.float32))
    for broken in ([["a", float("nan")]], [["a", float("inf")], ["b", None]]):
        with pytest.raises(BrokenOutput, match="output table has values that are not finite"):
            check_outputs(make(), Outputs(VALUES | {"table": broken}), complete=True)
