"""Make `gallery/synthesis.jpg`: pictures of every synthesis technique, each with its recipe beside it.

python -m docs.make.synthesis
"""

from __future__ import annotations

import json
from pathlib import Path

from PIL import Image, ImageDraw, ImageOps

import timmscope

GALLERY = Path(__file__).parents[2] / "assets" / "gallery"
SIDE, GAP, HEAD = 200, 6, 20  # pixels
UNIT = {"steps": 128, "size": 200}
# A row of pictures: caption, technique, inputs, output, and which of its pictures.
ROWS = [
    [
        *((label, "gradient_ascent", {"target": label, "seeds": 3}, "image", 0) for label in ("koala", "flamingo")),
        ("beach wagon", "gradient_ascent", {"target": "beach wagon", "seeds": 3}, "image", 0),
        ("espresso, Fourier", "gradient_ascent", {"target": "espresso", "canvas": "fourier", "steps": 200}, "image", 0),
        ("flamingo, pixels", "gradient_ascent", {"target": "flamingo", "canvas": "pixels"}, "image", 0),
        ("blocks.5, unit 17", "gradient_ascent", {"layer": "blocks.5", "unit": 17, "canvas": "fourier"}, "image", 0),
    ],
    [
        (f"{layer}, unit {unit}", "gradient_ascent", {"layer": layer, "unit": unit, **how, **UNIT}, "image", 0)
        for layer, unit, how in (
            ("blocks.1", 11, {"canvas": "fourier"}),
            ("blocks.2", 11, {"canvas": "fourier"}),
            ("blocks.3", 11, {"canvas": "fourier"}),
            ("blocks.4", 3, {"canvas": "maco"}),
            ("blocks.4", 11, {"canvas": "fourier"}),
            ("blocks.4.1.bn1", 22, {"canvas": "maco"}),
        )
    ],
    [
        *(
            (f"{layer}", "feature_inversion", {"image": "sample:chelsea", "layers": layer}, "reconstructions", 1)
            for layer in ("blocks.0", "blocks.2", "blocks.4")
        ),
        ("dream of blocks.4", "deepdream", {"image": "sample:coffee", "strength": 0.02}, "image", 0),
        ("dream of blocks.5", "deepdream", {"image": "sample:china", "layer": "blocks.5", "steps": 20}, "image", 0),
        ("cat seen as koala", "fooling", {"image": "sample:chelsea", "target": "koala"}, "fooled", 0),
    ],
    [
        ("texture of brick", "texture", {"image": "sample:brick"}, "texture", 0),
        ("Efros and Leung", "texture_patchwise", {"image": "sample:brick", "window": 15}, "texture", 0),
        ("texture of tissue", "texture", {"image": "sample:tissue"}, "texture", 0),
        *(
            (f"cat in {style}", "style_transfer", {"content": "sample:chelsea", "style": f"sample:{style}"}, "image", 0)
            for style in ("tissue", "flower")
        ),
        ("coffee in grass", "style_transfer", {"content": "sample:coffee", "style": "sample:grass"}, "image", 0),
    ],
]


def main() -> None:
    """Run every technique, and write the sheet with its recipes beside it."""
    size = max(map(len, ROWS)) * (SIDE + GAP) - GAP, len(ROWS) * (SIDE + GAP + HEAD)
    sheet, recipes = Image.new("RGB", size, "white"), []
    draw = ImageDraw.Draw(sheet)
    for row, tiles in enumerate(ROWS):
        for column, (caption, name, inputs, output, index) in enumerate(tiles):
            result = timmscope.run(name, **inputs)
            recipes.append(result.recipe)
            picture = ImageOps.fit(result.pictures[output][index][0], (SIDE, SIDE), Image.Resampling.LANCZOS)
            left, top = column * (SIDE + GAP), row * (SIDE + GAP + HEAD)
            draw.text((left + 4, top + 1), caption, "black", font_size=14)
            sheet.paste(picture, (left, top + HEAD))
    GALLERY.mkdir(exist_ok=True)
    sheet.save(GALLERY / "synthesis.jpg", quality=86)
    (GALLERY / "synthesis.json").write_text(json.dumps(recipes, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
