"""Multilayer perceptron: linear layers with a nonlinearity between them.

What it teaches: it sees an image as a row of numbers and knows nothing of neighbours; depth helps only because of the
nonlinearity. Rumelhart, Hinton, Williams 1986; ReLU: Nair, Hinton 2010.
"""

import math
from typing import Any

from torch import nn

ACTIVATIONS = {"relu": nn.ReLU, "sigmoid": nn.Sigmoid, "tanh": nn.Tanh, "none": nn.Identity}


def build(params: dict[str, Any], data: dict[str, Any], outputs: int) -> nn.Sequential:
    """Input of `data["shape"]`, flattened -> each width of `hidden` -> `outputs` logits."""
    width = math.prod(data["shape"])
    layers: list[nn.Module] = [nn.Flatten()]
    for hidden in params["hidden"]:
        layers.append(nn.Linear(width, hidden))
        if params["batch_norm"]:
            layers.append(nn.BatchNorm1d(hidden))
        layers.append(ACTIVATIONS[params["activation"]]())
        if params["dropout"]:
            layers.append(nn.Dropout(params["dropout"]))
        width = hidden
    return nn.Sequential(*layers, nn.Linear(width, outputs))
