"""Results on disk, as figures and in notebooks: names that are no text, two results in one place, many pictures."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import os
import re
import subprocess
import sys
import time
import unicodedata
import zipfile
from pathlib import Path

import gradio as gr
import httpx
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import timmscope
from timmscope import testing
from timmscope.registry.base.errors import DeclarationError
from timmscope.registry.base.names import readable
from timmscope.registry.cli import cli
from timmscope.registry.declare import ports
from timmscope.registry.declare.ports import Curves, Gallery, Heatmap, Heatmaps, Picture, Points, Table
from timmscope.registry.photo_sets.sources import uploaded
from timmscope.registry.pictures.values import Captioned, Outputs, Placed
from timmscope.registry.results.result import Result
from timmscope.registry.results.saving import FolderTaken
from timmscope.registry.web.gradio_fixes.blocks import Page

from ..photo_sets.test_sources import zipped
from ..photos.test_sets import photo
from ..references import CHELSEA
from ..results.test_result import make
from ..serving import ROOT, serving

TINY = {"model": "test_vit", "weights": "random"}
OPTIONS = ["--model", "test_vit", "--weights", "random", "--samples", "1", "--quiet"]
TURNING = ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")  # what turns the direction of a text
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


def texts(figure) -> str:
    """Every text of a figure, without its line breaks."""
    return " ".join(" ".join(text.get_text().split()) for ax in figure.axes for text in [ax.title, *ax.texts])


def call(*words):
    return CliRunner().invoke(cli, [str(word) for word in words], prog_name="timmscope")


def recipes(folder: Path) -> dict[str, dict]:
    """The recipes of the results in a folder, by the name of their folder."""
    return {path.parent.name: json.loads(path.read_text("utf-8")) for path in folder.glob("*/recipe.json")}


# Names that are no text


@pytest.mark.case(7)
def test_photos_whose_names_are_no_text_are_saved_shown_and_run_again(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for number, name in enumerate(ODD):
        put(folder, name, colour(number))
    first = Path(os.fsdecode(os.path.join(os.fsencode(folder), next(iter(ODD)))))
    inputs = {"image": first, "files": [folder], "model": "test_convnext", "weights": "random"}
    result = timmscope.run("nearest_neighbors", **inputs)
    captions = {caption for _, caption in result.pictures["feature_neighbors"]}
    assert captions == {rf"your photo: {ODD[first.name.encode(errors='surrogateescape')]}"} | {
        next(c for c in captions if c.endswith(f"  {name}")) for name in ODD.values()
    }
    for file in result.save(tmp_path / "out"):
        assert file.stat().st_size
    recipe = json.loads((tmp_path / "out" / "recipe.json").read_text("utf-8"))
    assert recipe == json.loads(json.dumps(result.recipe))
    assert recipe["inputs"]["image"]["name"] == r"caf\xe9.png"
    figure = result.figure()
    figure.savefig(io.BytesIO(), dpi=30)
    for text in (texts(figure), result._repr_html_().encode("utf-8").decode()):
        assert [name for name in ODD.values() if name not in text] == []
    again = timmscope.rerun(tmp_path / "out" / "recipe.json", files=[folder])
    assert all(np.array_equal(array, again.arrays[name]) for name, array in result.arrays.items())


@pytest.mark.case(7)
@pytest.mark.parametrize(
    ("stored", "flag", "name"),
    [
        ("Kätzchen.png".encode(), True, "Kätzchen.png"),
        ("Kätzchen.png".encode(), False, "Kätzchen.png"),  # as macOS and Linux write it
        ("café.png".encode("cp437"), False, "café.png"),  # as DOS wrote it
        (b"a\nb/\x1b.png", False, r"a\nb/\x1b.png"),
    ],
)
def test_names_in_old_zips_are_read_as_they_were_meant(stored, flag, name):
    archive = bytearray(zipped(**{"x" * len(stored): photo()}))
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):  # both headers: the flags, in little endian
        archive[archive.index(mark) + offset + 1] |= 8 * flag
    archive = bytes(archive).replace(b"x" * len(stored), stored)
    with zipfile.ZipFile(io.BytesIO(archive)) as entries:
        assert len(entries.namelist()) == 1
    photos = uploaded([archive])
    assert [photo.name for photo in photos] == [name]
    assert photos.photo(0).picture.size == (40, 30)


@pytest.mark.case(7)
def test_texts_of_plugins_that_no_encoding_can_write_break_no_result(monkeypatch, tmp_path):
    half, nul = "half \ud83d.", "nul \0."
    outputs = [
        Gallery("gallery", "Gallery"),
        Table("table", "Table", columns=("name", "value")),
        Curves("curves", "Curves"),
        Points("points", "Points"),
    ]

    @timmscope.technique("Rude", family="Activations", outputs=outputs)
    def rude() -> timmscope.Outputs:
        """Texts from anywhere."""
        squares = np.zeros((2, 4, 4, 3), np.uint8)
        return Outputs(
            gallery=Captioned(squares, [half, nul]),
            table=[[half, 1], [nul, 2]],
            curves={half: [1, 2], nul: [2, 1]},
            points=Placed(np.zeros((2, 2)), [half, nul], [nul, half], squares),
        ).note(half, nul, "two\nlines")

    result = timmscope.run(rude)
    result.save(tmp_path)
    result.figure().savefig(io.BytesIO(), dpi=30)
    text = result._repr_html_().encode().decode()
    everything = text + texts(result.figure()) + (tmp_path / "points.json").read_text("utf-8")
    assert r"half \ud83d." in text
    assert r"nul \x00." in text
    assert not re.search("[\0\ud800-\udfff]", everything)
    assert result.notes == (r"half \ud83d.", r"nul \x00.", "two\nlines")


@pytest.mark.case(7)
def test_a_readable_name_is_text_and_stays_as_it_is():
    for code in (*range(0x300), *range(0x2000, 0x2070), 0xD800, 0xDC80, 0xDFFF, 0xFFFD, 0x1F408):
        text = readable(chr(code))
        assert text.encode("utf-8").decode() == text
        assert readable(text) == text
        hidden = unicodedata.category(chr(code)) in ("Cc", "Cs", "Zl", "Zp")
        turned = unicodedata.bidirectional(chr(code)) in TURNING
        assert (text == chr(code)) == (not hidden and not turned), hex(code)
    for byte in range(0x80, 0x100):
        assert readable(os.fsdecode(bytes([byte]))) == bytes([byte]).decode("utf-8", "backslashreplace")


@pytest.fixture(scope="module")
def with_folder(tmp_path_factory, cat):
    """A server with an operator's folder that has photos with odd names, and an odd name itself."""
    place = tmp_path_factory.mktemp("operator")
    folder = os.path.join(os.fsencode(place), b"d\xe9p\xf4t")
    try:
        os.mkdir(folder)
    except OSError:
        pytest.skip("this file system takes UTF-8 only")
    for number, name in enumerate(ODD):
        put(Path(os.fsdecode(folder)), name, colour(number))
    variables = {"TIMMSCOPE_PHOTO_FOLDERS": os.fsdecode(folder), "TIMMSCOPE_CACHE_FOLDER": str(place / "cache")}
    with serving(place, **variables) as server:
        yield server


