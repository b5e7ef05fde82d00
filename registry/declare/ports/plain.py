"""Values as Python has them: whatever library a number, a word or a list comes from, its meaning is accepted.

No such library is imported: declarations need none.
"""

from __future__ import annotations

import math
import numbers
import operator
from collections.abc import Iterator, KeysView, Sequence, ValuesView
from decimal import Decimal
from itertools import islice
from typing import Any

MOST = 1000  # items of a list or an array that are looked at; every port takes fewer


def plain(value: Any, depth: int = 2) -> Any:
    """`value` as Python's own bool, int, float, str or list, where it stands for one; anything else as it is.

    Args:
        value: Also a scalar, array or tensor of numpy, torch and the like, a fraction, a tuple, a range or an iterator.
        depth: How many lists inside each other are looked into.
    """
    try:
        return _plain(value, depth)
    except Exception:  # an object may do anything; the port refuses it
        return value


def _plain(value: Any, depth: int) -> Any:
    if value is None or isinstance(value, (bool, bytes, bytearray, memoryview)):
        return value
    if isinstance(value, str):
        return str.__str__(value)  # the text of a subclass, such as numpy's or an enumeration's
    if isinstance(value, numbers.Integral):
        return operator.index(value)
    if isinstance(value, (numbers.Real, Decimal)):
        return _printed(value)
    if hasattr(value, "tolist"):
        few = math.prod(getattr(value, "shape", (1,))) <= MOST
        return value.tolist() if few else value
    if hasattr(type(value), "__index__"):
        return operator.index(value)
    if depth and isinstance(value, (Sequence, Iterator, KeysView, ValuesView)):
        return [plain(item, depth - 1) for item in islice(value, MOST)]
    return value


def _printed(value: Any) -> float:
    """A number as it prints: a 0.15 of 32 bits is meant to be 0.15, not 0.15000000596."""
    if isinstance(value, float):
        return float(value)
    try:
        return float(str(value))
    except ValueError:  # a fraction prints as one
        return float(value)
