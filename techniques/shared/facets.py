"""Facets: the different things that excite a class or a unit, as mean pictures to start from (Nguyen et al. 2016)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from sklearn.cluster import KMeans
from torch import Tensor

from timmscope.synthesis import Network, to_tensor

CROPS, KEPT, NEAREST = 24, 60, 8  # crops per photo, those that excite most, and those that make a mean
BATCH = 16


def crops_of(photos: Sequence[Image.Image], size: int, seed: int, network: Network) -> Tensor:
    """Random square crops of the photos, [n, 3, size, size], on the device of the network."""
    crops = torch.cat([_crops(photo, size, np.random.default_rng((seed, i))) for i, photo in enumerate(photos)])
    return crops.to(network.model.device)


def facet_means(network: Network, value: Callable[[Tensor], Tensor], crops: Tensor, count: int, seed: int) -> Tensor:
    """The means of clusters of those crops that excite most, [count, 3, size, size].

    Args:
        network: The network whose scores tell the crops apart.
        value: How much an image excites, [n].
        crops: From `crops_of`.
        count: Number of clusters.
        seed: Seed of the clusters.
    """
    values, features = [], []
    with torch.no_grad():
        for first in range(0, len(crops), BATCH):
            seen = F.interpolate(crops[first : first + BATCH], network.size, mode="bilinear", align_corners=False)
            values.append(value(seen))
            features.append(network.logits(seen))
    best = torch.cat(values).argsort(descending=True)[: max(KEPT, count)]
    crops, points = crops[best], F.normalize(torch.cat(features)[best]).cpu().double().numpy()
    clusters = KMeans(count, n_init=4, random_state=seed).fit(points)
    nearest = clusters.transform(points).argsort(axis=0)[:NEAREST].T
    return torch.stack([crops[torch.from_numpy(indices).to(crops.device)].mean(0) for indices in nearest])


def _crops(photo: Image.Image, size: int, random: np.random.Generator) -> Tensor:
    width, height = photo.size
    found = []
    for share, x, y in random.random((CROPS, 3)):
        side = max(1, (0.25 + 0.75 * share) * min(width, height))
        left, top = x * (width - side), y * (height - side)
        box = (left, top, left + side, top + side)
        found.append(to_tensor(photo.resize((size, size), Image.Resampling.BILINEAR, box=box)))
    return torch.cat(found)