@pytest.mark.slow
@pytest.mark.case(8)
def test_an_operators_folder_with_odd_names_is_searched_over_http(with_folder, cat):
    server, name = with_folder, r"folder:d\xe9p\xf4t"
    config = httpx.get(f"{server.url}/config", trust_env=False, timeout=90)
    assert config.status_code == 200
    assert name in json.dumps(config.json(), ensure_ascii=False).replace("\\\\", "\\")
    tiny = {"photos": name, "model": "test_convnext", "weights": "random"}
    kind, data = server.call("nearest_neighbors", {"image": server.upload(cat), **tiny})
    assert kind == "complete", data
    captions = [item["caption"].partition("  ")[2] for item in data[0][1:]]
    assert sorted(captions) == sorted(ODD.values())
    recipe = json.loads(server.get_file(data[-1]))
    assert recipe["inputs"]["photos"]["name"] == name
    kind, data = server.call("maximal_patches", {**tiny, "limit": 1})
    assert kind == "complete", data
    assert {row[0] for row in data[1]} == set(ODD.values())
    assert not [line for line in server.log.read_text().splitlines() if "ERROR" in line or "malformed" in line]


@pytest.mark.case(8)
def test_an_answer_that_cannot_be_written_is_a_fault_of_the_server_and_in_its_log(caplog):
    with Page() as page:
        gr.Button().click(lambda: [{"name": "\udce9"}], None, gr.JSON())
    with pytest.raises(gr.Error, match=r"Internal error \w{8}\. This is a fault of the server, not of your input"):
        asyncio.run(page.process_api(0, []))
    (record,) = [record for record in caplog.records if record.exc_info]
    assert "surrogates not allowed" in caplog.text
    assert record.levelname == "ERROR"


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


# Many pictures


