"""Any classifier of torchvision by name, in two parts: `features` (all layers but the last) and `classifier`.

What it teaches: features learnt on one task transfer to another (Yosinski, Clune, Bengio, Lipson 2014). Fine-tuning
continues to train the whole network; with frozen features only the classifier is trained. Layers in `features` have
torchvision's names; its documentation cites the paper of each architecture.
"""

from collections import OrderedDict
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import nn

from torchprimer.errors import UserError, did_you_mean

if TYPE_CHECKING:
    from torchprimer.datasets.meta import Meta
    from torchprimer.params import experiments as params

HEADS = ("classifier", "fc", "heads", "head")  # names of the last layers in torchvision
SIZES = (32, 48, 64, 80, 96, 128, 160, 192, 224)  # pixels; the last one is enough for every architecture


class Torchvision(nn.Module):
    """Normalised images, float32 (N, C, H, W) -> logits (N, K); `head`: torchvision's name for `classifier`."""

    def __init__(
        self, architecture: str, head: str, features: nn.Module, classifier: nn.Module, min_input_size: int | None
    ) -> None:
        super().__init__()
        self.architecture, self.head, self.min_input_size = architecture, head, min_input_size
        self.features, self.classifier = features, classifier

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.classifier(self.features(self.prepare(images)))
        return logits

    def extract(self, images: torch.Tensor) -> torch.Tensor:
        """The inputs of the classifier, flattened: float32 (N, F)."""
        features: torch.Tensor = self.features(self.prepare(images))
        return features.flatten(1)

    def prepare(self, images: torch.Tensor) -> torch.Tensor:
        """Upscales to `min_input_size`, repeats a grey channel three times, stores channels last (faster)."""
        if self.min_input_size and images.shape[-1] < self.min_input_size:
            images = F.interpolate(images, (self.min_input_size, self.min_input_size), mode="bilinear")
        return images.expand(-1, 3, -1, -1).contiguous(memory_format=torch.channels_last)

    def map_key(self, key: str) -> str:
        """The key in this state_dict of a key in torchvision's."""
        return f"classifier{key.removeprefix(self.head)}" if key.startswith(f"{self.head}.") else f"features.{key}"

    def imagenet(self) -> tuple[dict[str, torch.Tensor], list[float], list[float]]:
        """torchvision's best weights, by its keys, and the mean and deviation of the pixels that they expect.

        Raises UserError if they are not in the cache of torch.hub and cannot be downloaded.
        """
        published = torchvision_models().get_model_weights(self.architecture).DEFAULT
        try:
            weights = published.get_state_dict(progress=False, check_hash=True, weights_only=True)
        except (OSError, RuntimeError) as error:  # no network (URLError), no disk; another checksum
            raise UserError(
                f"init_from: imagenet: weights of {self.architecture} cannot be downloaded ({error}): download "
                f"{published.url} elsewhere and put it into {Path(torch.hub.get_dir()) / 'checkpoints'}, or set "
                "init_from: scratch"
            ) from None
        if self.architecture in ("inception_v3", "googlenet"):  # trained in TensorFlow, on pixels from -1 to 1
            return weights, [0.5] * 3, [0.5] * 3
        pixels = published.transforms()
        return weights, pixels.mean, pixels.std


def build(experiment: "params.Torchvision", meta: "Meta", outputs: int) -> Torchvision:
    """The classifier `architecture` with new weights and `outputs` logits.

    `hidden` is None for torchvision's last layers, or the widths of an MLP that replaces them, `dropout` after each.
    Raises UserError if there is no such architecture, or the images are too small for it.
    """
    name, side = experiment.architecture, max(experiment.min_input_size or 0, meta.shape[-1])
    check_architecture(name)
    net: Any = _build_net(name, side, outputs)
    head = next(part for part in HEADS if hasattr(net, part))
    classifier = getattr(net, head)
    if name.startswith("squeezenet"):  # its classifier is a convolution: it needs a feature map
        net = nn.Sequential(OrderedDict(features=net.features))
        classifier.append(nn.Flatten())
    else:
        setattr(net, head, nn.Identity())
    model = Torchvision(name, head, net, classifier, experiment.min_input_size).eval()
    features = probe_features(model.features, name, side)
    if experiment.hidden is not None:
        if name.startswith(("vgg", "alexnet")):
            pooled = net.avgpool.output_size[0]
            if probe_features(net.features, name, side).shape[-1] < pooled:  # pooling would repeat each value
                net.avgpool = nn.Identity()
                features = probe_features(model.features, name, side)
        model.classifier = _mlp(features.shape, experiment.hidden, experiment.dropout, outputs)
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in PyTorch's own stub
    return model.train()


