"""Convolutional network: blocks of convolution, ReLU and pooling, then linear layers.

What it teaches: the same small filter looks everywhere, so far fewer weights see far more. LeCun, Bottou, Bengio,
Haffner 1998; batch norm: Ioffe, Szegedy 2015; dropout: Srivastava et al. 2014.
"""

from typing import Any

import torch
from torch import nn

from torchprimer.errors import UserError


class ChannelsLast(nn.Module):
    """Same values, stored pixel by pixel: convolutions on a CPU and on tensor cores are up to twice as fast."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.contiguous(memory_format=torch.channels_last)


def build(params: dict[str, Any], data: dict[str, Any], outputs: int) -> nn.Sequential:
    """Images of `data["shape"]` (C, H, W) -> a block for each of `channels`, a layer for each of `hidden`, `outputs`.

    Raises:
        UserError: the images are too small for so many blocks.
    """
    shape = data["shape"]
    channels, height, width = shape
    layers: list[nn.Module] = [ChannelsLast()]
    if params["input_padding"]:  # edges repeated: the background goes on
        layers.append(nn.ReplicationPad2d(params["input_padding"]))
        height, width = height + 2 * params["input_padding"], width + 2 * params["input_padding"]
    for block, filters in enumerate(params["channels"], 1):
        layers.append(nn.Conv2d(channels, filters, params["kernel_size"], padding=params["padding"]))
        if params["batch_norm"]:
            layers.append(nn.BatchNorm2d(filters))
        layers += [nn.MaxPool2d(2), nn.ReLU()]  # in this order the result is the same, and ReLU has a quarter to do
        height, width = ((side + 2 * params["padding"] - params["kernel_size"] + 1) // 2 for side in (height, width))
        channels = filters
        if min(height, width) < 1:
            raise UserError(
                f"model cnn: images of {shape[1]} x {shape[2]} pixels are used up after block {block} of "
                f"{len(params['channels'])}: fewer numbers under channels, a smaller kernel_size, or more padding"
            )
    layers.append(nn.Flatten())
    features = channels * height * width
    for hidden in params["hidden"]:
        layers += [nn.Linear(features, hidden), nn.ReLU()]
        if params["dropout"]:
            layers.append(nn.Dropout(params["dropout"]))
        features = hidden
    net = nn.Sequential(*layers, nn.Linear(features, outputs))
    net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in PyTorch's own stub
    return net
