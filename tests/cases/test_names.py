"""Names that are no text: of photos, in zips, of an operator's folder, and texts of plugins."""

from __future__ import annotations

import asyncio
import io
import json
import os
import re
import unicodedata
import zipfile
from pathlib import Path

import gradio as gr
import httpx
import numpy as np
import pytest

import timmscope
from timmscope.registry.base.names import readable
from timmscope.registry.declare.ports import Curves, Gallery, Points, Table
from timmscope.registry.photo_sets.sources import uploaded
from timmscope.registry.pictures.values import Captioned, Outputs, Placed
from timmscope.registry.web.gradio_fixes.blocks import Page

from ..photo_sets.test_sources import zipped
from ..photos.test_sets import photo
from ..serving import serving
from .test_results import ODD, colour, put

TURNING = ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")  # what turns the direction of a text


def texts(figure) -> str:
    """Every text of a figure, without its line breaks."""
    return " ".join(" ".join(text.get_text().split()) for ax in figure.axes for text in [ax.title, *ax.texts])


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
