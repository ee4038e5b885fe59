"""Any classifier of torchvision by its name, in two parts: `features`, what it sees, and `classifier`, what it says.

What it teaches: features learnt on one task serve another (Yosinski, Clune, Bengio, Lipson 2014). Fine-tuning trains
all of the net on from there; frozen features leave only the classifier to train. In `features` the layers have
torchvision's own names; where each architecture comes from, torchvision's documentation says.
"""

import importlib.util
from collections import OrderedDict
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

HEADS = ("classifier", "fc", "heads", "head")  # what the architectures call their last layers
SIZES = (32, 48, 64, 80, 96, 128, 160, 192, 224)  # the last suits every architecture


class Torchvision(nn.Module):
    """Normalised images, float32, N x C x H x W -> logits, N x K.

    Attributes:
        architecture: torchvision's name.
        head: its name for what is `classifier` here.
        resize: side in pixels to which smaller images are scaled first; None: they stay as they are.
    """

    def __init__(
        self, architecture: str, head: str, features: nn.Module, classifier: nn.Module, resize: int | None
    ) -> None:
        super().__init__()
        self.architecture, self.head, self.resize = architecture, head, resize
        self.features, self.classifier = features, classifier

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.classifier(self.features(self.prepared(images)))
        return logits

    def extract(self, images: torch.Tensor) -> torch.Tensor:
        """What the classifier gets to see of each image, as one row: float32, N x F."""
        features: torch.Tensor = self.features(self.prepared(images))
        return features.flatten(1)

    def prepared(self, images: torch.Tensor) -> torch.Tensor:
        """Scaled up to `resize`, grey ones with three equal channels, stored pixel by pixel: faster convolutions."""
        if self.resize and images.shape[-1] < self.resize:
            images = F.interpolate(images, (self.resize, self.resize), mode="bilinear")
        return images.expand(-1, 3, -1, -1).contiguous(memory_format=torch.channels_last)

    def map_key(self, key: str) -> str:
        """Where a tensor of torchvision's own state_dict is in this one."""
        return f"classifier{key.removeprefix(self.head)}" if key.startswith(f"{self.head}.") else f"features.{key}"

    def imagenet(self) -> tuple[dict[str, torch.Tensor], list[float], list[float]]:
        """torchvision's best weights, under its names; mean and deviation of the pixels that they expect.

        Raises:
            UserError: they are neither in torch.hub's cache nor to be fetched.
        """
        found = torchvision_models().get_model_weights(self.architecture).DEFAULT
        try:
            weights = found.get_state_dict(progress=False, check_hash=True, weights_only=True)
        except (OSError, RuntimeError) as error:  # no network (URLError), no disk; another checksum
            raise UserError(
                f"init_from: imagenet: weights of {self.architecture} cannot be fetched ({error}): download {found.url} "
                f"elsewhere and put it into {Path(torch.hub.get_dir()) / 'checkpoints'}, or set init_from: scratch"
            ) from None
        if self.architecture in ("inception_v3", "googlenet"):  # trained in TensorFlow, on pixels from -1 to 1
            return weights, [0.5] * 3, [0.5] * 3
        pixels = found.transforms()
        return weights, pixels.mean, pixels.std


def build(experiment: "params.Torchvision", meta: "Meta", outputs: int) -> Torchvision:
    """The classifier `architecture` with fresh weights and `outputs` logits.

    Args:
        experiment: architecture; resize; hidden: null for torchvision's own last layers, or the widths of an MLP that
            takes their place, with `dropout` behind each.
        meta: of the images: shape (C, H, W).

    Raises:
        UserError: there is no such architecture, or its layers use up images of this size.
    """
    name, side = experiment.architecture, max(experiment.min_input_size or 0, meta.shape[-1])
    check_architecture(name)
    net: Any = _fresh(name, side, outputs)
    head = next(part for part in HEADS if hasattr(net, part))
    classifier = getattr(net, head)
    if name.startswith("squeezenet"):  # its classifier is a convolution, which wants the features as a map
        net = nn.Sequential(OrderedDict(features=net.features))
        classifier.append(nn.Flatten())
    else:
        setattr(net, head, nn.Identity())
    model = Torchvision(name, head, net, classifier, experiment.min_input_size).eval()
    seen = _seen(model.features, name, side)
    if experiment.hidden is not None:
        if (
            name.startswith(("vgg", "alexnet"))
            and _seen(net.features, name, side).shape[-1] < net.avgpool.output_size[0]
        ):
            net.avgpool = nn.Identity()  # it would only repeat the same values (VGG at 32 pixels: 49 times)
            seen = _seen(model.features, name, side)
        model.classifier = _mlp(seen.shape, experiment.hidden, experiment.dropout, outputs)
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in PyTorch's own stub
    return model.train()


