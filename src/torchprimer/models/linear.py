"""One linear layer: a weight for each feature, and a bias.

What it teaches: least squares (Legendre 1805, Gauss 1809) if its output is taken as it is, logistic regression (Cox
1958) behind a sigmoid, softmax regression behind a softmax: the same layer, only the loss differs.
"""

import math
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

if TYPE_CHECKING:
    from torchprimer.datasets.meta import Meta
    from torchprimer.params import experiments as params


def build(experiment: "params.Linear", meta: "Meta", outputs: int) -> nn.Sequential:
    """Input of `meta.shape`, flattened -> `outputs` logits; with a bias if `experiment.bias` is true, or a span."""
    return nn.Sequential(nn.Flatten(), nn.Linear(math.prod(meta.shape), outputs, bias=bool(experiment.bias)))


def linear_layer(model: nn.Module) -> nn.Linear:
    """The linear layer of a model that was built here."""
    (layer,) = (module for module in model.modules() if isinstance(module, nn.Linear))
    return layer


@torch.no_grad()
def set_linear(layer: nn.Linear, weight: npt.ArrayLike, bias: float) -> None:
    """Gives a layer of one output a weight for each feature, and a bias if it has one, rounded to its dtype."""
    layer.weight.copy_(torch.from_numpy(np.reshape(np.asarray(weight, np.float64), (1, -1))))
    if layer.bias is not None:
        layer.bias.fill_(bias)
