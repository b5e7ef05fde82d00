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

import timmscope
from timmscope.techniques.activations.embedding_map import project
from timmscope.techniques.activations.nearest_neighbors import in_rows, ranked

ANIMALS = 398  # classes of ImageNet before this one are animals
PERPLEXITY, SEEDS = 15.0, (0, 1, 2)
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
    orders = [ranked(vectors[i : i + 1], vectors, metric)[1] for i in range(len(vectors))]
    nearest = np.array([order[order != i][0] for i, order in enumerate(orders)])
    return float((labels[nearest] == labels).mean())


def main(folder: str) -> None:
    """Print one line a space."""
    for fit in (False, True):
        with timmscope.lend(MODEL) as model:
            *_, step = timmscope.index_photos(model, listed(Path(folder)), fit=fit)
        index, labels = step.index, np.array(step.index.labels)
        counts = np.unique(labels, return_counts=True)[1]
        chance = (counts * (counts - 1)).sum() / (len(labels) * (len(labels) - 1))
        print(f"{len(labels)} photos, {'whole' if fit else 'centre crop'}, {MODEL}; chance {chance:.1%}")
        for metric in ("centred", "cosine", "euclidean"):
            print(f"  features, {metric:9}     {agreement(index.values, labels, metric):.1%}")
            print(f"  pixels, {metric:9}       {agreement(in_rows(index.pixels), labels, metric):.1%}")
    for method in ("tsne", "pca"):
        for seed in SEEDS if method == "tsne" else (0,):
            start = time.perf_counter()
            positions, notes = project(index.values, method, PERPLEXITY, seed)
            took = time.perf_counter() - start
            shown = agreement(positions, labels, "euclidean")
            print(f"{method} plane of whole photos, seed {seed}   {shown:.1%}   ({took:.1f} s) {' '.join(notes)}")


if __name__ == "__main__":
    main(sys.argv[1])
