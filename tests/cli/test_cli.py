"""The command line: what is printed where, exit codes, and files that hold what Python gives."""

from __future__ import annotations

import functools
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from click.testing import CliRunner
from PIL import Image

import timmscope
from timmscope.registry.cli import cli
from timmscope.registry.declare.ports import Files, Number, Targets
from timmscope.registry.declare.technique import FAMILIES

from ..serving import ROOT

TINY = ["--model", "test_vit", "--weights", "random"]
SAMPLE = ["--image", "sample:chelsea"]
TECHNIQUES = timmscope.plugins().techniques


def call(*words: str, **options):
    return CliRunner().invoke(cli, [str(word) for word in words], prog_name="timmscope", **options)


def done(*words: str):
    result = call(*words)
    assert result.exit_code == 0, result.output
    return result


def fresh(code: str, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run code in a process of its own, `words` being its command line."""
    command = [sys.executable, "-c", code, *words]
    return subprocess.run(command, cwd=ROOT, env=os.environ | environment, capture_output=True, text=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two photos, a broken one, and a file that is none by its name."""
    folder = tmp_path_factory.mktemp("photos")
    Image.fromarray(skimage.data.chelsea()).save(folder / "cat.png")
    Image.fromarray(skimage.data.coffee()).save(folder / "coffee.jpg")
    (folder / "broken.jpg").write_bytes(b"\xff\xd8 nonsense")
    (folder / "notes.txt").write_text("none")
    return folder


def test_help_lists_and_info_load_no_torch():
    code = (
        "import sys, timmscope\n"
        "for words in (['--help'], ['list'], ['info', 'saliency'], ['plugins'], ['run', '--help'],\n"
        "              ['run', 'saliency', '--help'], ['run', 'saliency', '--image', 'missing.png']):\n"
        "    sys.argv = ['timmscope', *words]\n"
        "    try: timmscope.main()\n"
        "    except SystemExit: print('left')\n"
        "print(*sys.modules, file=sys.stderr)\n"
    )
    ran = fresh(code)
    assert ran.stdout.splitlines().count("left") == 7
    loaded = ran.stderr.split()
    assert "timmscope.registry.cli" in loaded
    assert not {"torch", "gradio", "timm", "captum", "huggingface_hub"} & set(loaded)


def test_list_names_every_technique_by_family():
    lines = done("list").stdout.splitlines()
    assert [line.split()[0] for line in lines if line.startswith(" ")] == [
        t.name for family in FAMILIES for t in TECHNIQUES.values() if t.family == family
    ]
    found = json.loads(done("list", "--json").stdout)
    assert {item["name"]: item["title"] for item in found} == {t.name: t.title for t in TECHNIQUES.values()}


@pytest.mark.parametrize("name", TECHNIQUES)
def test_info_and_help_say_everything_of_every_technique(name):
    technique = TECHNIQUES[name]
    text = " ".join(done("info", name).stdout.split())
    for part in (technique.summary, *technique.sections.values(), *(p.help for p in technique.parameters)):
        assert " ".join(part.split()) in text
    assert all(f"{port.name}: {port.label}" in text for port in technique.outputs)
    assert json.loads(done("info", name, "--json").stdout)["name"] == name
    text = done("run", name, "--help").stdout
    for parameter in technique.parameters:
        assert f"--{parameter.name.replace('_', '-')} " in text


def test_a_run_writes_what_python_gives_and_prints_the_paths(tmp_path):
    ran = done("run", "saliency", *SAMPLE, *TINY, "--samples", "2", "--seed=3", "--out", tmp_path / "out")
    expected = timmscope.run("saliency", image="sample:chelsea", model="test_vit", weights="random", samples=2, seed=3)
    paths = [Path(line) for line in ran.stdout.splitlines()]
    assert {path.name for path in paths} == {"heatmap.png", "overlay.png", "arrays.npz", "recipe.json"}
    assert all(path.is_file() for path in paths)
    with np.load(tmp_path / "out" / "arrays.npz") as arrays:
        assert all(np.array_equal(arrays[name], array) for name, array in expected.arrays.items())
    assert json.loads((tmp_path / "out" / "recipe.json").read_text()) == expected.recipe
    assert expected.notes[0] in ran.stderr
    assert done("run", "saliency", *SAMPLE, *TINY, "--quiet", "-o", tmp_path / "out").stderr == ""


def test_lists_switches_dashes_and_underscores(tmp_path):
    ways = (
        ["grad-cam", "--targets", "tiger cat; 285", "--fit"],
        ["grad_cam", "--targets", "tiger cat", "--targets=285", "--fit", "--no-guided"],
    )
    recipes = []
    for words in ways:
        done("run", *words, *SAMPLE, *TINY, "-o", tmp_path)
        recipes.append(json.loads((tmp_path / "recipe.json").read_text()))
    assert recipes[0] == recipes[1]
    assert recipes[0]["inputs"]["targets"] == ["tiger cat", "285"]
    assert recipes[0]["inputs"]["fit"] is True
    words = ["--content-weight", "1", "--style_weight", "2", "--steps", "1", "--size", "32"]
    photos = ["--content", "sample:chelsea", "--style", "sample:brick"]
    done("run", "style-transfer", *words, *photos, "--model", "resnet10t", "--weights", "random", "-o", tmp_path)
    inputs = json.loads((tmp_path / "recipe.json").read_text())["inputs"]
    assert (inputs["content_weight"], inputs["style_weight"]) == (1, 2)


def test_texts_are_read_as_their_ports_take_them():
    number = Number("N", 0, 2000)
    assert [number.parse(text) for text in ("3", "1e3", "x")] == [3, 1000.0, "x"]
    assert Targets("T").parse(("a; b", "c", "")) == ["a", "b", "c"]
    assert Files("F").parse(("a; b.png", "c.png")) == ["a; b.png", "c.png"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["run", "salency"], "Did you mean saliency"),
        (["info", "grad_can"], "Did you mean grad_cam?"),
        (["lst"], "lst"),
        (["run", "saliency"], "Missing option '--image'"),
        (["run", "saliency", *SAMPLE, "--sampels", "2"], "'--samples'"),
        (["run", "saliency", *SAMPLE, "--samples", "0"], "got 0, expected a whole number from 1 to 256"),
        (["run", "saliency", *SAMPLE, "--samples", "nan"], "expected a whole number from 1 to 256"),
        (["run", "saliency", *SAMPLE, "--samples", "two"], "got 'two', expected a whole number"),
        (["run", "saliency", *SAMPLE, "--weights", "randm"], "Did you mean random?"),
        (["run", "saliency", "--image", "sample:chelsae"], "Did you mean chelsea?"),
        (["run", "saliency", "--image", "missing.png"], "got 'missing.png', expected a photo. There is no such file."),
        (["run", "style_transfer", "--content", "sample:brick", "--style", "tests"], "That is a folder"),
        (["run", "saliency", "--image", "registry"], "no photo in 'registry'"),
        (["run", "missing.json"], "no file 'missing.json'"),
        (["serve", "--port", "0"], "0 is not in the range"),
    ],
)
def test_a_wrong_command_line_is_2(words, message, monkeypatch):
    monkeypatch.chdir(ROOT)
    result = call(*words)
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["grad_cam", *SAMPLE, *TINY, "--layer", "blocks.99"], "Error: layer: got 'blocks.99', expected a layer"),
        (["saliency", *SAMPLE, "--model", "resnet_50"], "Did you mean resnet50"),
        (["saliency", "--image", "README.md"], "expected a photo: PNG"),
    ],
)
def test_a_refused_run_is_1_with_one_line(words, message, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    result = call("run", *words, "--out", tmp_path / "out")
    assert result.exit_code == 1
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert result.stdout == ""
    assert not (tmp_path / "out").exists()


def test_a_recipe_gives_the_same_bits(folder, tmp_path):
    done("run", "grad_cam", "--image", folder / "coffee.jpg", *TINY, "-o", tmp_path / "first")
    recipe = tmp_path / "first" / "recipe.json"
    again = done("run", recipe, "-o", tmp_path / "again", "--quiet")
    assert str(tmp_path / "again" / "arrays.npz") in again.stdout.splitlines()
    for name in ("arrays.npz", "overlay.png", "recipe.json", "photos/image.png"):
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / "first" / name).read_bytes()

    alone = tmp_path / "alone.json"
    alone.write_bytes(recipe.read_bytes())
    missing = call("run", alone, "-o", tmp_path / "none")
    assert (missing.exit_code, "coffee.jpg of 600 x 400 pixels" in missing.stderr) == (1, True)
    other = call("run", alone, "--image", folder / "cat.png", "-o", tmp_path / "none")
    assert (other.exit_code, "got 'cat.png', expected the photo of the recipe, coffee.jpg" in other.stderr) == (1, True)
    done("run", alone, "--image", folder / "coffee.jpg", "-o", tmp_path / "given")
    assert (tmp_path / "given" / "arrays.npz").read_bytes() == (tmp_path / "first" / "arrays.npz").read_bytes()


