"""Class names of a model: ImageNet labels offline from timm, and graceful numbers otherwise."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from timm.data import ImageNetInfo, infer_imagenet_subset
from timm.models import PretrainedCfg, get_pretrained_cfg

from ..base.errors import InvalidInput, did_you_mean

LABELLED = re.compile(r"in\d+k|inw21k|bamboo")  # the data sets with labels, as timm's tags name them
UNTRAINED = "untrained"  # timm's tag for networks without weights


class Labels:
    """The names of a model's classes.

    Args:
        names: A text a class, by index; synonyms are separated by commas and the first is shown.
        noun: What has these names: a class, or a feature where there are no classes.
    """

    def __init__(self, names: Sequence[str], noun: str = "class") -> None:
        self.noun = noun
        short = [name.split(",")[0].strip() for name in names]
        counts: dict[str, int] = {}
        for name in short:
            counts[name.lower()] = counts.get(name.lower(), 0) + 1
        # ImageNet has two cranes, a Cardigan and a cardigan: those carry their index.
        self.short = [f"{name} ({i})" if counts[name.lower()] > 1 else name for i, name in enumerate(short)]
        # What is shown finds its own class, even where it is another's synonym too (partridge, 86, and of 82).
        self._index = {name.lower(): i for i, name in enumerate(self.short)}
        self._names = names
        for i, name in enumerate(names):
            for synonym in (name, *name.split(",")):
                self._index.setdefault(synonym.strip().lower(), i)

    def __len__(self) -> int:
        return len(self.short)

    def __getitem__(self, index: int) -> str:
        return self.short[index]

    def find(self, text: str, parameter: str = "target") -> int:
        """The class called `text`: an index, a label or one of its synonyms, in any case.

        Raises:
            InvalidInput: There is none; the text names the close matches.
        """
        number = text.strip()
        if number.removeprefix("-").isdecimal() and number.isascii():
            index = int(number)
            if 0 <= index < len(self):
                return index
            raise InvalidInput(parameter, index, f"a {self.noun} index from 0 to {len(self) - 1}")
        if (key := number.lower()) in self._index:
            return self._index[key]
        raise InvalidInput(
            parameter,
            text,
            f"a label of the model or an index from 0 to {len(self) - 1}",
            did_you_mean(text, self._synonyms(), meant=lambda name: self._index[name.lower()]),
        )

    def _synonyms(self) -> Iterator[str]:
        """All that finds a class, class by class: what is shown of it first."""
        for short, name in zip(self.short, self._names):
            yield from (short, *(synonym.strip() for synonym in name.split(",")))


@functools.lru_cache(maxsize=8)
def _imagenet(subset: str) -> Labels:
    return Labels(list(ImageNetInfo(subset).label_descriptions()))


@functools.lru_cache(maxsize=8)
def _numbers(count: int, noun: str) -> Labels:
    return Labels([f"{noun} {i}" for i in range(count)], noun)


def labels_for(num_classes: int, outputs: int, imagenet: bool = True) -> Labels:
    """The labels of a model.

    Args:
        num_classes: Size of its classifier, 0 when it has none.
        outputs: Size of its output vector.
        imagenet: Whether it was taught ImageNet's classes.

    Returns:
        ImageNet names for the class counts timm knows, "class 7" for others, "feature 7" without a classifier.
    """
    if imagenet and num_classes and (subset := infer_imagenet_subset({"num_classes": num_classes})):
        return _imagenet(subset)
    return _numbers(outputs, "class" if num_classes else "feature")


def labels_of(config: Mapping[str, Any], num_classes: int, outputs: int) -> Labels:
    """The labels of a model, by what it was taught.

    timm's tags name the data sets, the last one at the end (laion2b_ft_in12k_in1k). Where none of them has labels, as
    those of pictures with captions, the outputs are the coordinates of an embedding and no classes, however many.

    Args:
        config: Its `pretrained_cfg`.
        num_classes: Size of its classifier, or of what timm calls so; 0 when it has none.
        outputs: Size of its output vector.
    """
    tag = config.get("tag") or UNTRAINED
    if taught := LABELLED.findall(tag):
        subset = infer_imagenet_subset({"num_classes": num_classes}) or ""
        return labels_for(num_classes, outputs, subset.startswith(f"imagenet-{taught[-1].removeprefix('in')}"))
    original = None if tag == UNTRAINED else _original(f"{config.get('architecture')}.{tag}")
    embeds = original is not None and original.num_classes == num_classes  # else a source has put another head on it
    return labels_for(0 if embeds else num_classes, outputs, imagenet=False)


def _original(name: str) -> PretrainedCfg | None:
    """timm's own configuration for that architecture and tag, if it has one."""
    try:
        return get_pretrained_cfg(name)
    except RuntimeError:
        return None
