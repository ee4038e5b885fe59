"""Highway network: each layer mixes its input with a transformation of it, by a gate that is learnt.

Srivastava, Greff, Schmidhuber 2015.
"""

import math
from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    from torchprimer.datasets.meta import Meta
    from torchprimer.params import experiments as params


class Highway(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.transform, self.gate = nn.Linear(width, width), nn.Linear(width, width)
        nn.init.constant_(self.gate.bias, -1)  # starts by carrying its input through

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        gate = torch.sigmoid(self.gate(inputs))
        return gate * torch.relu(self.transform(inputs)) + (1 - gate) * inputs


def build(experiment: "params.Highway", meta: "Meta", outputs: int) -> nn.Sequential:
    """Input of `meta.shape`, flattened -> `width` -> `depth` highway layers -> `outputs` logits."""
    layers = [Highway(experiment.width) for _ in range(experiment.depth)]
    inputs = math.prod(meta.shape)
    return nn.Sequential(
        nn.Flatten(), nn.Linear(inputs, experiment.width), *layers, nn.Linear(experiment.width, outputs)
    )
