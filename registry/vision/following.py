"""Where the values of a network's tensors come from: places on the photo, followed through a forward pass.

A tensor's shape does not tell how it lies over the photo: networks cut photos into windows, stack them in the batch,
reorder tokens, and compute matrices that are no maps at all. So every operation of the pass is watched, and what it
does to values is done to their places: what moves values moves places, a convolution takes the middle of its window,
a mean the mean of places, and where two values meet, the place is that of the one that comes from the smaller part of
the photo (a token, and not the mean of all tokens that it attends to).
"""

from __future__ import annotations

import contextlib
import logging
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only
from torch.utils.weak import WeakIdKeyDictionary

from .places import Place, filled, nowhere, of_photos, sharpest

logger = logging.getLogger("timmscope.models")


class Follow(TorchDispatchMode):
    """Follows places through all that is computed while it is active; on the CPU, without gradients.

    Attributes:
        unknown: Operations that could not be followed; what comes of them has no known place.
    """

    def __init__(self, images: Tensor) -> None:
        super().__init__()
        self._places: Any = WeakIdKeyDictionary()
        self._places[images] = of_photos(images)
        self.unknown: set[str] = set()

    def place(self, tensor: Tensor) -> Place | None:
        """Where a tensor's values come from; None when it does not depend on the photo, or cannot be followed."""
        return self._places.get(tensor)

    def lost(self, tensor: Tensor) -> bool:
        """Whether a tensor comes of an operation that could not be followed."""
        return tensor in self._places and self._places[tensor] is None

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        output = func(*args, **(kwargs or {}))
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        if any(tensor in self._places for tensor in tensors):
            self._follow(func, args, kwargs or {}, tensors, output)
        return output

    def _follow(
        self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], tensors: list[Tensor], output: Any
    ) -> None:
        outputs = [output] if isinstance(output, Tensor) else [o for o in tree_leaves(output) if isinstance(o, Tensor)]
        name = func.overloadpacket.__name__.rstrip("_") if func.overloadpacket.__name__ != "_" else ""
        found: Any = None
        if not any(map(self.lost, tensors)):
            try:
                found = _rule(name, func)(_Call(self, func, args, kwargs, tensors, outputs))
            except Exception as error:  # a network may do anything; what is not understood is not shown
                logger.debug("places are not followed through %s: %s", name, error)
                self.unknown.add(name)
        places = found if isinstance(found, list) else [found]
        for tensor, place in zip(outputs, [*places, *[None] * (len(outputs) - len(places))]):
            fits = place is not None and place.shape == tensor.shape
            self._places[tensor] = place if fits else None
        if func._schema.is_mutable:
            for tensor in outputs:
                if tensor._base is not None:  # written through a view: what it is a part of is not known any more
                    self._places[tensor._base] = None


class _Call(NamedTuple):
    """One operation that is followed; `tensors` are those among its arguments."""

    follow: Follow
    func: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    tensors: list[Tensor]
    outputs: list[Tensor]

    def argument(self, name: str, default: Any = None) -> Any:
        """An argument by its name in the operation's schema."""
        for position, declared in enumerate(self.func._schema.arguments):
            if declared.name == name:
                if position < len(self.args):
                    return self.args[position]
                return self.kwargs.get(name, declared.default_value if declared.has_default_value() else default)
        return default

    def known(self) -> list[Place]:
        """The places of its arguments that have some."""
        places = map(self.follow.place, self.tensors)
        return [place for place in places if place is not None]

    @property
    def shape(self) -> torch.Size:
        """Shape of the (first) output."""
        return self.outputs[0].shape


def _keep(call: _Call) -> Place:
    """Values change, places stay: activations, norms, sums of several tensors."""
    first, *others = call.known()
    if not others and first.shape == call.shape:
        return first
    return sharpest([first, *others]).expand(call.shape)


def _as_it_is(call: _Call) -> Place:
    """A change of how a tensor lies in memory, not of what it is."""
    (place,) = call.known()
    if place.shape != call.shape:
        raise LookupError("strides that show other values")
    return place


def _move(call: _Call) -> list[Place]:
    """Values are moved, and their places with them."""
    tables: list[Tensor] = []

    def index(tensor: Tensor) -> Tensor:
        place = call.follow.place(tensor)
        if place is None:
            return torch.zeros(()).double().expand(tensor.shape) if tensor.is_floating_point() else tensor
        before = sum(table.shape[1] for table in tables)
        tables.append(place.table)
        return (place.tight().index + before).expand(place.shape) if before else place.index

    args, kwargs = tree_map_only(Tensor, index, (call.args, call.kwargs))
    name = call.func.overloadpacket.__name__
    if name in ("view", "_unsafe_view"):
        found: Any = _reshaped(args[0], call.shape)
    elif name == "constant_pad_nd":
        found = F.pad(args[0], args[1])
    else:
        found = call.func(*args, **kwargs)
    table, pairs = torch.cat(tables, 1), any(place.pairs for place in call.known())
    several = [found] if isinstance(found, Tensor) else found
    return [Place(table, part, pairs).tight().expand(part.shape) for part in several]


