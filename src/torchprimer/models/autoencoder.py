"""Autoencoder: a multilayer perceptron that has to give back its input through a layer of very few numbers.

What it teaches: what a network must keep of an image if it may keep only three numbers; no classes are needed to learn
it. Hinton, Salakhutdinov 2006.
"""

import math
from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    from torchprimer.datasets.meta import Meta
    from torchprimer.params import experiments as params


class Autoencoder(nn.Module):
    """Normalised images (N, C, H, W) -> their reconstructions (N, C, H, W), 0..1 as pixel / 255."""

    def __init__(self, widths: list[int], shape: tuple[int, ...]) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Flatten(), *_layers(widths))
        self.decoder = nn.Sequential(*_layers(widths[::-1]), nn.Sigmoid(), nn.Unflatten(1, shape))

    def encode(self, images: torch.Tensor) -> torch.Tensor:
        """The code of each image: shape (N, last width), any real numbers."""
        codes: torch.Tensor = self.encoder(images)
        return codes

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        reconstructions: torch.Tensor = self.decoder(self.encode(images))
        return reconstructions


def build(experiment: "params.Autoencoder", meta: "Meta", _outputs: int) -> Autoencoder:
    """Images of `meta.shape` (C, H, W) -> each width of `hidden`, of which the last is the code -> back again."""
    shape = tuple(meta.shape)
    return Autoencoder([math.prod(shape), *experiment.hidden], shape)


def _layers(widths: list[int]) -> list[nn.Module]:
    """Linear layers with a ReLU between them, none after the last."""
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        layers += [nn.Linear(before, after), nn.ReLU()]
    return layers[:-1]
