"""Weight initialisation by name, in place of PyTorch's default.

What it teaches: with weights too small the signal vanishes on its way through the layers, too large and it explodes.
Xavier keeps its variance through linear layers (Glorot, Bengio 2010), Kaiming through ReLU (He, Zhang, Ren, Sun 2015).
"""

from collections.abc import Callable
from functools import partial

import torch
from torch import nn
from torch.nn.modules.conv import _ConvNd

SCHEMES: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "xavier": nn.init.xavier_uniform_,  # variance 2 / (fan_in + fan_out)
    "kaiming": partial(nn.init.kaiming_normal_, nonlinearity="relu"),  # variance 2 / fan_in
    "normal": partial(nn.init.normal_, std=0.01),
    "ones": nn.init.ones_,  # to study gradients
}


def initialize(net: nn.Module, scheme: str) -> None:
    """Initialises all linear and convolution layers again, from PyTorch's random state; biases become 0.

    `scheme`: one of SCHEMES, or `default`, which changes nothing.
    """
    if scheme == "default":
        return
    for layer in net.modules():
        if isinstance(layer, nn.Linear | _ConvNd):
            SCHEMES[scheme](layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
