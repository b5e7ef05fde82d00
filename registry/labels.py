"""Class names of a model: ImageNet labels offline from timm, and graceful numbers otherwise."""

from __future__ import annotations

import functools
from collections.abc import Sequence

from timm.data import ImageNetInfo, infer_imagenet_subset

from .errors import InvalidInput, did_you_mean


class Labels:
    """The names of a model's classes.

    Args:
        names: A text a class, by index; synonyms are separated by commas and the first is shown.
    """

    def __init__(self, names: Sequence[str]) -> None:
        short = [name.split(",")[0].strip() for name in names]
        counts: dict[str, int] = {}
        for name in short:
            counts[name.lower()] = counts.get(name.lower(), 0) + 1
        # ImageNet has two cranes, a Cardigan and a cardigan: those carry their index.
        self.short = [f"{name} ({i})" if counts[name.lower()] > 1 else name for i, name in enumerate(short)]
        # What is shown finds its own class, even where it is another's synonym too (partridge, 86, and of 82).
        self._index = {name.lower(): i for i, name in enumerate(self.short)}
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
            raise InvalidInput(parameter, index, f"a class index from 0 to {len(self) - 1}")
        if (key := number.lower()) in self._index:
            return self._index[key]
        raise InvalidInput(
            parameter,
            text,
            f"a label of the model or an index from 0 to {len(self) - 1}",
            did_you_mean(text, self.short),
        )


@functools.lru_cache(maxsize=8)
def _imagenet(subset: str) -> Labels:
    return Labels(list(ImageNetInfo(subset).label_descriptions()))


@functools.lru_cache(maxsize=8)
def _numbers(count: int, noun: str) -> Labels:
    return Labels([f"{noun} {i}" for i in range(count)])


def labels_for(num_classes: int, outputs: int) -> Labels:
    """The labels of a model.

    Args:
        num_classes: Size of its classifier, 0 when it has none.
        outputs: Size of its output vector.

    Returns:
        ImageNet names for the class counts timm knows, "class 7" for others, "feature 7" without a classifier.
    """
    if num_classes and (subset := infer_imagenet_subset({"num_classes": num_classes})):
        return _imagenet(subset)
    return _numbers(outputs, "class" if num_classes else "feature")
