"""Results on disk: two in one place, a folder with everything in it, and the same bits in another process."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import timmscope
from timmscope import testing
from timmscope.registry.base.errors import DeclarationError
from timmscope.registry.cli import cli
from timmscope.registry.declare import ports
from timmscope.registry.declare.ports import Gallery, Picture
from timmscope.registry.pictures.values import Captioned, Outputs
from timmscope.registry.results.result import Result
from timmscope.registry.results.saving import FolderTaken

from ..photo_sets.test_sources import zipped
from ..photos.test_sets import photo
from ..references import CHELSEA
from ..results.test_result import make
from ..serving import ROOT

TINY = {"model": "test_vit", "weights": "random"}
OPTIONS = ["--model", "test_vit", "--weights", "random", "--samples", "1", "--quiet"]
ODD = {  # what a file system or a plugin may give, and what people should read
    b"caf\xe9.png": r"caf\xe9.png",  # Latin-1, as old systems wrote it
    b"\x8e\xd1.png": r"\x8e\xd1.png",  # Shift-JIS
    b"two\nlines.png": r"two\nlines.png",
    b"\x1b[31mred.png": r"\x1b[31mred.png",
    "\u202egnp.png".encode(): r"\u202egnp.png",  # would be read from right to left
    "Käse 猫 👩‍🔬.png".encode(): "Käse 猫 👩‍🔬.png",
}


def colour(number: int) -> Image.Image:
    """A photo unlike that of any other number."""
    return Image.new("RGB", (24, 24), (number * 37 % 256, number * 91 % 256, 200 - number))


def fingerprint(picture: Image.Image) -> str:
    """What a recipe knows a photo by: the hash of its size and pixels."""
    return hashlib.sha256(repr(picture.size).encode() + picture.tobytes()).hexdigest()


def put(folder: Path, name: bytes | str, content: Image.Image | bytes) -> None:
    """Write a file of any name; skip where the file system takes no such name."""
    if isinstance(content, Image.Image):
        buffer = io.BytesIO()
        content.save(buffer, "PNG")
        content = buffer.getvalue()
    try:
        with open(os.path.join(os.fsencode(folder), os.fsencode(name)), "wb") as file:
            file.write(content)
    except OSError:
        pytest.skip(f"this file system takes no name such as {name!r}")


def call(*words):
    return CliRunner().invoke(cli, [str(word) for word in words], prog_name="timmscope")


def recipes(folder: Path) -> dict[str, dict]:
    """The recipes of the results in a folder, by the name of their folder."""
    return {path.parent.name: json.loads(path.read_text("utf-8")) for path in folder.glob("*/recipe.json")}


# Two results in one place


@pytest.mark.case(16)
@pytest.mark.parametrize(
    ("names", "folders"),
    [
        (["a.jpg", "a.png", "a.jpg.png"], ["a.jpg", "a.png", "a.jpg.png"]),
        (["a.png", "a.png.png", "a.png.png.png"], ["a", "a.png.png", "a.png.png.png"]),
        (["A.png", "a.jpg"], ["A.png", "a.jpg"]),  # A and a are one folder where case makes no difference
        (["A.png", "a.png"], ["A.png", "a.png (2)"]),
        (["a", "a.png", "A.bmp"], ["a", "a.png", "A.bmp"]),
        (["\u00e9.png", "e\u0301.jpg"], ["\u00e9.png", "e\u0301.jpg"]),  # the same letter, composed and not
    ],
    ids=ascii,
)
def test_every_photo_of_a_folder_gets_a_result_of_its_own(names, folders, tmp_path):
    for number, name in enumerate(names):
        put(tmp_path, name, colour(number))
    if len(list(tmp_path.iterdir())) < len(names):
        pytest.skip("here these names are one file")
    for _ in range(2):  # the second time in the same places
        done = call("run", "saliency", "--image", tmp_path, *OPTIONS, "-o", tmp_path / "out")
        assert done.exit_code == 0, done.output
        found = {folder: recipe["inputs"]["image"] for folder, recipe in recipes(tmp_path / "out").items()}
        assert {folder: (photo["name"], photo["sha256"]) for folder, photo in found.items()} == {
            folder: (name, fingerprint(colour(number))) for number, (name, folder) in enumerate(zip(names, folders))
        }


@pytest.mark.case(16)
def test_results_may_go_into_the_folder_of_the_photos(tmp_path):
    for number, name in enumerate(("cat", "cat.png", "dog.png")):
        put(tmp_path, name, colour(number))
    done = call("run", "saliency", "--image", tmp_path, *OPTIONS, "-o", tmp_path)
    assert done.exit_code == 0, done.output
    found = {recipe["inputs"]["image"]["name"] for recipe in recipes(tmp_path).values()}
    assert found == {"cat", "cat.png", "dog.png"}
    for number, name in enumerate(("cat", "cat.png", "dog.png")):
        assert np.array_equal(np.asarray(Image.open(tmp_path / name)), np.asarray(colour(number)))


def toy(count: int = 1, name: str = "patches", **recipe) -> Result:
    """A result with so many pictures."""
    squares = np.full((count, 4, 4, 3), count, np.uint8)
    values = Outputs({name: Captioned(squares, [f"{i}" for i in range(count)])})
    return Result(make((Gallery(name, "Patches"),)), values, {"technique": "toy", "count": count, **recipe})


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()} - {".timmscope.json"}


@pytest.mark.case(60)
def test_a_second_result_in_a_folder_takes_the_place_of_the_first(tmp_path):
    own = timmscope.run("grad_cam", image=CHELSEA, **TINY)
    for result in (toy(5), toy(1), toy(3, "maps"), own, toy(2)):
        written = result.save(tmp_path / "out")
        assert files(tmp_path / "out") == {path.relative_to(tmp_path / "out").as_posix() for path in written}
        assert json.loads((tmp_path / "out" / "recipe.json").read_text()) == json.loads(json.dumps(result.recipe))
        with np.load(tmp_path / "out" / "arrays.npz") as arrays:
            assert set(arrays) == set(result.arrays)
        if result is own:
            assert (tmp_path / "out" / "photos" / "image.png").is_file()
    assert not (tmp_path / "out" / "photos").exists()


@pytest.mark.case(60)
def test_what_is_not_of_a_result_stays(tmp_path):
    mine = {
        "figure.png": b"f",
        "notes.json": b"n",
        "photos/holiday.png": b"h",
        "patches.txt": b"t",
        "old/maps_0.png": b"o",
    }
    for name, content in mine.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    for result in (toy(3), timmscope.run("grad_cam", image=CHELSEA, **TINY), toy(1, "maps")):
        result.save(tmp_path)
    assert files(tmp_path) == {*mine, "maps.png", "arrays.npz", "recipe.json"}
    assert {name: (tmp_path / name).read_bytes() for name in mine} == mine


@pytest.mark.case(60)
@pytest.mark.parametrize("name", ["patches.png", "patches_7.png", "Patches_0.PNG", "recipe.json", "arrays.npz"])
def test_files_that_no_result_has_written_are_neither_overwritten_nor_mixed_in(name, tmp_path):
    (tmp_path / name).write_bytes(b"mine")
    with pytest.raises(
        FolderTaken, match=re.escape(f"no former result has written them: {name}. Choose another folder")
    ):
        toy(2).save(tmp_path)
    assert files(tmp_path) == {name}
    assert (tmp_path / name).read_bytes() == b"mine"


@pytest.mark.case(60)
def test_a_folder_that_is_taken_is_refused_before_the_run(tmp_path):
    (tmp_path / "overlay.png").write_bytes(b"mine")
    words = ["run", "saliency", "--image", "sample:chelsea", "--model", "resnet_50", "-o", tmp_path]  # no such model
    done = call(*words)
    assert (done.exit_code, "overlay.png" in done.stderr) == (1, True)
    (tmp_path / "in").mkdir()
    (tmp_path / "out" / "a").mkdir(parents=True)
    (tmp_path / "out" / "a" / "heatmap_0.png").write_bytes(b"mine")
    for number, name in enumerate(("a.png", "b.png")):
        put(tmp_path / "in", name, colour(number))
    done = call("run", "saliency", "--image", tmp_path / "in", *OPTIONS, "-o", tmp_path / "out")
    assert done.exit_code == 1
    assert "a.png: The folder" in done.stderr
    assert set(recipes(tmp_path / "out")) == {"b"}


@pytest.mark.case(60)
def test_a_result_that_cannot_be_written_leaves_the_former_one_whole(tmp_path):
    toy(3).save(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(TypeError):
        toy(1, odd=object()).save(tmp_path)  # its recipe, which comes last, is no JSON
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


@pytest.mark.case(60)
def test_no_two_outputs_share_a_file_or_a_name_of_numpys(tmp_path):
    def declare(*outputs):
        @timmscope.technique("Toy", family="Activations", outputs=outputs)
        def toy() -> timmscope.Outputs:
            """A toy."""

    for clash in ((Gallery("maps", "A"), Picture("maps_0", "B")), (Picture("a", "A"), Picture("A", "B"))):
        with pytest.raises(DeclarationError, match="output name"):
            declare(*clash)
    declare(Picture("maps", "A"), Picture("maps_0", "B"))  # one picture has no number
    names = ("file", "args", "kwds", "allow_pickle", "self")  # of parameters of numpy.savez
    values = {name: np.full((2, 2, 3), i, np.uint8) for i, name in enumerate(names)}
    result = Result(make([Picture(name, name) for name in names]), Outputs(values), {})
    result.save(tmp_path)
    with np.load(tmp_path / "arrays.npz") as arrays:
        assert {name: round(float(arrays[name].max()) * 255) for name in arrays} == dict(zip(names, range(5)))


# In another process


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.case(41)
def test_recipes_of_all_techniques_give_the_same_bits_in_another_process(tmp_path):
    photos = [tmp_path / f"{number}.png" for number in range(6)]
    for path, content in zip(photos, testing.generated_photos(len(photos))):
        path.write_bytes(content)
    given = {}
    for name, technique in timmscope.plugins().techniques.items():
        inputs = testing.smallest(
            technique, CHELSEA, "test_convnext", [tmp_path / f"{i}.png" for i in range(len(photos))]
        )
        result = timmscope.run(name, **inputs)
        result.save(tmp_path / name)
        sets = any(isinstance(parameter.port, ports.Photos) for parameter in technique.parameters)
        given[name] = [str(path) for path in inputs["files"]] if sets else []
    code = (
        "import json, sys, torch, timmscope; torch.set_num_threads(1)\n"
        "for name, files in json.load(sys.stdin).items():\n"
        f"    again = timmscope.rerun(f'{tmp_path}/{{name}}/recipe.json', **({{'files': files}} if files else {{}}))\n"
        f"    again.save(f'{tmp_path}/again/{{name}}')\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, input=json.dumps(given), text=True, check=True)
    for name in given:
        for file in files(tmp_path / name):
            assert (tmp_path / "again" / name / file).read_bytes() == (tmp_path / name / file).read_bytes(), (
                name,
                file,
            )


# A folder with everything in it


@pytest.mark.slow
@pytest.mark.case(7)
@pytest.mark.case(59)
def test_odd_entries_of_a_folder_do_not_keep_the_others_from_being_done(tmp_path):
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    good = ["good.png", "CAPITALS.PNG", "no suffix", "two words.png", "-dash.png", "'it\"s $HOME`.png", "ünï 猫 😀.png"]
    good += ["data:image,x.png", "sample:chelsea.png", "two\nlines.png", f"{'long' * 40}.png", "a.b.c.png"]
    for number, name in enumerate(good):
        put(folder, name, colour(number))
    put(folder, b"caf\xe9.png", colour(50))
    (folder / "link.png").symlink_to(folder / "good.png")
    broken = {"empty.png": b"", "text.jpg": b"text", "cut.png": photo()[:60], "svg.png": b"<svg/>", "zip.gif": zipped()}
    for name, content in broken.items():
        put(folder, name, content)
    put(folder, "strip.png", Image.new("RGB", (400, 4)))
    none = ["notes.txt", ".hidden.png", "album.png", "sub", "gone.png", "loop.png", "pipe.png"]
    put(folder, "notes.txt", b"none")
    put(folder, ".hidden.png", colour(60))
    (folder / "album.png").mkdir()
    (folder / "sub").mkdir()
    (folder / "gone.png").symlink_to(folder / "nowhere.png")
    (folder / "loop.png").symlink_to(folder / "loop.png")
    os.mkfifo(folder / "pipe.png")  # would wait for ever for who writes into it

    words = ["run", "saliency", "--image", ".", *OPTIONS[:-1], "-o", str(out)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "timmscope", *words]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, timeout=100)
    said = done.stderr.decode()
    assert done.returncode == 1, said
    expected = {name: fingerprint(colour(number)) for number, name in enumerate(good)} | {
        r"caf\xe9.png": fingerprint(colour(50)),
        "link.png": fingerprint(colour(0)),
    }
    expected[r"two\nlines.png"] = expected.pop("two\nlines.png")
    found = [recipe["inputs"]["image"] for recipe in recipes(out).values()]
    assert {photo["name"]: photo["sha256"] for photo in found} == expected
    assert len(found) == len(expected)
    assert f"Error: {len(broken) + 1} of {len(broken) + 1 + len(expected)} photos failed." in said
    assert "Traceback" not in said
    for name in (*broken, "strip.png"):
        assert f"\n{name}: image: got " in said
        assert not (out / Path(name).stem).exists()
    (left_out,) = [line for line in said.splitlines() if line.startswith("Left out")]
    assert all(name in left_out for name in none if not name.startswith("."))
    assert all(os.fsencode(path) + b"\n" in done.stdout for path in out.glob("*/recipe.json"))  # as they are
    assert len(list(out.glob("*/recipe.json"))) == len(expected)
