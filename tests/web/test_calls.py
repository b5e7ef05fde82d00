"""Calls as text, with photos that lie in the working folder; those with uploads are tested where they are pasted."""

from __future__ import annotations

import ast
import json
import re
import shlex
import subprocess

import pytest

import timmscope
from timmscope.registry.web import calls

URL = "http://127.0.0.1:7860"
STYLE_TRANSFER = timmscope.plugins().technique("style_transfer")
ODD = 'it\'s "new" $HOME.jpg'
VALUES = {"content": "photo.jpg", "style": ODD, "start": "noise", "steps": 90, "weights": "random"}


def test_python_takes_the_files_and_what_differs_from_the_defaults():
    call = ast.parse(calls.python_call(STYLE_TRANSFER, VALUES, URL)).body[-1].value
    given = {keyword.arg: keyword.value for keyword in call.keywords}
    assert list(given) == ["content", "style", "start", "weights", "api_name"]
    assert [ast.literal_eval(given[name].args[0]) for name in ("content", "style")] == ["photo.jpg", ODD]
    assert ast.literal_eval(given["start"]) == "noise"


def test_handle_file_is_imported_where_it_is_used():
    filters = timmscope.plugins().technique("filters")
    assert "handle_file" not in calls.python_call(filters, {"limit": 3}, URL)


def test_the_command_line_takes_the_files():
    words = shlex.split(calls.cli_call(STYLE_TRANSFER, VALUES, URL).replace("\\\n", ""))
    options = dict(zip(words[3::2], words[4::2]))
    assert options == {"--content": "photo.jpg", "--style": ODD, "--start": "noise", "--weights": "random"}


def test_curl_uploads_the_files_first(tmp_path):
    # A shell function in curl's place says what curl would be given.
    said = 'curl() { printf "%s\\0" "$@" >> said; echo \'["/uploaded/\'$#\'"]\'; }\n'
    subprocess.run(["bash", "-e", "-c", said + calls.curl_call(STYLE_TRANSFER, VALUES, URL)], cwd=tmp_path, check=True)
    words = (tmp_path / "said").read_text().split("\0")
    assert [word for word in words if word.startswith("files=")] == ["files=@photo.jpg", f"files=@{ODD}"]
    body = json.loads(words[words.index("-d") + 1])
    assert body["content"] == {"path": "/uploaded/4", "meta": {"_type": "gradio.FileData"}}
    assert body["style"]["path"] == "/uploaded/4"
    assert (body["start"], body["weights"]) == ("noise", "random")


@pytest.mark.parametrize("name", timmscope.plugins().techniques)
def test_no_photo_shares_its_variable_with_the_shell(name):
    technique = timmscope.plugins().technique(name)
    values = {p.name: "photo.jpg" for p in technique.parameters if p.required}
    variables = re.findall(r"^(\w+)=", calls.curl_call(technique, values, URL), re.MULTILINE)
    assert variables == [*(f"{name.upper()}_FILE" for name in values), "EVENT"]
