"""Nearest neighbours: which photos of a set are most like this one, for the network and by their pixels."""

from typing import Annotated

import timmscope as ts


@ts.technique(
    "Nearest neighbours",
    family="Activations",
    gpu_seconds=lambda photos: 8 + len(photos) / 50,
    outputs=[
        ts.Gallery("feature_neighbors", "Nearest by the network's features", columns=5),
        ts.Gallery("pixel_neighbors", "Nearest by pixels", columns=5),
        ts.Table(
            "distances",
            "Distance and rank by features, and by pixels",
            columns=("Photo", "Index", "Features", "Rank", "Pixels", "Rank"),
        ),
    ],
)
def nearest_neighbors(
    model: ts.VisionModel,
    image: Annotated[ts.PhotoInput, ts.Photo("Photo")],
    photos: Annotated[ts.PhotoList, ts.Photos("Photo set")] = "embedded",  # type: ignore[assignment]  # by name
    k: Annotated[int, ts.Number("Neighbours", 1, 48)] = 8,
    metric: Annotated[str, ts.Choice("Distance", ("centred", "cosine", "euclidean"))] = "centred",
):
    r"""The photos of a set that are most like yours: for the network, and by their pixels, side by side.

    What you see:
        Two galleries that both start with your photo. On the left its nearest neighbours by the network's features,
        on the right those by its pixels, the nearest first and the distance under each. The table has both distances
        and both ranks of every photo shown.

    How it works:
        The penultimate features $f(I)$, which feed the classifier, are computed once for each photo of the set, and
        the photos $J$ with the smallest distance to yours are shown:
        $$d(I, J) = 1 - \frac{g(I) \cdot g(J)}{\lVert g(I) \rVert\, \lVert g(J) \rVert}, \qquad g = f - \bar f$$
        with the mean $\bar f$ of the set: what all its photos share tells none apart, and would make a few of them
        everybody's neighbours. "cosine" leaves the mean in; Euclidean is $\lVert f(I) - f(J) \rVert$.
        The right gallery does the same with the pixels that the network sees, from 0 to 1, each photo reduced to 32
        pixels on its longest side.

    How to read it:
        Features gather the same kind of thing in other colours, poses and places; pixels gather the same colours in
        the same places, whatever is shown. There is always a nearest photo: a distance not much below the others says
        that the set holds nothing like yours. A photo that is in the set finds itself at distance 0.

    Source:
        Krizhevsky et al. 2012, "ImageNet Classification with Deep Convolutional Neural Networks", section 6.1;
        Suzuki et al. 2013, "Centering Similarity Measures to Reduce Hubs".

    Args:
        image: The photo whose neighbours are searched.
        photos: The photo set that is searched.
        k: How many neighbours, 1 to 48.
        metric: centred compares directions from the set's mean, cosine those from zero; euclidean compares the values.

    Raises:
        Declined: The features are not finite.
        InvalidInput: Not one photo of the set can be decoded.
    """
    from timmscope import index_photo, index_photos

    for step in index_photos(model, photos, fit=image.fit):
        yield ts.Outputs().at(step.done, step.total)
    index, query = step.found, index_photo(model, image)
    features = ranked(query.values, index.values, metric)
    pixels = ranked(in_rows(query.pixels), in_rows(index.pixels), metric)
    size = "Pixels are compared at {2} x {1}, the network's {0[1]} x {0[0]} reduced.".format(
        model.size,
        *index.pixels.shape[2:],  # type: ignore[union-attr]  # there without a layer
    )
    few = f"The set has only {len(index)}, so all of its photos are shown." if k > len(index) else ""
    yield ts.Outputs(
        feature_neighbors=gallery(model, image, photos, index, features, k),
        pixel_neighbors=gallery(model, image, photos, index, pixels, k),
        distances=table(index, features, pixels, k),
    ).note(size, few)


def in_rows(pixels):
    """Reduced photos [n, channels, height, width] as vectors of values from 0 to 1."""
    return pixels.reshape(len(pixels), -1).astype("float32") / 255


def ranked(query, vectors, metric: str):
    """The vectors of a set, [n, d], from the nearest to the farthest: their distances [n] and indices [n].

    What only rounding tells apart has distance 0; what it does not tell from the mean has no direction, and distance 1.
    """
    import numpy as np
    from sklearn.metrics import pairwise_distances

    alike = ts.rounding.same(query, vectors)
    if metric == "centred":
        mean, metric = vectors.mean(0, dtype=np.float64).astype(np.float32), "cosine"
        if not ts.rounding.same(vectors, mean).all():  # else nothing would be left
            query, vectors = (np.where(ts.rounding.same(v, mean)[:, None], 0, v - mean) for v in (query, vectors))
    distances = np.where(alike, 0, pairwise_distances(query, vectors, metric)[0])
    order = np.argsort(distances, kind="stable")
    return distances[order], order


def gallery(model, image, photos, index, found, k: int) -> ts.Captioned:
    """The query and its k nearest photos, as the network sees them."""
    pictures, captions = [as_seen(model, image)], [f"your photo: {image.name}"]
    for distance, i in zip(found[0][:k], found[1][:k]):
        photo = photos.photo(index.positions[i])
        pictures.append(as_seen(model, ts.PhotoInput(photo.picture, photo.name, image.fit)))
        captions.append(f"{distance:.2f}  {described(index, i).rpartition('/')[2]}")  # folders are in the table
    return ts.Captioned(pictures, captions)


def as_seen(model, photo: ts.PhotoInput):
    """The part of a photo that the network sees, uint8 [height, width, 3]."""
    import numpy as np

    pixels = model.cropped(photo).numpy().transpose(1, 2, 0)
    return np.broadcast_to(pixels, (*pixels.shape[:2], 3))


def table(index, features, pixels, k: int) -> list[list]:
    """A row for each photo that is near in one of the spaces: where it stands in both."""
    near = dict.fromkeys([*features[1][:k].tolist(), *pixels[1][:k].tolist()])
    distances = [dict(zip(order.tolist(), values.tolist())) for values, order in (features, pixels)]
    ranks = [{i: rank for rank, i in enumerate(order.tolist(), 1)} for _, order in (features, pixels)]
    return [
        [described(index, i), i, *(value for space in (0, 1) for value in (distances[space][i], ranks[space][i]))]
        for i in near
    ]


def described(index, i: int) -> str:
    """Name and label of a photo of the set."""
    name, label = index.names[i], index.labels[i]
    return f"{name} ({label})" if label and label not in name else name


@ts.hookimpl
def register_techniques(register):
    register(nearest_neighbors)
