"""One linear layer: a weight for each feature, and a bias.

What it teaches: linear regression (least squares: Legendre 1805, Gauss 1809), logistic regression (Cox 1958) with a
sigmoid on the output, softmax regression with a softmax: the layer is the same, only the loss differs.
"""

import math
from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    import numpy.typing as npt

    from torchprimer.datasets.meta import Meta
    from torchprimer.datasets.storage import SplitArrays
    from torchprimer.params import experiments as params


def build(experiment: "params.Linear", meta: "Meta", outputs: int) -> nn.Sequential:
    """Input of `meta.shape`, flattened -> `outputs` logits; with a bias if `experiment.bias` is true, or a grid."""
    return nn.Sequential(nn.Flatten(), nn.Linear(math.prod(meta.shape), outputs, bias=bool(experiment.bias)))


def epoch_probe(model: nn.Module, meta: "Meta", _train_split: "SplitArrays") -> dict[str, float]:
    """Weight and bias after an epoch, if the model has one feature and one output."""
    layer = linear_layer(model)
    if meta.shape != [1] or layer.out_features != 1:
        return {}
    return {name: value.item() for name, value in layer.named_parameters()}


def linear_layer(model: nn.Module) -> nn.Linear:
    """The linear layer of a model of this family."""
    (layer,) = (module for module in model.modules() if isinstance(module, nn.Linear))
    return layer


@torch.no_grad()
def set_linear(layer: nn.Linear, weight: "npt.ArrayLike", bias: float) -> None:
    """Sets the weights of a layer with one output, and its bias if it has one, rounded to its dtype."""
    layer.weight.copy_(torch.as_tensor(weight, dtype=torch.float64).reshape(1, -1))
    if layer.bias is not None:
        layer.bias.fill_(bias)
