"""Generative adversarial networks: a generator maps noise to images, a discriminator tells them from real ones.

What it teaches: generating images, with a loss that is itself a trained network. Dense: Goodfellow et al.
2014; convolutional (DCGAN): Radford, Metz, Chintala 2015.
"""

import math
from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from torch import nn

from torchprimer.errors import UserError

if TYPE_CHECKING:
    from torchprimer.datasets.meta import Meta
    from torchprimer.params import experiments as params

NORMALIZED_INPUT = False  # the input is noise


class GAN(nn.Module):
    """Both networks; as a model it is the generator: noise (N, Z) -> images (N, C, H, W), float, 0..1.

    Attributes:
        generator: noise (N, Z) -> images (N, C, H, W), -1..1.
        discriminator: such images -> logits (N, 1), high for real ones.
        latent_dim: Z, length of the noise vector.
    """

    def __init__(self, generator: nn.Module, discriminator: nn.Module, latent_dim: int) -> None:
        super().__init__()
        self.generator, self.discriminator, self.latent_dim = generator, discriminator, latent_dim

    def forward(self, noise: torch.Tensor) -> torch.Tensor:
        images: torch.Tensor = (self.generator(noise) + 1) / 2
        return images

    def training_pass(self, images: torch.Tensor) -> torch.Tensor:
        """Both networks on a batch of uint8 images: the layers that a training step evaluates."""
        noise = torch.randn(len(images), self.latent_dim, device=images.device)
        logits: torch.Tensor = self.discriminator(scaled(images)) + self.discriminator(self.generator(noise))
        return logits

    def noise(self, count: int, seed: int) -> torch.Tensor:
        """Standard normal, shape (count, Z), on the CPU; independent of the global random state."""
        return torch.randn(count, self.latent_dim, generator=torch.Generator().manual_seed(seed))

    @torch.no_grad()
    def images(self, noise: torch.Tensor) -> torch.Tensor:
        """uint8 images (N, C, H, W) on the CPU, in eval mode: each is independent of the others."""
        was_training = self.training
        self.eval()
        device = next(self.parameters()).device
        batches = [(255 * self(batch.to(device))).round().to(torch.uint8).cpu() for batch in noise.split(500)]
        self.train(was_training)
        return torch.cat(batches)


def scaled(images: torch.Tensor) -> torch.Tensor:
    """uint8 -> float32, 0..255 -> -1..1, the generator's range (tanh)."""
    return images.float() / 127.5 - 1


def build(experiment: "params.GAN", meta: "Meta", _outputs: int) -> GAN:
    """Both networks for images of `meta.shape` (C, H, W).

    `generator` and `discriminator` are the widths of their hidden layers; with architecture convolutional numbers of
    channels, each of a layer that doubles or halves the image: UserError if its size cannot be halved that often.
    """
    networks = {"convolutional": _convolutional, "dense": _dense}[experiment.architecture]
    noise, up, down = experiment.latent_dim, experiment.generator, experiment.discriminator
    return GAN(*networks(noise, up, down, tuple(meta.shape)), noise)


def _dense(noise: int, up: list[int], down: list[int], shape: tuple[int, ...]) -> tuple[nn.Module, nn.Module]:
    pixels = math.prod(shape)
    layers: list[nn.Module] = []
    for before, after in pairwise([noise, *up]):
        layers += [nn.Linear(before, after), nn.ReLU()]
    generator = nn.Sequential(*layers, nn.Linear(up[-1], pixels), nn.Tanh(), nn.Unflatten(1, shape))

    layers = [nn.Flatten()]
    for before, after in pairwise([pixels, *down]):
        layers += [nn.Linear(before, after), nn.LeakyReLU(0.2)]
    return generator, nn.Sequential(*layers, nn.Linear(down[-1], 1))


def _convolutional(noise: int, up: list[int], down: list[int], shape: tuple[int, ...]) -> tuple[nn.Module, nn.Module]:
    """DCGAN: strides, no pooling; batch norm except in the generator's last and the discriminator's first layer."""
    channels, height, width = shape
    for key, times in (("generator", len(up)), ("discriminator", len(down))):
        if height % 2**times or width % 2**times:
            raise UserError(
                f"model gan, architecture convolutional: images of {height} x {width} pixels cannot be halved {times} "
                f"times; use fewer numbers under {key}, or an image_size that is a multiple of {2**times}"
            )
    small = (up[0], height >> len(up), width >> len(up))
    layers: list[nn.Module] = [nn.Linear(noise, math.prod(small), bias=False), nn.Unflatten(1, small)]
    layers += [nn.BatchNorm2d(up[0]), nn.ReLU()]
    for before, after in pairwise(up):
        layers += [nn.ConvTranspose2d(before, after, 4, 2, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
    generator = nn.Sequential(*layers, nn.ConvTranspose2d(up[-1], channels, 4, 2, 1), nn.Tanh())

    layers = [nn.Conv2d(channels, down[0], 4, 2, 1), nn.LeakyReLU(0.2)]
    for before, after in pairwise(down):
        layers += [nn.Conv2d(before, after, 4, 2, 1, bias=False), nn.BatchNorm2d(after), nn.LeakyReLU(0.2)]
    features = down[-1] * (height >> len(down)) * (width >> len(down))
    discriminator = nn.Sequential(*layers, nn.Flatten(), nn.Linear(features, 1))
    for layer in (*generator, *discriminator):
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(layer.weight, std=0.02)  # as in the paper
    return generator, discriminator
