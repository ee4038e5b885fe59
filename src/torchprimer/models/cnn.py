"""Convolutional network: blocks of convolution, ReLU and pooling, then linear layers.

What it teaches: the same small filter is applied everywhere, so few weights cover a whole image. LeCun, Bottou, Bengio,
Haffner 1998; batch norm: Ioffe, Szegedy 2015; dropout: Srivastava et al. 2014.
"""

from typing import TYPE_CHECKING

import torch
from torch import nn

from torchprimer.errors import UserError

if TYPE_CHECKING:
    from torchprimer.datasets.meta import Meta
    from torchprimer.params import experiments as params


class ChannelsLast(nn.Module):
    """Changes the memory format to channels last: up to twice as fast convolutions on CPUs and tensor cores."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.contiguous(memory_format=torch.channels_last)


def build(experiment: "params.CNN", meta: "Meta", outputs: int) -> nn.Sequential:
    """Images of `meta.shape` (C, H, W) -> a block for each of `channels`, a layer for each of `hidden`, `outputs`.

    Raises UserError if the images are too small for that many blocks.
    """
    channels, height, width = meta.shape
    layers: list[nn.Module] = [ChannelsLast()]
    if experiment.input_padding:  # repeats the edges: continues the background
        layers.append(nn.ReplicationPad2d(experiment.input_padding))
        height, width = height + 2 * experiment.input_padding, width + 2 * experiment.input_padding
    for block, filters in enumerate(experiment.channels, 1):
        layers.append(nn.Conv2d(channels, filters, experiment.kernel_size, padding=experiment.padding))
        if experiment.batch_norm:
            layers.append(nn.BatchNorm2d(filters))
        layers += [nn.MaxPool2d(2), nn.ReLU()]  # equal to ReLU first, with a quarter of the work
        height, width = ((side + 2 * experiment.padding - experiment.kernel_size + 1) // 2 for side in (height, width))
        channels = filters
        if min(height, width) < 1:
            raise UserError(
                f"model cnn: images of {meta.shape[1]} x {meta.shape[2]} pixels shrink to nothing in block {block} of "
                f"{len(experiment.channels)}: use fewer channels entries, a smaller kernel_size, or more padding"
            )
    layers.append(nn.Flatten())
    features = channels * height * width
    for hidden in experiment.hidden:
        layers += [nn.Linear(features, hidden), nn.ReLU()]
        if experiment.dropout:
            layers.append(nn.Dropout(experiment.dropout))
        features = hidden
    net = nn.Sequential(*layers, nn.Linear(features, outputs))
    net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in PyTorch's own stub
    return net
