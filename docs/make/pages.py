"""Make `docs/techniques/`, `docs/api.md` and the table of techniques in the README, from the declarations.

python -m docs.make.pages [--pictures [NAME ...]]

The text is made each time. The pictures take minutes and are made when asked for, all or those named; each is what the
first call of its page gives.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import Any

import timmscope
from timmscope.registry.cli.describe import default_text
from timmscope.registry.declare.ports import Output, Photo
from timmscope.registry.declare.technique import FAMILIES, Technique
from timmscope.registry.web.calls import cli_call, curl_call, given_values, python_call, quoted

from .api import api

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "docs" / "techniques"
PICTURES = PAGES / "pictures"
ADDRESS = "http://127.0.0.1:7860"
WIDTH, GAP = 480, 6  # of a picture, in pixels
BYTES = 60_000  # of a picture, at most
START, END = "<!-- techniques: made by docs/make/pages.py -->\n", "<!-- end of techniques -->"

# What the example of a technique sets; photos that are not named here are of the cat.
SETTINGS: dict[str, dict[str, Any]] = {
    "filters": {"limit": 32},
    "activation_maps": {"image": "sample:coffee", "layer": "blocks.1", "limit": 24},
    "maximal_patches": {"layer": "blocks.4", "units": "3; 11", "per_unit": 6},
    "unit_sheet": {"image": "sample:coffee", "layer": "blocks.4", "unit": 11},
    "nearest_neighbors": {"image": "sample:coffee", "k": 5},
    "embedding_map": {"layout": "grid"},
    "saliency": {"samples": 32},
    "saliency_segmentation": {"image": "sample:rocket", "samples": 16},
    "guided_backprop": {"open_top": True},
    "grad_cam": {"targets": "tiger cat; Egyptian cat"},
    "gradient_ascent": {"target": "koala"},
    "fooling": {"target": "koala"},
    "deepdream": {"image": "sample:coffee", "strength": 0.02},
    "feature_inversion": {"layers": "blocks.0; blocks.2; blocks.4", "steps": 60},
    "texture": {"image": "sample:brick", "steps": 80},
    "texture_patchwise": {"image": "sample:brick", "size": 96},
    "style_transfer": {"style": "sample:tissue", "steps": 60},
}
# Which outputs are on the picture; otherwise the first with pictures.
ON_PICTURE = {
    "nearest_neighbors": ("feature_neighbors", "pixel_neighbors"),
    "occlusion": ("probability_map", "drop_map"),
    "saliency": ("heatmap", "overlay"),
    "guided_backprop": ("heatmap", "overlay"),
    "grad_cam": ("overlay",),
    "fooling": ("original", "fooled", "difference_10x"),
    "saliency_segmentation": ("mask", "cutout"),
}
# Techniques whose photos stand before what was made of them.
WITH_PHOTOS = ("deepdream", "texture", "texture_patchwise", "style_transfer")
# Pictures per row; otherwise three.
PER_ROW = {
    "filters": 8,
    "activation_maps": 6,
    "maximal_patches": 6,
    "unit_sheet": 4,
    "nearest_neighbors": 6,
    "feature_inversion": 4,
}


def techniques() -> list[Technique]:
    """The built-in techniques by family, in the order of the page."""
    found = [
        t for t in timmscope.plugins().techniques.values() if timmscope.plugins().report(t.plugin).version == "built in"
    ]
    return [t for family in FAMILIES for t in found if t.family == family]


def example(technique: Technique) -> dict[str, Any]:
    """The inputs of a technique's example, photos by the names of samples."""
    photos = {p.name: "sample:chelsea" for p in technique.parameters if isinstance(p.port, Photo) and p.required}
    return given_values(technique, photos | SETTINGS.get(technique.name, {}))


def on_picture(technique: Technique) -> tuple[str, ...]:
    """Names of the outputs on the technique's picture."""
    return ON_PICTURE.get(technique.name, (technique.outputs[0].name,))


def pages() -> dict[Path, str]:
    """Every file that is made from the declarations, with its text."""
    found = {PAGES / f"{technique.name}.md": page(technique) for technique in techniques()}
    found |= {PAGES / "README.md": index(), ROOT / "docs" / "api.md": api()}
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    before, rest = readme.split(START)
    _, after = rest.split(END)
    return found | {ROOT / "README.md": f"{before}{START}{table('docs/techniques/')}{END}{after}"}


def page(technique: Technique) -> str:
    """The page of one technique."""
    own = example(technique)
    photos = [p.name for p in technique.parameters if isinstance(p.port, Photo) and p.name in own]
    remote = own | {name: "photo.jpg" if name == photos[0] else f"{name}.jpg" for name in photos}
    source = technique.function.__module__.removeprefix("timmscope.").replace(".", "/")
    labels = {port.name: port.label for port in technique.outputs}
    names = ", ".join(f"*{labels[name]}*" for name in on_picture(technique))
    before = "what it is made of, then " if technique.name in WITH_PHOTOS else ""
    parts = [
        f"# {technique.title}",
        unwrapped(technique.summary),
        f"![{technique.title}](pictures/{technique.name}.jpg)",
        f"On the picture: {before}{names}. The first call below makes it.",
    ]
    for title, body in technique.sections.items():
        parts += [f"## {title}", formulas(body)]
    parts += [
        "## Parameters",
        rows(
            ("name", "accepts", "default", "what it is"),
            [
                (
                    f"`{p.name}`",
                    p.port.accepts,
                    "required" if p.required else "none" if p.default in (None, []) else default_text(p.default),
                    unwrapped(p.help),
                )
                for p in technique.parameters
            ],
        ),
        "## Outputs",
        rows(
            ("name", "what it is", "array, float32"),
            [(f"`{port.name}`", port.label, shape_of(port)) for port in technique.outputs],
        ),
        "After these come `arrays`, all arrays in one `.npz`, and `recipe`, a `.json` with everything that reproduces "
        "the run, and the notes on it.",
        "## Calls",
        "In Python, on this machine:",
        block("python", local_call(technique, own)),
        "On the command line:",
        block("sh", cli_call(technique, own, ADDRESS)),
        f"In Python, from a running app{', with a photo of yours' if photos else ''}:",
        block("python", python_call(technique, remote, ADDRESS)),
        "With curl:",
        block("sh", curl_call(technique, remote, ADDRESS)),
        f"As an MCP tool it is called `{technique.name}`; see [clients](../clients.md).",
        f"[All techniques](README.md) · made from [the declaration](../../{source}.py) by `python -m docs.make.pages`",
    ]
    return "\n\n".join(parts) + "\n"