def test_a_file_that_is_no_recipe_is_refused(tmp_path):
    for content in ("[]", "{", '{"technique": 3}'):
        (tmp_path / "no.json").write_text(content)
        result = call("run", tmp_path / "no.json", "-o", tmp_path)
        assert result.exit_code == 1
        assert "expected a recipe" in result.stderr


def test_a_folder_is_done_photo_by_photo_and_bad_ones_are_said_at_the_end(folder, tmp_path):
    result = call("run", "saliency", "--image", folder, *TINY, "-o", tmp_path)
    assert result.exit_code == 1
    *_, left_out, reason, last = result.stderr.splitlines()
    assert "notes.txt" in left_out
    assert reason.startswith("broken.jpg: image: got 'broken.jpg', expected a photo")
    assert last == "Error: 1 of 3 photos failed."
    assert {path.name for path in tmp_path.iterdir()} == {"cat", "coffee"}
    assert len(result.stdout.splitlines()) == 10
    expected = timmscope.run("saliency", image=folder / "coffee.jpg", model="test_vit", weights="random")
    with np.load(tmp_path / "coffee" / "arrays.npz") as arrays:
        assert np.array_equal(arrays["heatmap"], expected["heatmap"])


def test_what_every_photo_would_be_refused_for_is_said_once(folder, tmp_path):
    result = call("run", "grad_cam", "--image", folder, *TINY, "--layer", "nope", "-o", tmp_path)
    assert result.exit_code == 1
    assert result.stderr.count("nope") == 1


