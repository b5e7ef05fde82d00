"""Maximal patches: the parts of a photo set that excite a unit most."""

from collections.abc import Iterator, Sequence
from typing import Annotated

import timmscope as ts

# Deep enough for parts of things, not yet whole classes: a layer of the embedded model's family, elsewhere a stage.
RICH, DEPTH = ("blocks.4.1.bn1",), 2 / 3


@ts.technique(
    "Maximal patches",
    family="Activations",
    gpu_seconds=lambda photos: 8 + len(photos) / 50,
    outputs=[
        ts.Gallery("patches", "Patches, best first", columns=8),
        ts.Table("ranking", "Ranking", ("photo", "unit", "rank", "number", "row", "column", "value")),
    ],
)
def maximal_patches(
    model: ts.VisionModel,
    photos: Annotated[ts.PhotoList, ts.Photos("Photo set")] = "embedded",  # type: ignore[assignment]  # by name
    layer: Annotated[str, ts.Layer("Layer", depth=DEPTH, known=RICH)] = "",
    units: Annotated[Sequence[int], ts.Units("Units")] = (),
    per_unit: Annotated[int, ts.Number("Patches per unit", 1, 32)] = 8,
    limit: Annotated[int, ts.Number("Units, when none is given", 1, 32)] = 8,
    field: Annotated[str, ts.Choice("Size of a patch", ("auto", "effective", "theoretical"))] = "auto",
) -> Iterator[ts.Outputs]:
    r"""The parts of a photo set that excite a unit most: what it looks for, shown by examples.

    What you see:
        A wall of patches, eight per row, so that with eight patches per unit every row is one unit. The best patch
        comes first. Below each are the unit, its value there and the photo.

    How it works:
        Every photo $I$ goes through the network up to the layer. Of each unit $k$ the largest value on the layer's
        grid and its cell are kept,
        $$v_k(I) = \max_{i,j} A^k_{ij}(I)$$
        before a saturating activation, behind which many photos would tie. The photos are ranked by $v_k$; of each the
        part under that cell's receptive field is cut from the photo at full resolution, and moved inside where it
        would reach over the border. Cells along the border of the grid are left out: there padding excites units.
        One photo gives one patch; of a set made of crops, one picture does.

    How to read it:
        What the patches of a row have in common is what the unit answers to; a row without anything in common may be
        a unit that answers to several things, or a set too small. Values compare within a row. A value below zero
        does not pass a rectifier: the unit is silent there, and nothing better was found. Without units of your own you
        see those whose best photos stand out most, no two with mostly the same photos. A patch is everything that the
        cell can see; choose "effective" for the middle that counts most, which reads better. Deep layers see nearly
        the whole photo and always show that middle; tokens, which see everything, their own place and its neighbours.

    Source:
        Girshick et al. 2014, "Rich feature hierarchies for accurate object detection", figure 4; Springenberg et al.
        2015; Luo et al. 2016, "Understanding the Effective Receptive Field in Deep Convolutional Neural Networks".

    Args:
        photos: Name of the photo set that is searched.
        layer: Name of a layer with a grid or one value per unit; empty for one at two thirds of the depth.
        units: Channels of the layer, by index, such as "3; 11"; empty for those whose best photos stand out most.
        per_unit: Patches per unit, 1 to 32; fewer where the set has fewer photos.
        limit: How many units are chosen where none is given, 1 to 32.
        field: auto is the theoretical receptive field where it is clearly smaller than the input, else the effective
            one, and for tokens their place; or one of the two.

    Raises:
        Declined: The layer has neither a grid nor one value per unit, no receptive field of this kind, or no unit that
            fires on these photos.
        InvalidInput: The layer has no such unit.
    """
    from ..shared.patches import Ranks, cut_all, described, indexed, window

    index = yield from indexed(model, photos, layer)
    ranks = Ranks(model, photos, layer, index)
    chosen, silent = ranks.choose(units, per_unit, limit)
    patches = [patch for unit in chosen for patch in ranks.best(unit, per_unit)]
    size = window(model, layer, field)
    pictures = cut_all(model, photos, size, patches)
    captions = [f"unit {p.unit}: {p.value:.3g} · {p.name}" for p in patches]
    rows = [[p.name, p.unit, p.rank, p.photo, p.row, p.column, p.value] for p in patches]
    yield (
        ts.Outputs(patches=ts.Captioned(pictures, captions), ranking=rows)
        .at(len(photos), len(photos))
        .note(
            *ranks.notes(silent, patches),
            described(model, size),
        )
    )


@ts.hookimpl
def register_techniques(register):
    register(maximal_patches)
