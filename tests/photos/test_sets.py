"""A photo set in a run: what techniques are given, what recipes keep, and what is left out and said."""

from __future__ import annotations

import io
import json
import weakref
from functools import partial

import pytest
from PIL import Image

import timmscope
from timmscope.registry.base.errors import DeclarationError, InvalidInput
from timmscope.registry.declare.technique import FILES
from timmscope.registry.photos.sets import PhotoList, PhotoSet, SetPhoto
from timmscope.registry.plugins import discovery as plugins_module

from ..toy_plugins.sheet import timmscope_sheet as toy


def photo(colour="red", size=(40, 30)) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, colour).save(buffer, "PNG")
    return buffer.getvalue()


def listed(*contents, name="toy", **options) -> PhotoList:
    photos = [SetPhoto(f"{i}.png", lambda c=c: c, f"label {i}", f"v{i}") for i, c in enumerate(contents)]
    return PhotoList(name, "Toy", photos, **options)


@pytest.fixture
def sheet(monkeypatch):
    """The technique of the toy plugin, registered for one test."""
    found = plugins_module.plugins()
    monkeypatch.setitem(found.techniques, "sheet", toy.sheet)
    toy.register_photo_sets(lambda group: monkeypatch.setitem(found.photo_sets, group.name, group))
    return partial(timmscope.run, "sheet")


def test_it_is_a_sequence_of_photos():
    photos = listed(photo("red"), photo("blue"))
    assert len(photos) == 2
    assert [p.name for p in photos] == ["0.png", "1.png"]
    assert photos[-1].label == "label 1"
    assert photos.labels == ["label 0", "label 1"]


def test_photos_are_decoded_as_asked_for():
    photos = listed(photo("red"), photo("lime"), photo("blue"))
    colours = {i: picture.getpixel((0, 0)) for i, picture in photos.decoded([2, 0])}
    assert list(colours.items()) == [(2, (0, 0, 255)), (0, (255, 0, 0))]
    assert photos.photo(1).name == "1.png"
    assert photos.photo(1).picture.getpixel((5, 5)) == (0, 255, 0)


def test_a_thumbnail_keeps_its_shape():
    assert listed(photo(size=(400, 300))).thumbnail(0, 64).size == (64, 48)


def unreadable():
    raise PermissionError("/secret/place")


def test_what_is_no_photo_is_left_out_and_counted():
    photos = PhotoList(
        "toy",
        "Toy",
        [
            SetPhoto("good.png", photo),
            SetPhoto("text.jpg", lambda: b"just text"),
            SetPhoto("cut.png", lambda: photo()[:50]),
            SetPhoto("locked.png", unreadable),
            SetPhoto("huge.png", lambda: photo(size=(300, 300))),
        ],
        skipped={"notes.txt": "not a photo by its name"},
        max_pixels=200 * 200,
    )
    assert [i for i, _ in photos.decoded()] == [0]
    assert [i for i, _ in photos.decoded()] == [0]  # a second reading counts nothing twice
    assert list(photos.skipped) == ["notes.txt", "text.jpg", "cut.png", "locked.png", "huge.png"]
    assert "/secret" not in str(photos.skipped)
    assert photos.notes == ["Left out, since they are no photos: 5 of 6 files: notes.txt, text.jpg, cut.png, ...."]


def test_nothing_but_bad_files_is_a_message():
    with pytest.raises(InvalidInput, match=r"photos: got '2 files, none of them a photo'.*0\.png: "):
        list(listed(b"text", b"more text").decoded())
    with pytest.raises(InvalidInput, match="an empty set"):
        listed().require_some()


def test_a_set_of_one_is_fine():
    photos = listed(photo())
    photos.require_some()
    assert len(list(photos.decoded())) == 1
    assert photos.notes == []


def test_a_name_is_unique():
    with pytest.raises(DeclarationError, match=r"photo set toy: two photos are called 'a\.png'"):
        PhotoList("toy", "Toy", [SetPhoto("b.png", photo), SetPhoto("a.png", photo), SetPhoto("a.png", photo)])


def test_the_identity_changes_with_what_is_in_the_set():
    def identity(*photos):
        return PhotoList(
            "toy", "Toy", [SetPhoto(name, photo, label, version) for name, label, version in photos]
        ).identity

    one, two = ("a", "cat", "1"), ("b", "cat", "1")
    others = [
        identity(one, two),
        identity(two, one),
        identity(one),
        identity(one, ("c", "cat", "1")),
        identity(one, ("b", "dog", "1")),
        identity(one, ("b", "cat", "2")),
        identity(("a", "cat", "1b"), ("", "cat", "1")),
    ]
    assert len(set(others)) == len(others)
    assert identity(one, two) == others[0]


def test_only_one_photo_is_in_memory_at_a_time():
    seen, most = [], 0
    for _, picture in listed(*[photo()] * 30).decoded():
        seen.append(weakref.ref(picture))
        most = max(most, sum(reference() is not None for reference in seen))
    assert most <= 2  # the loop holds one while the next is decoded


def test_a_technique_over_photos_takes_files_too():
    assert [p.name for p in toy.sheet.parameters] == ["photos", "side", "files"]
    assert toy.sheet.parameters[-1] is FILES
    assert "files" not in [p.name for p in timmscope.plugins().technique("saliency").parameters]


def test_a_run_over_a_registered_set(sheet):
    result = sheet()
    assert [caption for _, caption in result.pictures["thumbnails"]] == [
        "red (colour)",
        "green (colour)",
        "blue (colour)",
    ]
    assert result.arrays["thumbnails"].shape == (3, 32, 32, 3)
    kept = result.recipe["inputs"]["photos"]
    assert kept["name"] == "squares"
    assert (kept["photos"], kept["skipped"]) == (3, 0)
    assert json.loads(json.dumps(result.recipe)) == result.recipe


def test_files_are_used_instead_and_a_changed_set_shows_in_the_recipe(sheet):
    good = sheet(files=[photo("red"), b"no photo", Image.new("RGB", (9, 9), "blue")])
    kept = good.recipe["inputs"]["photos"]
    assert (kept["name"], kept["photos"], kept["skipped"]) == ("uploaded", 3, 1)
    assert good.arrays["thumbnails"][1, 16, 16].tolist() == [0, 0, 1]
    assert any("1 of 3 files" in note for note in good.notes)
    again = sheet(files=[photo("red"), b"no photo", Image.new("RGB", (9, 9), "blue")])
    other = sheet(files=[photo("lime"), b"no photo", Image.new("RGB", (9, 9), "blue")])
    assert again.recipe["inputs"] == good.recipe["inputs"]
    assert other.recipe["inputs"]["photos"]["identity"] != kept["identity"]


def test_a_name_that_is_none_has_its_close_matches(sheet):
    with pytest.raises(InvalidInput, match=r"photos: got 'square'.*Did you mean squares\?"):
        sheet(photos="square")
    with pytest.raises(InvalidInput, match="photos: got 3"):
        sheet(photos=3)


def test_the_photos_of_a_set_that_is_no_sample_are_no_inputs(monkeypatch):
    found = plugins_module.Plugins()
    for samples in (False, True):
        group = PhotoSet(str(samples), "", lambda samples=samples: [SetPhoto(f"is {samples}", photo)], samples=samples)
        found.photo_sets[group.name] = group
    found.photo_sets["broken"] = PhotoSet("broken", "", unreadable, samples=True)
    assert list(found.samples) == ["is True"]