def _reshaped(values: Tensor, shape: Sequence[int]) -> Tensor:
    """Places are expanded and cannot be viewed as values are; the units of a place need not be copied for it."""
    if len(shape) > 1 and values.ndim > 1 and values.shape[-1] == shape[-1] and values.stride(-1) == 0:
        return _reshaped(values[..., 0], shape[:-1])[..., None].expand(*shape)
    return values.reshape(shape)


def _mean(call: _Call) -> Place:
    """A mean, a sum or an extreme over dimensions."""
    (place,) = call.known()
    axes = call.argument("dim")
    axes = list(range(place.index.ndim)) if axes is None or axes == [] else axes
    keep = bool(call.argument("keepdim", False))
    return place.tight().mean(lambda values: values.mean(axes, keepdim=keep)).expand(call.shape)


def _resample(call: _Call) -> Place:
    """A map of another size: the places between and beyond those of its cells."""
    mass, y, x, square = _channel_mean(call.known()[0]).values
    spread = square - y**2 - x**2
    for axis, size in zip((-2, -1), call.shape[-2:]):
        length = y.shape[axis]
        at = (torch.arange(size).double() + 0.5) * length / size - 0.5
        low = at.long().clamp(max=max(0, length - 2))
        share = (at - low).view(-1, *[1] * (-1 - axis))
        y, x = (torch.lerp(v.index_select(axis, low), v.index_select(axis, (low + 1) % length), share) for v in (y, x))
        nearest = at.round().long().clamp(0, length - 1)
        mass, spread = (v.index_select(axis, nearest) for v in (mass, spread))
    return Place.of(torch.stack([mass, y, x, spread + y**2 + x**2])).expand(call.shape)


