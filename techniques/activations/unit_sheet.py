"""Unit sheet: one unit seen four ways on one page."""

from collections.abc import Iterator
from typing import Annotated

import timmscope as ts

from .maximal_patches import DEPTH, RICH

VIEWS = ("patches", "synthetic", "map", "guided")  # in the order of the page
SIDE = 448  # of each view as shown, in pixels
CANVAS = 192  # side of the synthetic picture, in pixels
PATCHES = 9


@ts.technique(
    "Unit sheet",
    family="Activations",
    gpu_seconds=lambda photos, steps: 8 + len(photos) / 50 + steps / 20,
    outputs=[ts.Gallery("sheet", "One unit, four ways", columns=2)],
)
def unit_sheet(
    model: ts.VisionModel,
    image: Annotated[ts.PhotoInput, ts.Photo("Photo")],
    photos: Annotated[ts.PhotoList, ts.Photos("Photo set")] = "embedded",  # type: ignore[assignment]  # by name
    layer: Annotated[str, ts.Layer("Layer", depth=DEPTH, known=RICH)] = "",
    unit: Annotated[int | None, ts.Unit("Unit")] = None,
    steps: Annotated[int, ts.Number("Steps of the synthetic picture", 1, 1024)] = 96,
    seed: Annotated[int, ts.Number("Seed", 0, 2**31 - 1)] = 0,
) -> Iterator[ts.Outputs]:
    r"""One unit seen four ways: its best patches, its synthetic picture, its map on the photo, and guided backprop.

    What you see:
        First the nine patches of the photo set that excite the unit most, best first, in rows. Then a picture made
        from noise that it likes. Then where it answers in the photo, red for most. Last the strokes of the photo
        that excite it at its most excited place.

    How it works:
        Four techniques with the settings that suit a unit: maximal patches; gradient ascent of the unit's mean,
        before its activation, on a Fourier canvas; its activation map; guided backprop, which here also passes through
        activations that saturate from above. All four are of one unit $k$ of one layer,
        $$A^k_{ij}(I)$$
        by default the one with the largest value on the photo, before a saturating activation.

    How to read it:
        Each way errs differently. Patches show only what the set has; the synthetic picture what is enough for the
        unit, not what is usual; the map where but not what; guided strokes are partly an edge detector. What all four
        agree on is what the unit is for. Where they disagree, it often answers to several things.

    Source:
        Olah et al. 2017, "Feature Visualization", which sets examples beside synthetic pictures; Springenberg et al.
        2015; Yosinski et al. 2015.

    Args:
        image: The photo for map and guided backprop, and to choose the unit by.
        photos: Name of the photo set that is searched for patches.
        layer: Name of a layer with a grid or one value per unit; empty for one at two thirds of the depth.
        unit: Channel of the layer, by index; -1 for the one with the largest value on the photo.
        steps: Changes of the synthetic picture, 1 to 1024.
        seed: Seed of the noise the synthetic picture starts from.

    Raises:
        Declined: The layer has neither a grid nor one value per unit, or none of the four ways applies.
        InvalidInput: The layer has no such unit.
    """
    from ..shared.patches import indexed

    sheet, total = Sheet(model, layer, unit, model.see(image)), len(photos) + steps
    sheet.add("map", sheet.map_on_photo)
    sheet.add("guided", sheet.guided)
    if sheet.views:
        yield sheet.outputs().at(0, total)
    index = yield from indexed(model, photos, layer, steps)
    sheet.add("patches", lambda: sheet.patches(photos, index))
    try:
        for picture, done in sheet.synthetic(steps, seed):
            sheet.views["synthetic"] = picture
            yield sheet.outputs().at(len(photos) + done, total)
    except ts.Declined as declined:
        sheet.missing["synthetic"] = str(declined)
    chosen = ", the one with the largest value on the photo" if unit is None else ""
    sheet.notes += [f"Left out, {view}: {reason}" for view, reason in sheet.missing.items()]
    yield sheet.finished().at(total, total).note(f"{layer}, unit {sheet.unit}{chosen}.", *sheet.notes)


