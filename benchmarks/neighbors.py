"""How often the nearest photo shows the same kind of thing: in features, in pixels, on the t-SNE and on the PCA plane.

    python -m benchmarks.neighbors FOLDER

The folder has photos and a `labels.csv` with the columns `file` and `imagenet_index`. Classes 0 to 397 of ImageNet are
animals, the others things: chance is how often two different photos drawn at random are of one kind.
"""

from __future__ import annotations

import csv
import functools
import sys
import time
from pathlib import Path

import numpy as np
from sklearn.neighbors import NearestNeighbors

import timmscope
from techniques.embedding_map import project
from techniques.nearest_neighbors import in_rows

ANIMALS = 398  # classes of ImageNet before this one are animals
PERPLEXITY, SEED = 15.0, 0
MODEL = "tf_efficientnet_lite0"


def listed(folder: Path) -> timmscope.PhotoList:
    """The photos, labelled animal or thing."""
    with (folder / "labels.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    return timmscope.PhotoList(
        "folder",
        "Folder",
        [
            timmscope.SetPhoto(
                row["file"],
                functools.partial(Path, folder, row["file"]),
                "animal" if int(row["imagenet_index"]) < ANIMALS else "thing",
            )
            for row in rows
        ],
    )


def agreement(vectors: np.ndarray, labels: np.ndarray, metric: str) -> float:
    """Share of photos whose nearest other photo has their label."""
    order = NearestNeighbors(n_neighbors=2, metric=metric).fit(vectors).kneighbors(vectors, return_distance=False)
    nearest = np.where(order[:, 0] == np.arange(len(vectors)), order[:, 1], order[:, 0])
    return float((labels[nearest] == labels).mean())


def main(folder: str) -> None:
    """Print one line a space."""
    with timmscope.lend(MODEL) as model:
        for step in timmscope.index_photos(model, listed(Path(folder))):
            index = step.index
    labels = np.array(index.labels)
    counts = np.unique(labels, return_counts=True)[1]
    chance = (counts * (counts - 1)).sum() / (len(labels) * (len(labels) - 1))
    print(f"{len(labels)} photos, {MODEL}; chance {chance:.1%}")
    for metric in ("cosine", "euclidean"):
        print(f"features, {metric:9}     {agreement(index.values, labels, metric):.1%}")
        print(f"pixels, {metric:9}       {agreement(in_rows(index.pixels), labels, metric):.1%}")
    for method in ("tsne", "pca"):
        start = time.perf_counter()
        positions, notes = project(index.values, method, PERPLEXITY, SEED)
        took = time.perf_counter() - start
        shown = agreement(positions, labels, "euclidean")
        print(f"{method} plane               {shown:.1%}   ({took:.1f} s) {' '.join(notes)}")


if __name__ == "__main__":
    main(sys.argv[1])