def _window(call: _Call) -> Place:
    """A convolution or pooling: the middle of its window; the mean would be drawn inwards where there is padding."""
    (place, *_), weight = call.known(), call.argument("weight")
    kernel = _pair(call.argument("kernel_size")) if weight is None else list(weight.shape[2:])
    stride, padding = _pair(call.argument("stride")) or kernel, _pair(call.argument("padding", 0))
    dilation = _pair(call.argument("dilation", 1)) or [1] * len(kernel)
    transposed = bool(call.argument("transposed", False))
    extra = list(call.argument("output_padding", ())) if transposed else [0] * len(kernel)
    size, tight = place.shape[2:], place.tight()
    channels = tight.shape[1]  # pooling keeps channels apart, a convolution sees them all
    place = tight.expand([len(place.index), channels, *size]) if weight is None else _channel_mean(place)
    middle = torch.zeros(1, 1, *kernel).double()
    inner: list[Any] = [slice((length - 1) // 2, length // 2 + 1) for length in kernel]
    # of a transposed one the windows lie in the output; tokens in one line are no window of the photo
    middle[(..., *([] if transposed or 1 in size else inner))] = 1

    def summed(values: Tensor) -> Tensor:
        each = values.flatten(0, 1)[:, None]
        if call.argument("ceil_mode", False):
            each = F.pad(each, [0, kernel[1], 0, kernel[0]])
        each = torch.ops.aten.convolution(each, middle, None, stride, padding, dilation, transposed, extra, 1)
        return each[(..., *map(slice, call.shape[2:]))][:, 0].unflatten(0, values.shape[:2])

    return place.mean(summed).expand(call.shape)


def _channel_mean(place: Place) -> Place:
    """Places of the mean over channels, [n, 1, ...]."""
    whole = [len(place.index), 1, *place.shape[2:]]
    return place.tight().mean(lambda values: values.mean(1, keepdim=True)).expand(whole)


def _fold(call: _Call) -> Place:
    """Windows are added up where they overlap: the mean of the places that meet."""
    (place,) = call.known()
    names = ("output_size", "kernel_size", "dilation", "padding", "stride")
    size, kernel, *how = (call.argument(name) for name in names)
    area = math.prod(kernel)
    windows = place.move(lambda index: index.unflatten(1, (-1, area))).tight().mean(lambda values: values.mean(1))
    windows = windows.expand([len(place.index), area, place.shape[-1]])
    return windows.mean(lambda values: F.fold(values, size, kernel, *how)).expand(call.shape)


def _layer_norm(call: _Call) -> Place:
    """A norm of a single value is the same for every photo."""
    return nowhere(call.shape) if math.prod(call.argument("normalized_shape")) == 1 else _keep(call)


def _pair(value: Any) -> list[int]:
    return [value] * 2 if isinstance(value, int) else list(value or ())


def _product(call: _Call) -> Place:
    """A product of matrices."""
    first, second = call.args[-2:]
    return _matrix(call.follow.place(first), call.follow.place(second)).expand(call.shape)


def _attention(call: _Call) -> Place:
    """softmax(Q K^T) V."""
    query, key, value = (call.follow.place(tensor) for tensor in call.args[:3])
    weights = _matrix(query, key and key.move(lambda index: index.transpose(-2, -1)))
    return _matrix(weights, value).expand(call.shape)


def _matrix(first: Place | None, second: Place | None) -> Place:
    """A B: row i of A meets column k of B, and places are those of the side that the sum leaves as they are.

    Where it leaves both, as in Q K^T, the rows' are taken, so that attention gives a query what it looks for.
    """
    if first is None or second is None:
        return _rows(first) if first is not None else _columns(second)  # type: ignore[arg-type]
    first, second = first.tight(), second.tight()
    rows, columns = _rows(first), _columns(second)
    rows_blur, columns_blur = first.shape[-1] > 1, second.shape[-2] > 1
    if rows_blur and columns_blur:
        return sharpest([rows, columns])
    if rows_blur or columns_blur:
        return filled(columns, [rows]) if rows_blur else filled(rows, [columns])
    rows_vary, columns_vary = rows.shape[-2] > 1, columns.shape[-1] > 1
    return replace(rows if rows_vary or not columns_vary else columns, pairs=rows_vary and columns_vary)


def _rows(place: Place) -> Place:
    return replace(place.tight().mean(lambda values: values.mean(-1, keepdim=True)), pairs=False)


def _columns(place: Place) -> Place:
    return replace(place.tight().mean(lambda values: values.mean(-2, keepdim=True)), pairs=False)


def _halves(call: _Call) -> Place:
    """A gated linear unit: one half of the values meets the other."""
    (place,) = call.known()
    axis = call.argument("dim", -1)
    return sharpest([replace(place, index=half) for half in place.index.chunk(2, axis)]).expand(call.shape)


def _features(call: _Call) -> Place:
    """What mixes the last dimension only: linear layers, and recurrent ones step by step."""
    return call.known()[0].tight().mean(lambda values: values.mean(-1, keepdim=True)).expand(call.shape)


_RULES: dict[Callable[[_Call], Any], str] = {
    _move: "view _unsafe_view reshape permute transpose t expand slice select unsqueeze squeeze split split_with_sizes "
    "chunk unbind narrow cat stack roll flip rot90 index index_select gather constant_pad_nd reflection_pad2d "
    "replication_pad2d im2col unfold pixel_shuffle pixel_unshuffle channel_shuffle repeat repeat_interleave diagonal",
    _keep: "clone contiguous detach alias lift_fresh _to_copy copy native_batch_norm "
    "_native_batch_norm_legit _native_batch_norm_legit_no_training native_group_norm _fused_rms_norm _softmax "
    "_safe_softmax _log_softmax native_dropout dropout cumsum where masked_fill hardswish hardsigmoid hardtanh relu6 "
    "mish softplus leaky_relu elu threshold log_sigmoid_forward prelu _prelu_kernel rrelu_with_noise",
    _mean: "mean sum amax amin max min std var var_mean logsumexp linalg_vector_norm norm",
    _resample: "_adaptive_avg_pool2d upsample_nearest2d _upsample_nearest_exact2d upsample_bilinear2d "
    "upsample_bicubic2d _upsample_bilinear2d_aa _upsample_bicubic2d_aa",
    _fold: "col2im",
    _layer_norm: "native_layer_norm",
    _window: "convolution max_pool2d_with_indices avg_pool2d",
    _product: "mm bmm addmm baddbmm",
    _halves: "glu",
    _as_it_is: "as_strided",
    _features: "linear mkldnn_rnn_layer",
}
_BY_NAME = {name: rule for rule, names in _RULES.items() for name in names.split()}


def _rule(name: str, func: Any) -> Callable[[_Call], Any]:
    """How places go through an operation."""
    if name.startswith("_scaled_dot_product"):
        return _attention
    if name in _BY_NAME:
        return _BY_NAME[name]
    if torch.Tag.pointwise in func.tags:
        return _keep
    raise LookupError(f"no rule for {name}")


@contextlib.contextmanager
def followed(images: Tensor) -> Iterator[Follow]:
    """Follow the places of images, [n, channels, height, width] on the CPU, through what is computed in the block."""
    with torch.no_grad(), Follow(images) as follow:
        yield follow