def shape_of(port: Output) -> str:
    """The shape of an output's array, as code."""
    return port.gives.replace(port.shape, f"`{port.shape}`") if port.shape else "none"


def local_call(technique: Technique, values: dict[str, Any]) -> str:
    """The call of `timmscope.run`."""
    arguments = ", ".join([quoted(technique.name), *(f"{name}={quoted(value)}" for name, value in values.items())])
    return f'import timmscope\n\nresult = timmscope.run({arguments})\nresult.save("{technique.name}")'


def index() -> str:
    """All techniques with their pictures."""
    parts = ["# Techniques"]
    for family in FAMILIES:
        members = [t for t in techniques() if t.family == family]
        cells = [
            f'<a href="{t.name}.md"><img src="pictures/{t.name}.jpg" width="240" alt="{t.title}"></a><br>'
            f'<a href="{t.name}.md">{t.title}</a>: {unwrapped(t.summary)}'
            for t in members
        ]
        lines = [
            "".join(f'<td width="33%" valign="top">{cell}</td>\n' for cell in cells[i : i + 3])
            for i in range(0, len(cells), 3)
        ]
        parts += [f"## {family}", "<table>\n" + "".join(f"<tr>\n{line}</tr>\n" for line in lines) + "</table>"]
    return "\n\n".join([*parts, "Made by `python -m docs.make.pages`."]) + "\n"


def table(folder: str) -> str:
    """All techniques by family, one line each."""
    cells = [(t.family, f"[{t.title}]({folder}{t.name}.md)", f"`{t.name}`", unwrapped(t.summary)) for t in techniques()]
    return rows(("family", "technique", "name", "what it shows"), cells) + "\n"


def rows(head: tuple[str, ...], body: list[tuple[str, ...]]) -> str:
    """A table in Markdown."""
    lines = [head, ("---",) * len(head), *body]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def block(language: str, code: str) -> str:
    """A block of code in Markdown."""
    return f"```{language}\n{code}\n```"


def formulas(text: str) -> str:
    """Text with a line for each paragraph and item, and displayed formulas in paragraphs of their own, as on GitHub."""
    parts = re.split(r"\s*\$\$(.*?)\$\$[ \t]*\n?", text, flags=re.DOTALL)
    parts[1::2] = [f"\n\n$$\n{unwrapped(formula)}\n$$\n\n" for formula in parts[1::2]]
    return re.sub(r"(?<=[^\n$])\n(?=[^\n$*-])", " ", "".join(parts)).strip()


def unwrapped(text: str) -> str:
    """Text on one line."""
    return " ".join(text.split())


def make_picture(technique: Technique) -> None:
    """Run a technique's example, and write its picture."""
    from PIL import Image, ImageOps

    result = timmscope.run(technique.name, **example(technique))
    before = [photo.picture for photo in result.photos.values()] if technique.name in WITH_PHOTOS else []
    made = [picture for name in on_picture(technique) for picture, _ in result.pictures[name]]
    tiles = [Image.alpha_composite(Image.new("RGBA", x.size, "white"), x.convert("RGBA")) for x in before + made]
    columns = min(PER_ROW.get(technique.name, 3), len(tiles))
    side = min((WIDTH - (columns - 1) * GAP) // columns, max(tile.width for tile in tiles))
    height = max(round(tile.height * side / tile.width) for tile in tiles)
    tiles = [ImageOps.contain(tile, (side, height), Image.Resampling.LANCZOS) for tile in tiles]
    lines = -(-len(tiles) // columns)
    sheet = Image.new("RGB", (columns * (side + GAP) - GAP, lines * (height + GAP) - GAP), "white")
    for i, tile in enumerate(tiles):
        left, top = i % columns * (side + GAP), i // columns * (height + GAP)
        sheet.paste(tile.convert("RGB"), (left + (side - tile.width) // 2, top + (height - tile.height) // 2))
    path = PICTURES / f"{technique.name}.jpg"
    path.parent.mkdir(parents=True, exist_ok=True)
    for quality in range(85, 40, -5):
        sheet.save(path, quality=quality, optimize=True)
        if path.stat().st_size <= BYTES:
            return


def main() -> None:
    """Write the text; with `--pictures`, the pictures too."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", nargs="*", metavar="NAME", help="make these pictures too; all when none is named")
    wanted = parser.parse_args().pictures
    for technique in techniques() if wanted is not None else ():
        if not wanted or technique.name in wanted:
            make_picture(technique)
            print(PICTURES / f"{technique.name}.jpg")
    for path, text in pages().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
