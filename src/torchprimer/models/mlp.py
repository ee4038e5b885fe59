"""Multilayer perceptron: linear layers with a nonlinearity between them.

What it teaches: an image is a vector without neighbourhood; depth helps only because of the nonlinearity. Rumelhart,
Hinton, Williams 1986; ReLU: Nair, Hinton 2010.
"""

import math
from typing import TYPE_CHECKING

from torch import nn

if TYPE_CHECKING:
    from torchprimer.datasets.meta import Meta
    from torchprimer.params import experiments as params

ACTIVATIONS = {"relu": nn.ReLU, "sigmoid": nn.Sigmoid, "tanh": nn.Tanh, "none": nn.Identity}


def build(experiment: "params.MLP", meta: "Meta", outputs: int) -> nn.Sequential:
    """Input of `meta.shape`, flattened -> each width of `hidden` -> `outputs` logits."""
    width = math.prod(meta.shape)
    layers: list[nn.Module] = [nn.Flatten()]
    for hidden in experiment.hidden:
        layers.append(nn.Linear(width, hidden))
        if experiment.batch_norm:
            layers.append(nn.BatchNorm1d(hidden))
        layers.append(ACTIVATIONS[experiment.activation]())
        if experiment.dropout:
            layers.append(nn.Dropout(experiment.dropout))
        width = hidden
    return nn.Sequential(*layers, nn.Linear(width, outputs))