def numbered(count: int, height: int, width: int) -> np.ndarray:
    """Pictures of one colour each, no two alike, [count, height, width, 3]."""
    colours = np.stack([np.arange(count) // 256 * 16 + 64, np.arange(count) % 256, 255 - np.arange(count) % 256], -1)
    return np.broadcast_to(colours[:, None, None].astype(np.uint8), (count, height, width, 3))


@pytest.mark.case(22)
@pytest.mark.parametrize(
    ("count", "height", "width", "columns"), [(1024, 112, 112, 8), (576, 40, 90, 8), (100, 90, 40, 2), (13, 3, 3, 5)]
)
def test_a_figure_of_many_pictures_takes_seconds_and_shows_them_all(count, height, width, columns):
    pictures, captions = numbered(count, height, width), [f"caption number {i} of a picture" for i in range(count)]
    values = Outputs(patches=Captioned(pictures, captions))
    start = time.process_time()
    figure = Result(make((Gallery("patches", "Patches", columns=columns),)), values, {}).figure()
    figure.savefig(io.BytesIO(), dpi="figure" if count > 1000 else 20)
    assert time.process_time() - start < 12
    (ax,) = [ax for ax in figure.axes if ax.images]
    assert len(figure.axes) == 1
    assert f"{count:,} pictures" in ax.get_title()
    wall = np.asarray(ax.images[0].get_array())
    opaque = wall[..., 3] == 255
    rows, across = (np.diff(np.flatnonzero(np.diff(opaque.any(axis), prepend=0, append=0)))[::2] for axis in (1, 0))
    assert len(across) % columns == 0 or columns < 5
    assert len(rows) == -(-count // len(across))
    centres = [
        np.flatnonzero(np.diff(opaque.any(axis), prepend=0, append=0))[::2] + sizes // 2
        for axis, sizes in ((1, rows), (0, across))
    ]
    shown = wall[np.ix_(*centres)].reshape(-1, 4)
    assert np.array_equal(shown[:count, :3], pictures[:, 0, 0])
    assert not shown[count:, 3].any()
    assert abs(rows[0] / across[0] - height / width) < 0.05
    words = " ".join(ax.texts[i].get_text().replace("\n", " ") for i in range(len(ax.texts)))
    assert ("result.pictures" in ax.get_title()) == (not words)
    assert not words or words == " ".join(captions)
    assert bool(words) == (count <= 100)  # elsewhere they would be too small, or too many


@pytest.mark.case(22)
def test_captions_on_a_wall_are_as_wide_as_their_pictures_at_most():
    captions = [f"unit {i}: 0.{i} · birds/photo_{i}_with_a_long_name.png" for i in range(64)]
    values = Outputs(patches=Captioned(numbered(64, 50, 50), captions))
    figure = Result(make((Gallery("patches", "Patches", columns=8),)), values, {}).figure()
    figure.draw_without_rendering()
    (ax,) = figure.axes
    boxes = [text.get_window_extent() for text in ax.texts]
    assert len(boxes) == 64
    assert max(box.width for box in boxes) <= ax.get_window_extent().width / 8
    tops = sorted({round(box.y1) for box in boxes})
    assert max(box.height for box in boxes) < min(np.diff(tops)) / 2


@pytest.mark.case(22)
@pytest.mark.parametrize(("kind", "side"), [(Gallery, 224), (Heatmaps, 14)])
def test_a_notebook_of_many_pictures_is_quick_small_and_whole(kind, side):
    count, cat = 1024, np.asarray(Image.open(CHELSEA).resize((side, side)))
    pictures = np.stack([np.roll(cat, i, 0) for i in range(count)])
    values = pictures if kind is Gallery else pictures[..., 0].astype(np.float32)
    captions = [f"unit <{i}>" for i in range(count)]
    result = Result(make((kind("many", "Many"),)), Outputs(many=Captioned(values, captions)), {})
    start = time.process_time()
    text = result._repr_html_()
    assert time.process_time() - start < 15
    assert len(text) < 20 * 2**20
    assert re.findall(r"<figcaption>unit &lt;(\d+)&gt;</figcaption>", text) == [str(i) for i in range(count)]
    assert text.count("<img") == count
    assert ("as small copies" in text) == (side > 64)


@pytest.mark.case(22)
def test_a_large_table_says_how_much_of_it_is_shown_and_can_be_read():
    columns = ("photo", "unit", "rank", "number", "row", "column", "value")
    rows = [[f"birds/photo {i}.png", *range(i, i + 5), i / 7] for i in range(1500)]
    technique = make((Table("ranking", "Ranking", columns), Heatmap("heat", "Heat")))
    result = Result(technique, Outputs(ranking=rows, heat=np.eye(4)), {})
    figure = result.figure()
    figure.draw_without_rendering()
    (ax,) = [ax for ax in figure.axes if ax.tables]
    assert "12 of 1,500 rows" in ax.get_title()
    cells = ax.tables[0].get_celld()
    assert len(cells) == 13 * 7
    for (row, column), cell in cells.items():
        text = cell.get_text()
        assert text.get_fontsize() >= 7
        assert text.get_window_extent().width <= cell.get_window_extent().width
        expected = columns[column] if row == 0 else rows[row - 1][column]
        assert text.get_text() == (f"{expected:.4g}" if isinstance(expected, float) else str(expected))
    assert result._repr_html_().count("<tr>") == 1501


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
