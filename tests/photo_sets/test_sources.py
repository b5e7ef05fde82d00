"""Where photo sets come from: files, zips good and bad, folders that are allowed and what lies outside them."""

from __future__ import annotations

import base64
import io
import os
import zipfile

import numpy as np
import pytest
from PIL import Image

from timmscope.registry.base.errors import InvalidInput
from timmscope.registry.base.settings import Settings
from timmscope.registry.photo_sets import sources as photo_sources
from timmscope.registry.photo_sets.sources import evenly, resolve, set_names, uploaded

from ..photos.test_sets import photo


@pytest.fixture
def limits(monkeypatch):
    """A function that sets limits and permissions for one test."""

    def set_them(**values):
        given = Settings(**values)
        monkeypatch.setattr(photo_sources, "settings", lambda: given)

    return set_them


def zipped(**entries: bytes) -> bytes:
    """A zip of the entries, their names as given in the dict."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def names(photos) -> list[str]:
    return [photo.name for photo in photos]


def test_whatever_photos_are_brought_along(tmp_path):
    path = tmp_path / "cat.png"
    path.write_bytes(photo("red"))
    archive = zipped(**{"dogs/a.png": photo("blue"), "cats/a.png": photo("lime")})
    (tmp_path / "more.zip").write_bytes(archive)
    pixels = np.zeros((9, 9, 3), np.uint8)
    files = [path, str(path), photo("red"), Image.new("RGB", (9, 9)), pixels, tmp_path / "more.zip", archive]
    photos = uploaded(files)
    numbered = ["cat.png", "cat.png (2)", "photo 3", "photo 4", "photo 5"]
    inside = ["dogs/a.png", "cats/a.png"]
    assert names(photos) == [*numbered, *inside, *(f"{name} (2)" for name in inside)]
    assert photos.labels == [""] * 5 + ["dogs", "cats"] * 2
    assert len(list(photos.decoded())) == len(photos)
    assert uploaded(files).identity == photos.identity
    assert uploaded([tmp_path]).labels == [""]


def test_data_urls_are_files_too():
    def url(content):
        return "data:;base64," + base64.b64encode(content).decode()

    photos = uploaded([url(photo("red")), url(zipped(**{"a.png": photo("blue")}))])
    assert names(photos) == ["photo 1", "a.png"]
    assert [picture.getpixel((0, 0)) for _, picture in photos.decoded()] == [(255, 0, 0), (0, 0, 255)]
    with pytest.raises(InvalidInput, match=r"files: .*not valid base64"):
        uploaded(["data:;base64,%%%"])


def test_same_name_other_content_is_another_set(tmp_path):
    path = tmp_path / "cat.png"
    path.write_bytes(photo("red"))
    first = uploaded([path]).identity
    path.write_bytes(photo("tan"))
    assert uploaded([path]).identity != first
    assert uploaded([zipped(a=photo("red"))]).identity != uploaded([zipped(a=photo("tan"))]).identity


def test_names_in_a_zip_are_captions_and_never_paths(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    entries = {"../../up.png": 1, "/etc/root.png": 2, "..\\windows.png": 3, "./same.png": 4, "same.png": 5}
    photos = uploaded([zipped(**{name: photo(size=(n, n)) for name, n in entries.items()})])
    assert names(photos) == ["up.png", "etc/root.png", "windows.png", "same.png", "same.png (2)"]
    assert [picture.width for _, picture in photos.decoded()] == [1, 2, 3, 4, 5]
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_photo_is_counted_and_what_systems_add_is_not():
    archive = zipped(
        **{
            "a/good.png": photo(),
            "a/text.jpg": b"text",
            "b/readme.txt": b"text",
            "__MACOSX/a/._good.png": b"fork",
            "a/.DS_Store": b"",
        }
    )
    photos = uploaded([archive])
    assert [i for i, _ in photos.decoded()] == [0]
    assert list(photos.skipped) == ["b/readme.txt", "a/text.jpg"]


def test_only_the_folders_that_tell_photos_apart_are_labels():
    one = uploaded([zipped(**{"photos/a.png": photo(), "photos/b.png": photo()})])
    assert one.labels == ["", ""]


def test_a_damaged_entry_is_left_out():
    archive = bytearray(zipped(**{"first.png": photo("red"), "second.png": photo("blue")}))
    start = archive.index(b"first.png") + len("first.png")
    archive[start : start + 8] = b"\xff" * 8
    photos = uploaded([bytes(archive)])
    assert [i for i, _ in photos.decoded()] == [1]
    assert "damaged" in photos.skipped["first.png"]


def test_an_entry_with_a_password_is_left_out():
    archive = bytearray(zipped(**{"first.png": photo("red"), "second.png": photo("blue")}))
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):  # the flag that says so, in both headers
        archive[archive.index(mark) + offset] |= 1
    photos = uploaded([bytes(archive)])
    assert [i for i, _ in photos.decoded()] == [1]
    assert "password" in photos.skipped["first.png"]


@pytest.mark.parametrize("damage", [lambda data: data[:60], lambda _: b"PK nonsense", lambda data: data[:-10]])
def test_a_damaged_zip_is_a_message(tmp_path, damage):
    path = tmp_path / "holiday.zip"
    path.write_bytes(damage(zipped(a=photo())))
    with pytest.raises(InvalidInput, match=r"files: got 'holiday\.zip', expected a zip of photos\. It is damaged"):
        uploaded([path])


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ([zipped()], "files: got 'an empty set'"),
        ([zipped(**{"a.txt": b"", "b.csv": b""})], "files: got '2 files, none of them a photo'.*a.txt: not a photo"),
        (["no/such/file.png"], r"files: got 'file\.png', expected a photo, a zip or a folder\. There is no such file"),
        ([3], "files: got "),
    ],
)
def test_nothing_usable_is_a_message(files, message):
    with pytest.raises(InvalidInput, match=message):
        resolve("embedded", files)


@pytest.mark.slow
def test_ten_thousand_entries_work_and_one_more_is_a_message():
    content = photo(size=(1, 1))
    photos = uploaded([zipped(**{f"{i % 7}/{i}.png": content for i in range(10_000)})])
    assert len(photos) == 10_000
    assert set(photos.labels) == set("0123456")
    assert next(photos.decoded([9_999]))[1].size == (1, 1)
    with pytest.raises(InvalidInput, match="10,001 entries', expected at most 10,000"):
        uploaded([zipped(**{f"{i}.png": b"" for i in range(10_001)})])
    with pytest.raises(InvalidInput, match="expected at most 10,000 photos"):
        uploaded([content] * 10_001)


def test_a_zip_that_unpacks_to_too_much_is_refused_before_it_does(limits):
    bomb = zipped(**{"zeros.png": bytes(3 * 2**20)})
    assert len(bomb) < 10_000
    limits(unpacked_bytes=2**20)
    with pytest.raises(InvalidInput, match="3 MiB unpacked', expected at most 1 MiB"):
        uploaded([bomb])
    limits(upload_bytes=2**20)
    photos = uploaded([bomb, photo()])
    assert [i for i, _ in photos.decoded()] == [1]
    assert "at most 1 MiB a photo" in photos.skipped["zeros.png"]


def test_an_entry_that_lies_about_its_size_yields_no_more_than_it_declares():
    honest = zipped(**{"zeros.png": bytes(3 * 2**20)})
    size = (3 * 2**20).to_bytes(4, "little")
    assert honest.count(size) == 2  # in both headers
    photos = uploaded([honest.replace(size, (100).to_bytes(4, "little")), photo()])
    assert [i for i, _ in photos.decoded()] == [1]
    assert "damaged" in photos.skipped["zeros.png"]


@pytest.fixture
def allowed(tmp_path, limits):
    """A folder that the operator allows, beside one that is not."""
    for place, colour in (("pets/cats/a.png", "red"), ("pets/dogs/b.png", "blue"), ("private/secret.png", "black")):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).write_bytes(photo(colour))
    limits(photo_folders=str(tmp_path / "pets"))
    return tmp_path / "pets"


def test_an_allowed_folder_is_a_set(allowed):
    assert set_names()["folder:pets"] == "Folder pets"
    photos = resolve("folder:pets")
    assert names(photos) == ["cats/a.png", "dogs/b.png"]
    assert photos.labels == ["cats", "dogs"]
    assert [picture.getpixel((0, 0)) for _, picture in photos.decoded()] == [(255, 0, 0), (0, 0, 255)]
    before = photos.identity
    (allowed / "dogs/b.png").write_bytes(photo("green"))
    os.utime(allowed / "dogs/b.png", (1, 1))
    assert resolve("folder:pets").identity != before


@pytest.mark.parametrize("name", ["folder:private", "folder:pets/../private", "folder:", "folder:/etc", "folder:pet"])
def test_no_other_folder_can_be_named(allowed, name):
    expected = r"photos: got .*expected a folder that is allowed here: folder:pets\."
    with pytest.raises(InvalidInput, match=expected) as error:
        resolve(name)
    assert str(allowed.parent) not in str(error.value)


def test_no_folder_is_allowed_unless_one_is_set():
    assert not [name for name in set_names() if name.startswith("folder:")]
    with pytest.raises(InvalidInput, match="none is allowed here"):
        resolve("folder:tmp")


def test_links_that_leave_the_folder_are_not_followed(allowed):
    (allowed / "out.png").symlink_to(allowed.parent / "private/secret.png")
    (allowed / "out").symlink_to(allowed.parent / "private")
    (allowed / "gone.png").symlink_to(allowed / "none.png")
    (allowed / "in.png").symlink_to(allowed / "cats/a.png")
    (allowed / ".hidden.png").write_bytes(photo())
    assert names(resolve("folder:pets")) == ["in.png", "cats/a.png", "dogs/b.png"]


def test_of_a_large_folder_some_photos_of_every_class_are_taken(allowed, limits):
    for number in range(6):
        (allowed / "cats" / f"{number}.png").write_bytes(photo())
        (allowed / "dogs" / f"{number}.png").write_bytes(photo())
    limits(photo_folders=str(allowed), max_photos=4)
    photos = resolve("folder:pets")
    assert photos.labels == ["cats", "cats", "dogs", "dogs"]
    assert photos.notes == ["Photo set: 4 of its 14 photos, evenly spaced."]


def test_evenly_spaced():
    assert evenly(range(10), 5) == [0, 2, 4, 6, 8]
    assert evenly(range(3), 5) == [0, 1, 2]
    assert evenly([], 5) == []


def test_an_unknown_name_has_its_close_matches():
    with pytest.raises(InvalidInput, match=r"expected one of .*embedded.*or hub:owner/name\. Did you mean embedded\?"):
        resolve("embeded")
