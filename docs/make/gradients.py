"""Make `gallery/gradients.jpg`: the gradient techniques and occlusion on the sample photos.

python -m docs.make.gradients
"""

from __future__ import annotations

import json
from pathlib import Path

from PIL import Image, ImageDraw

import timmscope

GALLERY = Path(__file__).parents[2] / "assets" / "gallery"
PHOTOS = ("chelsea", "coffee", "rocket")
SIDE, GAP, HEAD = 224, 6, 22  # pixels
COLUMNS = {
    "saliency": ("saliency", {}, "heatmap"),
    "SmoothGrad": ("saliency", {"samples": 32}, "heatmap"),
    "guided backprop": ("guided_backprop", {"open_top": True}, "overlay"),
    "Grad-CAM": ("grad_cam", {}, "overlay"),
    "occlusion": ("occlusion", {}, "probability_map"),
    "segmentation": ("saliency_segmentation", {}, "cutout"),
}


def main() -> None:
    """Run every column on every photo, and write the sheet with its recipes beside it."""
    size = len(COLUMNS) * (SIDE + GAP) - GAP, len(PHOTOS) * (SIDE + GAP) - GAP + HEAD
    sheet = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(sheet)
    recipes = []
    for row, photo in enumerate(PHOTOS):
        top = HEAD + row * (SIDE + GAP)
        for column, (title, (name, settings, output)) in enumerate(COLUMNS.items()):
            result = timmscope.run(name, image=f"sample:{photo}", fit=True, **settings)
            recipes.append(result.recipe)
            picture = result.pictures[output][0][0].resize((SIDE, SIDE), Image.Resampling.LANCZOS)
            sheet.paste(picture, (column * (SIDE + GAP), top))
            draw.text((column * (SIDE + GAP) + 4, 2), title, "black", font_size=15)
    GALLERY.mkdir(exist_ok=True)
    sheet.save(GALLERY / "gradients.jpg", quality=88)
    (GALLERY / "gradients.json").write_text(json.dumps(recipes, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