class Sheet:
    """The views of one unit that there are so far, each a picture with a caption, and why others are missing.

    Args:
        model: The model.
        layer: Name of the layer.
        unit: Channel; None takes the one with the largest value on the photo, before a saturating activation.
        seen: The photo.
    """

    def __init__(self, model, layer: str, unit: int | None, seen) -> None:
        import numpy as np
        import torch

        from timmscope import LayerReader

        reader = LayerReader(model, [layer], before_activation=True)
        with torch.no_grad():
            values = reader(seen.input)[layer][0].float().cpu().numpy()
        if not np.isfinite(values).all():
            raise ts.Declined(
                f"Layer {layer} of {model.name} ({model.weights} weights) has values that are not finite."
            )
        self.model, self.layer, self.seen = model, layer, seen
        self.unit = int(values.max((1, 2)).argmax()) if unit is None else unit
        self.values, self.rectified = values[self.unit], bool(reader.opened)
        self.views: dict[str, tuple] = {}
        self.missing: dict[str, str] = {}
        self.notes: list[str] = []

    def add(self, view: str, make) -> None:
        """Add a view, or keep the reason why it does not apply."""
        try:
            self.views[view] = make()
        except ts.Declined as declined:
            self.missing[view] = str(declined)

    def outputs(self) -> ts.Outputs:
        """The page as it is."""
        pictures, captions = zip(*(self.views[view] for view in VIEWS if view in self.views))
        return ts.Outputs(sheet=ts.Captioned([fitted(picture) for picture in pictures], captions))

    def finished(self) -> ts.Outputs:
        """The page, when at least one way applied."""
        if not self.views:
            raise ts.Declined(" ".join(f"{view}: {reason}" for view, reason in self.missing.items()))
        return self.outputs()

    def map_on_photo(self):
        """Where the unit answers in the photo."""
        from PIL import Image

        values = self.values.clip(min=0) if self.rectified else self.values
        if ts.rounding.constant(values):
            raise ts.Declined(f"the unit gives {values.max():.3g} everywhere in the photo.")
        height, width = self.model.size
        picture = ts.render.overlay(Image.fromarray(self.seen.pixels), (0, 0, width, height), values)
        return picture, f"Map on the photo: {values.min():.3g} to {values.max():.3g}"

    def guided(self):
        """The strokes of the photo that excite the unit where it is most excited."""
        from timmscope.gradients import guided_gradient

        place = divmod(int(self.values.argmax()), self.values.shape[1])
        neuron = self.model.neuron(self.seen.input, self.layer, self.unit, place)
        gradient = guided_gradient(self.model, neuron, self.seen.input, "guided", open_top=True).cpu().numpy()
        return ts.render.gradient_picture(gradient), f"Guided backprop: {neuron.label}"

    def patches(self, photos, index):
        """The patches of the photo set that excite the unit most."""
        from ..shared.patches import Ranks, cut_all, described, window

        ranks, field = Ranks(self.model, photos, self.layer, index), window(self.model, self.layer)
        ranks.choose([self.unit], PATCHES, 1)
        best = ranks.best(self.unit, PATCHES)
        self.notes += [*ranks.notes([], best), described(self.model, field)]
        wall = ts.render.wall(cut_all(self.model, photos, field, best), columns=3)
        return wall, f"Patches of {photos.title}: {best[0].value:.3g} to {best[-1].value:.3g}"

    def synthetic(self, steps: int, seed: int):
        """The picture that the unit likes, made from noise: yields it as it is, and the steps done."""
        import torch

        from timmscope.synthesis import Network, ascend

        from ..shared import ascent

        network, noise = Network(self.model, (CANVAS, CANVAS)), torch.Generator().manual_seed(seed)
        made_for = ascent.unit_subject(network, self.layer, self.unit, None, lambda: torch.empty(0))
        score = made_for.objective.on(network)
        method = ascent.fourier(None, (1, CANVAS, CANVAS), noise, network)
        seen = ascent.views("fourier", True, False, network, noise)
        for step in ascend(method.canvas, score, method.optimizer, steps, seen):
            yield (step.pictures[0], f"Synthetic picture: S = {-step.curves['-S'][-1]:.3g}"), step.done
        if made_for.silent(score, step.images):
            self.notes.append("The unit stays silent on the synthetic picture, too.")


def fitted(picture):
    """A view at the size of the page, uint8 [SIDE, SIDE, 3]."""
    import numpy as np
    from PIL import Image, ImageOps

    whole = Image.fromarray(np.ascontiguousarray(picture)).convert("RGB")
    return np.asarray(ImageOps.pad(whole, (SIDE, SIDE), Image.Resampling.BICUBIC))


@ts.hookimpl
def register_techniques(register):
    register(unit_sheet)