def test_photos_that_differ_in_their_suffix_only_get_a_folder_each(folder, tmp_path):
    (tmp_path / "in").mkdir()
    for suffix in ("png", "bmp"):
        Image.open(folder / "cat.png").save(tmp_path / "in" / f"cat.{suffix}")
    done("run", "saliency", "--image", tmp_path / "in", *TINY, "-o", tmp_path / "out")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"cat.png", "cat.bmp"}


@pytest.mark.slow
def test_interrupting_keeps_what_was_written(tmp_path):
    photos = tmp_path / "in"
    photos.mkdir()
    for number in range(60):
        Image.new("RGB", (32, 32), (4 * number, 99, 50)).save(photos / f"{number:02}.png")
    words = ["-m", "timmscope", "run", "saliency", "--image", photos, *TINY, "-o", tmp_path / "out"]
    command = [sys.executable, *map(str, words)]
    hear = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # what runs behind a shell's & ignores it
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = subprocess.Popen(command, cwd=ROOT, text=True, preexec_fn=hear, **pipes)
    first = process.stdout.readline().strip()
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert said.endswith("Stopped. What was written stays.\n")
    assert "Traceback" not in said
    assert Path(first).is_file()
    assert len(list((tmp_path / "out").iterdir())) < 60


def test_without_the_extra_the_message_says_what_to_install():
    for library, words in (("click", ["list"]), ("torch", ["run", "saliency", *SAMPLE])):
        ran = fresh(f"import sys; sys.modules[{library!r}] = None; import timmscope; timmscope.main()", *words)
        assert ran.returncode == 1
        assert ran.stderr.splitlines()[-1] == f"Error: {library} is not installed: run  pip install 'timmscope[app]'"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("timmscope run sal", {"saliency", "saliency_segmentation"}),
        ("timmscope info grad_", {"grad_cam"}),
        ("timmscope run saliency --weights ", {"pretrained", "random"}),
        ("timmscope run saliency --image sample:c", {"sample:chelsea", "sample:coffee", "sample:china"}),
        ("timmscope run saliency --sam", {"--samples"}),
    ],
)
def test_the_shell_completes(line, expected):
    words = {"COMP_WORDS": line, "COMP_CWORD": str(len(line.split(" ")) - 1)}
    result = call(env={"_TIMMSCOPE_COMPLETE": "bash_complete", **words})
    plain = {entry.split(",", 1)[1] for entry in result.stdout.splitlines() if entry.startswith("plain,")}
    assert expected <= plain
    assert len(plain) <= len(expected) + 1


def test_plugins_and_their_failures_are_listed(monkeypatch):
    report = timmscope.plugins().reports[0]
    monkeypatch.setattr(report, "failures", ["ImportError: no such thing"])
    monkeypatch.setattr(timmscope.plugins().reports[1], "switched_off", True)
    text = done("plugins").stdout
    assert "switched off by the operator" in text
    assert all(f"{r.name} {r.version}" in text for r in timmscope.plugins().reports)
    assert "failed: ImportError: no such thing" in text


def test_a_plugin_is_checked(tmp_path):
    works = done("check", ROOT / "tests/toy_plugins/fade/timmscope_fade.py")
    assert "fade" in works.stdout
    (tmp_path / "broken_plugin.py").write_text("import no_such_library\n")
    broken = call("check", tmp_path / "broken_plugin.py")
    assert broken.exit_code == 1
    assert "no_such_library" in broken.stdout
