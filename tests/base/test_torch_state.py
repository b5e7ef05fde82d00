"""New tensors are float32 in a block, whatever the program's default type is; all else is as torch makes it."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch
from torch import nn

from timmscope.registry.base.torch_state import apart, float32

BYTES, WHOLE, TRUTHS = torch.arange(256, dtype=torch.uint8), torch.arange(50), torch.tensor([True, False])


def drawn(make, *args, **options):
    return lambda: make(*args, generator=torch.Generator().manual_seed(3), **options)


def seeded(make):
    def made():
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return make().weight.detach()

    return made


CALLS = {
    "zeros": lambda: torch.zeros(2, 3),
    "size by name": drawn(torch.rand, size=(3,)),
    "randn": drawn(torch.randn, 5),
    "normal": drawn(torch.normal, 0.0, 2.0, (4,)),
    "normal around a tensor": drawn(torch.normal, torch.ones(3), 2.0),
    "linspace": lambda: torch.linspace(0, 1, 7),
    "arange of floats": lambda: torch.arange(0, 10, 0.1),
    "arange of whole numbers": lambda: torch.arange(4),
    "list of floats": lambda: torch.tensor([0.1, 0.2]),
    "list of whole numbers": lambda: torch.tensor([1]),
    "truth": lambda: torch.tensor(True),
    "array of doubles": lambda: torch.tensor(np.ones(3)),
    "shared array": lambda: torch.from_numpy(np.ones(3)),
    "full of a float": lambda: torch.full((2,), 0.1),
    "full of a whole number": lambda: torch.full((2,), 1),
    "eye": lambda: torch.eye(2),
    "frequencies": lambda: torch.fft.rfftfreq(9),
    "spectrum": lambda: torch.fft.rfft(torch.ones(4)),
    "window": lambda: torch.hann_window(6),
    "pixels / 255": lambda: BYTES / 255,
    "float * whole": lambda: 0.1 * WHOLE,
    "power": lambda: WHOLE**0.5,
    "exponential": lambda: (-WHOLE).exp(),
    "mean of whole numbers": lambda: WHOLE.sum() / len(WHOLE),
    "choice": lambda: torch.where(TRUTHS, WHOLE[:2], 0.5),
    "double()": lambda: WHOLE.double(),
    "to(float64)": lambda: WHOLE.to(torch.float64),
    "asked for": lambda: torch.zeros(2, dtype=torch.float64),
    "asked for half": lambda: torch.zeros(2, dtype=torch.float16) * 0.1,
    "joined doubles": lambda: torch.cat([WHOLE.double(), WHOLE.double()]),
    "joined": lambda: torch.cat([WHOLE, WHOLE]),
    "like another": lambda: torch.zeros_like(BYTES),
    "linear": seeded(lambda: nn.Linear(3, 2)),
    "convolution": seeded(lambda: nn.Conv2d(3, 2, 3)),
    "buffer": lambda: nn.BatchNorm2d(3).running_var,
    "one hot": lambda: nn.functional.one_hot(WHOLE),
}


@pytest.fixture(params=[torch.float64, torch.float16, torch.bfloat16], ids=str)
def default(request):
    before = torch.get_default_dtype()
    torch.set_default_dtype(request.param)
    yield request.param
    torch.set_default_dtype(before)


@pytest.mark.case(21)
def test_every_way_to_make_a_tensor_gives_what_it_gives_by_default(default):
    torch.set_default_dtype(torch.float32)
    expected = {name: call() for name, call in CALLS.items()}
    torch.set_default_dtype(default)
    with float32():
        found = {name: call() for name, call in CALLS.items()}
    for name, tensor in expected.items():
        assert found[name].dtype == tensor.dtype, name
        assert torch.equal(found[name], tensor), name


@pytest.mark.case(21)
def test_other_threads_and_the_program_keep_their_default_type(default):
    inside, seen = threading.Barrier(2, timeout=30), []

    def other():
        inside.wait()
        seen.append((torch.zeros(1).dtype, torch.get_default_dtype()))
        inside.wait()

    thread = threading.Thread(target=other)
    thread.start()
    with float32():
        inside.wait()
        assert torch.zeros(1).dtype == torch.float32
        inside.wait()
    thread.join()
    assert seen == [(default, default)]
    assert torch.zeros(1).dtype == default


def test_apart_returns_what_is_returned_and_raises_what_is_raised():
    assert apart(divmod, 7, 2) == (3, 1)
    with pytest.raises(ZeroDivisionError):
        apart(divmod, 7, 0)
    with torch.inference_mode(), torch.device("meta"):
        made = apart(torch.zeros, 2)
    assert not made.is_inference()
    assert made.device.type == "cpu"
