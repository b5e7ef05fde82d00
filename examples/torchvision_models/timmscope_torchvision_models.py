"""Networks of torchvision: AlexNet with its 11 x 11 filters and 4096 features, and others."""

from contextlib import suppress
from functools import partial
from importlib import metadata
from pathlib import Path
from threading import Event, Thread
from urllib.request import Request, urlopen

from timmscope import ModelSource, ModelUnavailable, hookimpl

TIMMSCOPE_API = 1
NETWORKS = ("alexnet", "vgg16", "squeezenet1_1", "mnasnet1_0", "shufflenet_v2_x1_0")
PATIENCE = 1.5  # seconds for the first answer of the server that has the weights


def build(name: str):
    """The network with random weights, and its preprocessing as torchvision states it."""
    from torchvision.models import get_model, get_model_weights

    network, preset = get_model(name), get_model_weights(name).DEFAULT.transforms()
    (crop,), (resize,) = preset.crop_size, preset.resize_size
    config = {"interpolation": preset.interpolation.value, "crop_pct": crop / resize}
    config |= {"num_classes": 1000, "tag": "in1k"}  # ImageNet's classes, with their names
    network.pretrained_cfg = config | {"input_size": (3, crop, crop), "mean": preset.mean, "std": preset.std}
    return network


def weights(name: str):
    """Trained weights: from torch's cache, or downloaded; their hash is checked and no code in them is run."""
    from torch import hub
    from torchvision.models import get_model_weights

    url = get_model_weights(name).DEFAULT.url
    if not (Path(hub.get_dir()) / "checkpoints" / url.rpartition("/")[2]).exists() and not reachable(url):
        raise ModelUnavailable(f"torchvision_{name}: {url} cannot be reached. Weights 'random' need no network.")
    return hub.load_state_dict_from_url(url, map_location="cpu", progress=False, check_hash=True, weights_only=True)


def reachable(url: str) -> bool:
    """Whether the server answers in time. In a thread of its own, since looking up a host knows no time limit."""
    answered = Event()

    def ask():
        with suppress(OSError), urlopen(Request(url, method="HEAD"), timeout=PATIENCE):
            answered.set()

    Thread(target=ask, daemon=True).start()
    return answered.wait(PATIENCE)


@hookimpl
def register_model_sources(register):
    origin = f"torchvision {metadata.version('torchvision')}"
    for name in NETWORKS:
        register(ModelSource(f"torchvision_{name}", partial(weights, name), origin, build=partial(build, name)))
