"""The embedding map: the photos of a set on a plane, where the network puts similar ones close together."""

from typing import Annotated

import timmscope as ts

MOST = 2_000  # photos on a map; more would be too small to see
FEWEST = 5  # photos from which t-SNE says anything
THUMBNAILS = 4_000_000  # pixels of all small copies together
RAW = 1_000  # longest side of the map among the arrays, in pixels


@ts.technique(
    "Embedding map",
    family="Activations",
    gpu_seconds=lambda photos: 8 + len(photos) / 50,
    outputs=[ts.Picture("map", "Map", large=True), ts.Points("points", "Points: point at one to see its photo")],
)
def embedding_map(
    model: ts.VisionModel,
    photos: Annotated[ts.PhotoList, ts.Photos("Photo set")] = "embedded",  # type: ignore[assignment]  # by name
    method: Annotated[str, ts.Choice("Projection", ("tsne", "pca"))] = "tsne",
    layout: Annotated[str, ts.Choice("Layout", ("scatter", "grid"))] = "scatter",
    perplexity: Annotated[float, ts.Number("Perplexity", 1, 100)] = 15.0,
    size: Annotated[int, ts.Number("Longest side of the map", 64, 4_000)] = 2_000,
    seed: Annotated[int, ts.Number("Seed", 0, 2**31 - 1)] = 0,
):
    r"""The photos of a set on a plane, close together where the network finds them similar.

    What you see:
        A map of thumbnails at their coordinates, or each in a cell of a grid, to open in full size and zoom into; and
        the same photos as points, which show the photo when pointed at. Up to 20 labels have colours: frames of the
        thumbnails, colours of the points.

    How it works:
        The penultimate features of each photo, squashed whole into the network's input, are projected to two
        dimensions. t-SNE turns distances into probabilities $p_{ij}$ of being neighbours and looks for points $y_i$
        whose own, with a heavy-tailed distribution, are closest to them:
        $$\min_y \sum_{i \ne j} p_{ij} \log \frac{p_{ij}}{q_{ij}}, \qquad
        q_{ij} \propto \big(1 + \lVert y_i - y_j \rVert^2\big)^{-1}$$
        It uses the cosine distance from the set's mean and starts at the PCA plane with a little noise. PCA is the
        plane with the most variance. The grid gives each photo the cell that moves all together the least (optimal
        assignment).

    How to read it:
        In t-SNE neighbourhoods mean something; distances between clusters, their sizes and the axes do not. A PCA
        plane keeps distances, but only in the directions it shows: the note says how much of the variance that is,
        and with a small share the plane may show no groups although the features have them.

    Source:
        van der Maaten and Hinton 2008, "Visualizing Data using t-SNE"; Pearson 1901 for PCA.

    Args:
        photos: The photo set; of more than 2,000 photos an evenly spaced part is shown.
        method: The projection, tsne or pca.
        layout: Thumbnails at their coordinates (scatter) or on a grid.
        perplexity: For t-SNE, how many neighbours count, roughly; limited to a third of the other photos.
        size: Longest side of the map, 64 to 4,000 pixels, without the legend.
        seed: Seed of the noise t-SNE starts with; groups that another seed pulls apart are not to be trusted.

    Raises:
        Declined: The features are not finite, or the same for all photos.
        InvalidInput: Not one photo of the set can be decoded.
    """
    import numpy as np

    from timmscope import index_photos

    from ..shared import mosaic

    for step in index_photos(model, photos, fit=True):
        yield ts.Outputs().at(step.done, 2 * step.total)
    index, total = step.found, 2 * step.total
    sample = np.linspace(0, len(index) - 1, min(MOST, len(index))).round().astype(int)
    side = mosaic.side(len(sample), layout, size)
    small = int(min(128, max(48, (THUMBNAILS / len(sample)) ** 0.5)))
    rows = {int(index.positions[i]): i for i in sample}
    found, pictures, thumbnails = [], [], []
    for position, photo in photos.decoded(rows):
        found.append(rows[position])
        pictures.append(square(photo, side))
        thumbnails.append(np.asarray(square(photo, small)))
        yield ts.Outputs().at(total // 2 + len(found) * (total // 2) // len(sample), total)
    names, labels = ([texts[i] for i in found] for texts in (index.names, index.labels))
    positions, notes = project(index.values[found], method, perplexity, seed)
    places, whole = mosaic.plan(positions, layout, size, side)
    drawn = mosaic.draw(places, whole, pictures, labels)
    yield ts.Outputs(
        map=ts.Shown(reduced(drawn), drawn), points=ts.Placed(positions, names, labels, np.stack(thumbnails))
    ).note(*notes, many_labels(labels), f"{MOST:,} of {len(index):,} photos, evenly spaced." * (len(index) > MOST))


def project(features, method: str, perplexity: float, seed: int):
    """Features [n, d] on the plane.

    Returns:
        Positions, float32 [n, 2], and sentences on how to read them.

    Raises:
        Declined: All features are the same.
    """
    import numpy as np

    count = len(features)
    if count == 1:
        return np.zeros((1, 2), np.float32), ["A single photo has no neighbours: it lies in the middle."]
    if ts.rounding.same(features, features.mean(0, dtype=np.float64)).all():
        raise ts.Declined(f"All {count} photos have the same features: there is nothing to lay out.")
    if method == "pca":
        return principal_plane(features)
    if count < FEWEST:
        positions, notes = principal_plane(features)
        return positions, [f"t-SNE needs at least {FEWEST} photos, so this is the PCA plane.", *notes]
    fits = min(perplexity, (count - 1) / 3)
    said = f"Perplexity {fits:.3g}, a third of the other photos: {perplexity:g} is too large for {count} photos."
    return neighbor_embedding(features, fits, seed), [said] if fits < perplexity else []


def neighbor_embedding(features, perplexity: float, seed: int):
    """The t-SNE plane of the cosine distance from the mean, from `start`: the same bits for the same seed."""
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    tsne = TSNE(metric="cosine", init=start(features, seed), perplexity=perplexity, random_state=seed)
    with threadpool_limits(1, "openmp"):  # of this thread alone; sums over threads come in any order
        return tsne.fit_transform(features - features.mean(0))


def start(features, seed: int):
    """Where t-SNE starts: the PCA plane, tiny as t-SNE needs it, with a tenth as much noise by the seed."""
    import numpy as np

    plane, _ = principal_plane(features)
    noise = np.random.default_rng(seed).normal(size=plane.shape)
    return (1e-4 * plane / plane[:, 0].std() + 1e-5 * noise).astype(np.float32)


def principal_plane(features):
    """The plane with the most variance, and how much that is; an axis on which only rounding differs is zero."""
    import numpy as np
    from sklearn.decomposition import PCA

    pca = PCA(min(2, *features.shape), svd_solver="full")
    positions = pca.fit_transform(features.astype(np.float64)).astype(np.float32)
    positions[:, np.abs(positions).max(0) <= ts.rounding.limit(np.linalg.norm(features, axis=1).max())] = 0
    shares = pca.explained_variance_ratio_
    note = (
        f"The PCA plane shows {shares.sum():.0%} of the variance of the features "
        f"({' and '.join(f'{share:.0%}' for share in shares)}). Groups that lie in the rest do not show in it."
    )
    return np.pad(positions, ((0, 0), (0, 2 - len(shares)))), [note]


def square(photo, side: int):
    """The middle of a photo as a square."""
    from PIL import Image, ImageOps

    return ImageOps.fit(photo, (side, side), Image.Resampling.LANCZOS)


def reduced(drawn):
    """A copy of the map for the arrays, which would else take hundreds of megabytes."""
    import numpy as np
    from PIL import Image

    picture = Image.fromarray(drawn)
    picture.thumbnail((RAW, RAW), Image.Resampling.LANCZOS)
    return np.asarray(picture)


def many_labels(labels) -> str:
    """A sentence where labels have no colours since there are too many."""
    kinds = len({label for label in labels if label})
    return (
        f"{kinds} labels are too many to tell apart by colour." if kinds and not ts.render.label_colors(labels) else ""
    )


@ts.hookimpl
def register_techniques(register):
    register(embedding_map)
