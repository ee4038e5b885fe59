"""Autoencoder: a multilayer perceptron that reconstructs its input through a bottleneck of very few units.

What it teaches: which features of an image a network preserves in a latent vector of three numbers, without labels.
Hinton, Salakhutdinov 2006.
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
        """The latent vector of each image: shape (N, last width), any real numbers."""
        latents: torch.Tensor = self.encoder(images)
        return latents

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        reconstructions: torch.Tensor = self.decoder(self.encode(images))
        return reconstructions


def build(experiment: "params.Autoencoder", meta: "Meta", _outputs: int) -> Autoencoder:
    """Images of `meta.shape` (C, H, W) -> each width of `hidden`, down to the latent vector -> the same in reverse."""
    return Autoencoder([math.prod(meta.shape), *experiment.hidden], tuple(meta.shape))


def _layers(widths: list[int]) -> list[nn.Module]:
    """Linear layers with a ReLU between them, none after the last."""
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(widths):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return layers[:-1]
