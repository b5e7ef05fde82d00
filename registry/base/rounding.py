"""What "the same" means among values that a network computed: equal but for their last bits.

float32 rounds every sum, and the order of a sum depends on the batch, the threads, the memory layout and the processor.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import torch

# Units in the last place of the largest value, beyond which two values differ. Measured on the CPU with seven networks
# and five photos (batches of 1 to 8, 1 and 2 threads, two memory layouts): features and logits of one photo differ by
# 0 to 16 units, in one case by 280 (a grey photo, whose activations nearly cancel). One grey level in one pixel moves
# the features by 99 in the median; by less than 32 in a fifth of the cases, where no float32 can tell the photos apart.
UNITS = 32


def limit(magnitude: Any) -> Any:
    """The largest difference that rounding explains between two computations of a value.

    Args:
        magnitude: The largest magnitude that entered the sums: where a mean is subtracted, that of the values before.
            A number, or an array of them.
    """
    return UNITS * float(np.finfo(np.float32).eps) * magnitude


def same(one: Any, other: Any) -> np.ndarray:
    """Which vectors are the same but for rounding: bool [...], by the Euclidean norm along the last axis.

    Args:
        one: Array or tensor [..., d].
        other: The same, or what broadcasts to it.
    """
    one, other = _floats(one), _floats(other)
    norms = np.maximum(np.linalg.norm(one, axis=-1), np.linalg.norm(other, axis=-1))
    return np.linalg.norm(one - other, axis=-1) <= limit(norms)


def constant(values: Any, magnitude: float | None = None) -> bool:
    """Whether all values are the same but for rounding, such as those of a map.

    Args:
        values: Array or tensor of any shape, not empty.
        magnitude: As for `limit`; None takes the largest of the values.
    """
    values = _floats(values)
    return bool(np.ptp(values) <= limit(np.abs(values).max() if magnitude is None else magnitude))


def conditions(device: torch.device) -> dict[str, Any]:
    """What the last bits depend on besides the libraries, by name: where these are others, so may be the bits."""
    import torch

    cuda = device.type == "cuda"
    return {
        "device": str(device),
        # sums on the CPU are split by threads and by the width of its vector instructions
        "threads": torch.get_num_threads(),
        "processor": torch.cuda.get_device_name(device) if cuda else torch.backends.cpu.get_cpu_capability(),
        "precision": torch.get_float32_matmul_precision(),  # of matrix products, the program's choice as the threads
    }


def _floats(values: Any) -> np.ndarray:
    """Values as floats of the precision that they have; not copied where they are, since a large set has many."""
    array = np.asarray(values.detach().float().cpu() if hasattr(values, "detach") else values)
    return array if array.dtype.kind == "f" else array.astype(np.float64)