def check_architecture(name: str) -> None:
    """Raises UserError, with the closest name, unless torchvision has a classifier of this name."""
    module = torchvision_models()
    names = module.list_models(module=module)  # without segmentation, detection and video
    if name not in names:
        guess, allowed = did_you_mean(name, names), ", ".join(names)
        raise UserError(f"architecture: {name!r} is not a classifier of torchvision.{guess} One of: {allowed}")


def torchvision_models() -> ModuleType:
    """`torchvision.models`, also if torchvision was built for CUDA and PyTorch was not.

    Such a pair cannot load the compiled part of torchvision, and the import needs two operators of it. No classifier
    uses them, so declaring them is enough. If the compiled part loads, nothing is declared.
    """
    if not hasattr(torch.ops.torchvision, "nms") and not _compiled_part_loads():
        schema = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
        for operator in ("nms", "qnms"):
            torch.library.define(f"torchvision::{operator}", schema)
    import torchvision.models

    return torchvision.models  # type: ignore[no-any-return]


def _compiled_part_loads() -> bool:
    try:
        for library in Path(str(metadata.distribution("torchvision").locate_file("torchvision"))).glob("_C.*"):
            torch.ops.load_library(str(library))
    except OSError:
        return False
    return True


def _build_net(name: str, side: int, outputs: int) -> nn.Module:
    """The network of torchvision with `outputs` classes, without auxiliary classifiers."""
    settings: dict[str, Any] = {"num_classes": outputs}
    if name in ("inception_v3", "googlenet"):
        settings |= {"aux_logits": False, "init_weights": False}  # torchvision's initialisation takes half a minute
    elif name.startswith("vit_"):
        settings["image_size"] = side
    elif name.startswith("maxvit_"):
        settings["input_size"] = (side, side)
    try:
        net: nn.Module = torchvision_models().get_model(name, weights=None, **settings)
    except (AssertionError, ValueError) as error:  # transformers split images into patches
        text = f"architecture {name}: images of {side} x {side} pixels are too small ({error})"
        raise UserError(f"{text}; set min_input_size: {SIZES[-1]}") from None
    return net


def probe_features(features: nn.Module, name: str, side: int) -> torch.Tensor:
    """The output of `features` for one black image; raises UserError, with a sufficient size, if it is too small."""
    with torch.no_grad():
        for size in (side, *(larger for larger in SIZES if larger > side)):
            try:
                output: torch.Tensor = features(torch.zeros(1, 3, size, size))
            except (RuntimeError, AssertionError):  # a kernel or window larger than the feature map
                continue
            if size == side:
                return output
            break
    raise UserError(
        f"architecture {name}: images of {side} x {side} pixels are too small; set min_input_size: {size} (images are "
        "upscaled in the model), or a larger image_size"
    )


def _mlp(shape: torch.Size, hidden: list[int], dropout: float, outputs: int) -> nn.Sequential:
    """Layers as in models/mlp.py, for features of `shape`; feature maps are average-pooled first."""
    layers: list[nn.Module] = [nn.AdaptiveAvgPool2d(1), nn.Flatten()] if len(shape) == 4 else [nn.Flatten()]
    width = shape[1]
    for size in hidden:
        layers += [nn.Linear(width, size), nn.ReLU()]
        if dropout:
            layers.append(nn.Dropout(dropout))
        width = size
    return nn.Sequential(*layers, nn.Linear(width, outputs))
