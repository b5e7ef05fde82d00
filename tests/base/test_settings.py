"""Settings: from the environment, and refused when they make no sense."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pydantic import ValidationError

from docs.make import settings as make_settings
from timmscope.registry.base.settings import Settings


def test_the_environment_sets_them(monkeypatch):
    monkeypatch.setenv("TIMMSCOPE_MAX_PIXELS", "1000")
    monkeypatch.setenv("TIMMSCOPE_HUB", "0")
    assert (Settings().max_pixels, Settings().hub) == (1000, False)


@pytest.mark.parametrize(("name", "value"), [("CACHE_BYTES", "0"), ("TIME_BUDGET", "-1"), ("HUB", "maybe")])
def test_nonsense_is_refused(monkeypatch, name, value):
    monkeypatch.setenv(f"TIMMSCOPE_{name}", value)
    with pytest.raises(ValidationError, match=name.lower()):
        Settings()


def test_folders_are_known_by_their_names(monkeypatch, tmp_path):
    monkeypatch.setenv("TIMMSCOPE_PHOTO_FOLDERS", os.pathsep.join(["/data/pets", str(tmp_path)]))
    assert Settings().folders == {"pets": Path("/data/pets"), tmp_path.name: tmp_path}
    monkeypatch.setenv("TIMMSCOPE_PHOTO_FOLDERS", os.pathsep.join(["/data/pets", "/other/pets"]))
    with pytest.raises(ValidationError, match="every folder needs a name of its own"):
        Settings()


def test_each_says_what_it_is_for():
    assert all(len(field.description) > 20 for field in Settings.model_fields.values())


def test_the_table_for_operators_is_as_the_settings_are():
    assert make_settings.written() == make_settings.table(), "run  python -m docs.make.settings"
    assert all(f"`TIMMSCOPE_{name.upper()}`" in make_settings.table() for name in Settings.model_fields)