def check_architecture(name: str) -> None:
    """Complains unless torchvision has a classifier of this name.

    Raises:
        UserError: with the closest name.
    """
    zoo = torchvision_models()
    known = zoo.list_models(module=zoo)  # of the module itself: without segmentation, detection and video
    if name not in known:
        raise UserError(
            f"architecture: {name!r} is none of torchvision's classifiers.{did_you_mean(name, known)} There are: "
            f"{', '.join(known)}"
        )


def torchvision_models() -> ModuleType:
    """`torchvision.models`, also where torchvision was built for CUDA and PyTorch was not.

    Such a pair cannot load torchvision's compiled part, and its import asks for two operators of it. No classifier
    uses them: to declare them is enough. Where the pair fits, nothing is declared.
    """
    if not hasattr(torch.ops.torchvision, "nms") and not _compiled_part_loads():
        for operator in ("nms", "qnms"):
            torch.library.define(
                f"torchvision::{operator}", "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
            )
    import torchvision.models

    return torchvision.models  # type: ignore[no-any-return]


def _compiled_part_loads() -> bool:
    found = importlib.util.find_spec("torchvision")
    if found is None or found.origin is None:
        return True  # not installed: the import says so
    try:
        for library in Path(found.origin).parent.glob("_C.*"):
            torch.ops.load_library(str(library))
    except OSError:
        return False
    return True


def _fresh(name: str, side: int, outputs: int) -> nn.Module:
    """torchvision's net with `outputs` classes and without auxiliary classifiers."""
    settings: dict[str, Any] = {"num_classes": outputs}
    if name in ("inception_v3", "googlenet"):
        settings |= {"aux_logits": False, "init_weights": False}  # its own initialisation takes half a minute
    elif name.startswith("vit_"):
        settings["image_size"] = side
    elif name.startswith("maxvit_"):
        settings["input_size"] = (side, side)
    try:
        net: nn.Module = torchvision_models().get_model(name, weights=None, **settings)
    except (AssertionError, ValueError) as error:  # transformers cut images into patches
        raise UserError(f"architecture {name}: {_too_small(side)} ({error}); set min_input_size: {SIZES[-1]}") from None
    return net


def _seen(features: nn.Module, name: str, side: int) -> torch.Tensor:
    """What `features` makes of one black image.

    Raises:
        UserError: its layers use up an image of this size; the message names a size that is enough.
    """
    with torch.no_grad():
        for size in (side, *(larger for larger in SIZES if larger > side)):
            try:
                seen: torch.Tensor = features(torch.zeros(1, 3, size, size))
            except (RuntimeError, AssertionError):  # a kernel or a window larger than what is left
                continue
            if size == side:
                return seen
            break
    raise UserError(
        f"architecture {name}: {_too_small(side)}; set min_input_size: {size} (they are scaled inside the model), or a larger "
        "image_size"
    )


def _too_small(side: int) -> str:
    return f"images of {side} x {side} pixels do not suit it"


def _mlp(shape: torch.Size, hidden: list[int], dropout: float, outputs: int) -> nn.Sequential:
    """Layers as in models/mlp.py, for features of `shape`; a map that its net has not pooled yet is."""
    layers: list[nn.Module] = [nn.Flatten()]
    width = shape[1]
    if len(shape) == 4:
        layers.insert(0, nn.AdaptiveAvgPool2d(1))
    for size in hidden:
        layers += [nn.Linear(width, size), nn.ReLU()]
        if dropout:
            layers.append(nn.Dropout(dropout))
        width = size
    return nn.Sequential(*layers, nn.Linear(width, outputs))
