"""The checks of model sources and photo sets."""

from __future__ import annotations

import time

import torch

from ..base.errors import ModelUnavailable, SetUnavailable
from ..models import loading
from ..models.catalogue import count_parameters, find
from ..models.source import ModelSource
from ..photos.decoding import PhotoInput, decode
from ..photos.sets import PhotoList, PhotoSet
from .report import Failure, Report, Skipped

LARGEST = 70_000_000  # parameters; a larger network is only counted
ANSWER = 5.0  # seconds in which a source must say that its weights cannot be had
PHOTOS = 3  # photos of a set that are decoded
CONFIGURATION = ("input_size", "mean", "std", "num_classes")
CONFIGURE = 'network.pretrained_cfg = {"input_size": (3, 224, 224), "mean": ..., "std": ..., "num_classes": 1000}'


def check_model_source(source: ModelSource, report: Report) -> None:
    """Make all checks of one model source."""
    subject = f"model {source.name}"
    size = report.examine(subject, "its network can be built", _built, source)
    if size is not None:
        report.examine(subject, "it sees a photo with random weights", _sees, source, "random", size)
        report.examine(subject, "its weights fit, or it says why they cannot be had", _sees, source, "pretrained", size)


def _built(source: ModelSource) -> int:
    entry = find(source.name, {source.name: source})
    size = count_parameters(entry, 2**62)
    if source.build:
        with torch.device("meta"):
            own = getattr(source.build(), "pretrained_cfg", None)
        missing = [key for key in CONFIGURATION if key not in (own or {})]
        if missing:
            raise Failure(f"its network says nothing of {', '.join(missing)}", CONFIGURE)
    return size


def _sees(source: ModelSource, weights: str, size: int) -> None:
    if size > LARGEST:
        raise Skipped(f"It has {size / 1e6:,.0f} million parameters, which is too many for a check.")
    from .short import generated_photos

    start = time.monotonic()
    try:
        loaded = loading.load(find(source.name, {source.name: source}), weights)
    except ModelUnavailable as error:
        if weights == "random" or "not fit" in str(error):
            raise
        if time.monotonic() - start > ANSWER:
            raise Failure(f"it takes {time.monotonic() - start:.0f} s to say that its weights cannot be had") from error
        raise Skipped(str(error)) from None
    with loaded.viewed() as model, torch.no_grad():
        logits = model.logits(model.see(PhotoInput(decode(generated_photos(1)[0]))).input)
    if logits.ndim != 2 or not bool(logits.isfinite().all()):
        raise Failure(f"its scores have shape {tuple(logits.shape)}, expected finite ones of shape (1, classes)")


def check_photo_set(photos: PhotoSet, report: Report) -> None:
    """Make all checks of one photo set."""
    report.examine(f"photo set {photos.name}", f"it lists photos, and the first {PHOTOS} are photos", _listed, photos)


def _listed(photos: PhotoSet) -> None:
    try:
        listed = PhotoList(photos.name, photos.title, photos.photos())
        if not len(listed):
            raise Failure("it is empty", "raise SetUnavailable('why, and what to do')")
        for index in range(min(PHOTOS, len(listed))):
            listed.photo(index)
    except SetUnavailable as error:
        raise Skipped(str(error)) from None
