"""Data sets of the hub for real: its own client against a server of our own, in fresh processes."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pyarrow as pa
import pytest
from pyarrow import parquet

from ..models.test_hub import client as asking
from ..models.test_hub import mute, quickest, serving
from ..photos.test_sets import photo

COMMITS = {"main": "0123456789abcdef0123456789abcdef01234567", "refs/convert/parquet": "f" * 40}

# Lists and decodes a set for each name it reads, and answers what came of it.
CLIENT = """
import json, sys, time
import timmscope
from timmscope.registry.photo_sets import hub_photos, sources as photo_sources
timmscope.plugins()  # the server has them
for line in sys.stdin:
    start = time.monotonic()
    try:
        photos = photo_sources.resolve(line.strip())
        colours = {photos[i].name: picture.getpixel((0, 0)) for i, picture in photos.decoded()}
        good = [i for i, photo in enumerate(photos) if photo.name not in photos.skipped]
        backwards = [photos.photo(i).picture.getpixel((0, 0)) for i in reversed(good)]
        answer = {"title": photos.title, "labels": photos.labels, "colours": colours, "identity": photos.identity,
                  "notes": photos.notes, "backwards": backwards, "skipped": photos.skipped}
    except timmscope.TimmscopeError as error:
        answer = {"error": f"{type(error).__name__}: {error}"}
    print(json.dumps(answer | {"seconds": time.monotonic() - start}), flush=True)
"""


class Hub:
    """A hub with the data sets it is given: name -> branch -> file -> content."""

    def __init__(self) -> None:
        self.repositories: dict[str, dict[str, dict[str, bytes]]] = {}
        self.commits = dict(COMMITS)
        self.asked: list[str] = []
        self.tokens: list[str | None] = []

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        parts = urlsplit(request.path)
        path = unquote(parts.path)
        self.asked.append(f"{request.command} {path}")
        self.tokens.append(request.headers.get("Authorization"))
        if path.startswith("/api/datasets/"):
            repository, _, revision = path.removeprefix("/api/datasets/").partition("/revision/")
            self._list(request, repository, revision or "main")
        else:
            repository, _, place = path.removeprefix("/datasets/").partition("/resolve/")
            revision, _, file = place.partition("/")
            self._file(request, self._branch(repository, revision).get(file))

    def _branch(self, repository: str, revision: str) -> dict[str, bytes]:
        names = {commit: branch for branch, commit in self.commits.items()}
        return self.repositories.get(repository, {}).get(names.get(revision, revision), {})

    def _list(self, request: BaseHTTPRequestHandler, repository: str, revision: str) -> None:
        files = self._branch(repository, revision)
        if not files:
            missing = "RevisionNotFound" if repository in self.repositories else "RepoNotFound"
            return self._send(request, 404, b"{}", {"X-Error-Code": missing})
        siblings = [{"rfilename": name, "size": len(content)} for name, content in files.items()]
        body = {"id": repository, "sha": self.commits.get(revision, revision), "siblings": siblings, "tags": []}
        return self._send(request, 200, json.dumps(body).encode(), {"Content-Type": "application/json"})

    def _file(self, request: BaseHTTPRequestHandler, content: bytes | None) -> None:
        if content is None:
            return self._send(request, 404, b"", {"X-Error-Code": "EntryNotFound"})
        tag = f'"{hashlib.sha256(content).hexdigest()}"'
        return self._send(request, 200, content, {"X-Repo-Commit": self.commits["main"], "ETag": tag})

    def _send(self, request: BaseHTTPRequestHandler, status: int, body: bytes, headers: dict[str, str]) -> None:
        request.send_response(status)
        for name, value in (headers | {"Content-Length": str(len(body))}).items():
            request.send_header(name, value)
        request.end_headers()
        if request.command == "GET":
            request.wfile.write(body)


def client(endpoint: str, cache: Path, **settings: str) -> AbstractContextManager[Callable[[str], dict]]:
    """A function that lists a set in a fresh process which knows only this hub, and has a token for it."""
    return asking(endpoint, cache, CLIENT, HF_TOKEN="hf_secret", **settings)


@pytest.fixture(scope="module")
def hub():
    return Hub()


@pytest.fixture(scope="module")
def endpoint(hub):
    with serving(hub) as endpoint:
        yield endpoint


@pytest.fixture(scope="module")
def ask(endpoint, tmp_path_factory):
    with client(endpoint, tmp_path_factory.mktemp("hub")) as ask:
        yield ask


def table(*colours: str, labels=None, features=None, group=2) -> bytes:
    """A parquet file as the hub writes them: pictures as bytes, and what its columns mean in its metadata."""
    columns = {"image": [{"bytes": photo(c) if c else b"no photo", "path": f"{c}.png"} for c in colours]}
    if labels:
        columns["label"] = labels
    found = pa.table(columns)
    if features:
        found = found.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    buffer = io.BytesIO()
    parquet.write_table(found, buffer, row_group_size=group)
    return buffer.getvalue()


CLASSES = {"image": {"_type": "Image"}, "label": {"_type": "ClassLabel", "names": ["cat", "dog"]}}
RED, LIME, BLUE = [255, 0, 0], [0, 255, 0], [0, 0, 255]


def test_parquet_with_classes(hub, ask):
    shards = {
        "README.md": b"text",
        "banner.png": photo("black", (1, 1)),
        "data/train-00000-of-00002.parquet": table("red", "lime", "blue", labels=[0, 1, -1], features=CLASSES),
        "data/train-00001-of-00002.parquet": table("blue", labels=[1], features=CLASSES),
        "data/test-00000-of-00001.parquet": table("white", labels=[1], features=CLASSES),
    }
    hub.repositories["team/pets"] = {"main": shards}
    found = ask("hub:team/pets")
    assert list(found["colours"].values()) == [RED, LIME, BLUE, BLUE]
    assert found["backwards"] == [BLUE, BLUE, LIME, RED]  # across row groups and files
    assert found["labels"] == ["cat", "dog", "", "dog"]
    assert found["notes"] == []
    test = ask("hub:team/pets:test")
    assert list(test["colours"].values()) == [[255, 255, 255]]
    assert test["title"] == "team/pets test"
    assert "got 'validation', expected a split of the data set" in ask("hub:team/pets:validation")["error"]


def test_a_revision_is_pinned_and_fetched_once(hub, ask):
    hub.repositories["team/pinned"] = {"main": {"train.parquet": table("red", "blue", labels=["x", "y"])}}
    hub.asked.clear()
    first = ask("hub:team/pinned")
    assert first["labels"] == ["x", "y"]
    assert ask("hub:team/pinned")["identity"] == first["identity"]
    fetched = [line for line in hub.asked if line.startswith("GET") and "/resolve/" in line]
    assert fetched == [f"GET /datasets/team/pinned/resolve/{hub.commits['main']}/train.parquet"]
    hub.commits["main"] = "a" * 40
    try:
        assert ask("hub:team/pinned")["identity"] != first["identity"]
    finally:
        hub.commits["main"] = COMMITS["main"]


def test_folders_of_images(hub, ask):
    files = {
        "train/cat/1.jpg": photo("red"),
        "train/dog/2.png": photo("lime"),
        "train/dog/broken.png": b"text",
        "test/dog/3.png": photo("blue"),
        "load.py": b"raise SystemExit",
    }
    hub.repositories["team/folders"] = {"main": files}
    found = ask("hub:team/folders")
    assert found["colours"] == {"train/cat/1.jpg": RED, "train/dog/2.png": LIME}
    assert found["labels"] == ["cat", "dog", "dog"]
    assert list(found["skipped"]) == ["train/dog/broken.png"]
    assert not [line for line in hub.asked if line.endswith("load.py")]  # code is never fetched


def test_what_is_no_photo_in_parquet_is_left_out(hub, ask):
    hub.repositories["team/broken"] = {"main": {"train.parquet": table("red", "", "blue")}}
    found = ask("hub:team/broken")
    assert list(found["colours"].values()) == [RED, BLUE]
    assert list(found["skipped"]) == ["train.parquet 1"]
    hub.repositories["team/none"] = {"main": {"train.parquet": table("", "")}}
    assert "none of them a photo" in ask("hub:team/none")["error"]


def test_of_any_other_layout_the_hubs_parquet_copy_is_read(hub, ask):
    copy = {"default/train/0000.parquet": table("lime", "red"), "other/train/0000.parquet": table("white")}
    hub.repositories["team/script"] = {"main": {"script.py": b"", "data.zip": b""}, "refs/convert/parquet": copy}
    assert list(ask("hub:team/script")["colours"].values()) == [LIME, RED]
    hub.repositories["team/text"] = {"main": {"text.csv": b"a,b"}}
    assert "SetUnavailable: hub:team/text: it has neither image files nor parquet" in ask("hub:team/text")["error"]


def test_columns_without_pictures_and_damage_are_said(hub, ask):
    buffer = io.BytesIO()
    parquet.write_table(pa.table({"text": ["a"]}), buffer)
    hub.repositories["team/words"] = {"main": {"train.parquet": buffer.getvalue()}}
    assert "it has no column of pictures" in ask("hub:team/words")["error"]
    good = table("red")
    hub.repositories["team/damaged"] = {"main": {"train.parquet": good[:-9]}}
    error = ask("hub:team/damaged")["error"]
    assert "a parquet file is damaged and was removed" in error
    assert "/" not in error.replace("team/damaged", "")
    hub.repositories["team/damaged"] = {"main": {"train.parquet": good}}
    assert list(ask("hub:team/damaged")["colours"].values()) == [RED]


@pytest.mark.parametrize(
    "name", ["hub:", "hub:pets", "hub:team/pets/more", "hub:../../etc", "hub:team/pets?x", "hub:a b/c"]
)
def test_what_is_no_name_asks_nobody(hub, ask, name):
    hub.asked.clear()
    assert "expected hub:owner/name or hub:owner/name:split" in ask(name)["error"]
    assert hub.asked == []


def test_not_found_is_said_and_no_token_is_sent(hub, ask):
    error = ask("hub:team/nothing")["error"]
    assert error.startswith("SetUnavailable: hub:team/nothing: the hub has no open data set team/nothing. The embedded")
    assert hub.tokens
    assert set(hub.tokens) == {None}  # names come from anyone; what the operator may read is not theirs


@pytest.mark.slow
def test_limits_take_some_of_everything(hub, endpoint, tmp_path):
    shards = {f"train-{i}.parquet": table(*["red"] * 4, labels=[f"{i}"] * 4) for i in range(4)}
    hub.repositories["team/large"] = {"main": shards}
    size = max(len(content) for content in shards.values())
    limits = {"TIMMSCOPE_MAX_PHOTOS": "4", "TIMMSCOPE_DATA_SET_BYTES": str(2 * size)}
    hub.repositories["team/huge"] = {"main": {"train.parquet": b"x" * (2 * size + 1)}}
    with client(endpoint, tmp_path, **limits) as ask:
        found, huge = ask("hub:team/large"), ask("hub:team/huge")
    assert "its first parquet file is too large" in huge["error"]
    assert found["labels"] == ["0", "0", "2", "2"]
    assert found["notes"] == ["Photo set: 4 of its 16 photos, evenly spaced."]


@pytest.mark.slow  # in a process of its own
def test_where_the_hub_is_switched_off_nobody_is_asked(hub, endpoint, tmp_path):
    hub.asked.clear()
    with client(endpoint, tmp_path, TIMMSCOPE_HUB="0") as ask:
        assert "the hub is switched off here" in ask("hub:team/pets")["error"]
    assert hub.asked == []


@pytest.mark.slow
@pytest.mark.case(58)
def test_out_of_reach_is_said_within_two_seconds(tmp_path):
    with mute() as (endpoint, listen), client(endpoint, tmp_path) as ask:
        closed = quickest(ask, "hub:team/pets")
        listen()
        silent = quickest(ask, "hub:team/pets")
    for answer in (closed, silent):
        assert "the Hugging Face hub cannot be reached" in answer["error"]
        assert "The embedded set and your own files need no hub" in answer["error"]
        assert answer["seconds"] < 2  # what the product promises
    assert silent["seconds"] > closed["seconds"]  # it was asked again
