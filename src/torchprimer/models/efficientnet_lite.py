"""EfficientNet-Lite0: inverted bottlenecks with depthwise convolutions, a small and accurate network for phones.

What it teaches: a depthwise and a 1 x 1 convolution replace a full one at a tenth of the cost; features learnt on
ImageNet distinguish cats and dogs. Tan, Le 2019 (Lite: ReLU6, no squeeze-and-excitation); inverted
bottlenecks: Sandler et al. 2018; stochastic depth: Huang et al. 2016. Layers have the names of the published weights.
"""

from functools import partial
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import nn

from torchprimer.errors import UserError

if TYPE_CHECKING:
    from torchprimer.datasets.meta import Meta
    from torchprimer.params import experiments as params

NORMALIZATION = ([127 / 255], [128 / 255])  # mean and standard deviation that the published weights expect
SIDE = 224  # pixels; the weights were trained on images of this size
STAGES = (  # blocks, kernel, stride of the first, expansion, channels
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
STEM, HEAD = 32, 1280
BatchNorm = partial(nn.BatchNorm2d, eps=1e-3, momentum=0.01)  # as in the TensorFlow implementation
STOCHASTIC_DEPTH = 0.2  # drop rate of a block: this times the fraction of blocks before it


class SameConv2d(nn.Conv2d):
    """No bias; padded like TensorFlow's 'SAME' for an output of ceil(size / stride) pixels, an odd pixel at the end."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> None:
        super().__init__(inputs, outputs, kernel, stride, groups=groups, bias=False)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        (kernel, _), (stride, _) = self.kernel_size, self.stride
        rows, columns = (max((-(-s // stride) - 1) * stride + kernel - s, 0) for s in images.shape[-2:])
        padding = (rows // 2, columns // 2)
        if rows % 2 or columns % 2:  # equal padding on both sides needs no copy
            images = F.pad(images, (columns // 2, columns - columns // 2, rows // 2, rows - rows // 2))
            padding = (0, 0)
        return F.conv2d(images, self.weight, None, self.stride, padding, 1, self.groups)


class Block(nn.Module):
    """Inverted bottleneck: 1 x 1 expansion, depthwise convolution, 1 x 1 projection; residual if shapes are equal."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int, drop_rate: float) -> None:
        super().__init__()
        wide = inputs * expansion
        if expansion != 1:
            self._expand_conv, self._bn0 = SameConv2d(inputs, wide), BatchNorm(wide)
        self._depthwise_conv, self._bn1 = SameConv2d(wide, wide, kernel, stride, groups=wide), BatchNorm(wide)
        self._project_conv, self._bn2 = SameConv2d(wide, outputs), BatchNorm(outputs)
        self.expands, self.residual, self.drop_rate = expansion != 1, stride == 1 and inputs == outputs, drop_rate

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        x: torch.Tensor = images
        if self.expands:
            x = F.relu6(self._bn0(self._expand_conv(x)))
        x = F.relu6(self._bn1(self._depthwise_conv(x)))
        x = self._bn2(self._project_conv(x))
        if not self.residual:
            return x
        if self.training and self.drop_rate:  # stochastic depth: skips the block for some of the images
            x = x * (torch.rand(len(x), 1, 1, 1, device=x.device) >= self.drop_rate) / (1 - self.drop_rate)
        return x + images


class EfficientNetLite(nn.Module):
    """Normalised images, float32 (N, 1 or 3, H, W), enlarged by `upscale` up to `SIDE` pixels -> logits (N, K)."""

    def __init__(self, outputs: int, *, upscale: int = 1, dropout: float = 0.0) -> None:
        super().__init__()
        self.upscale, self.dropout = upscale, dropout
        self._conv_stem, self._bn0 = SameConv2d(3, STEM, 3, 2), BatchNorm(STEM)
        total = sum(blocks for blocks, *_ in STAGES)
        self._blocks = nn.ModuleList()
        inputs = STEM
        for blocks, kernel, first_stride, expansion, channels in STAGES:
            for number in range(blocks):
                stride = 1 if number else first_stride
                drop_rate = STOCHASTIC_DEPTH * len(self._blocks) / total
                self._blocks.append(Block(inputs, channels, kernel, stride, expansion, drop_rate))
                inputs = channels
        self._conv_head, self._bn1 = SameConv2d(inputs, HEAD), BatchNorm(HEAD)
        self._fc = nn.Linear(HEAD, outputs)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self._fc(F.dropout(self.extract(images), self.dropout, self.training))
        return logits

    def extract(self, images: torch.Tensor) -> torch.Tensor:
        """The inputs of the last layer: float32 (N, 1280)."""
        side = upscaled(images.shape[-1], self.upscale)
        if side > images.shape[-1]:
            images = F.interpolate(images, (side, side), mode="bilinear")
        x = images.expand(-1, 3, -1, -1).contiguous(memory_format=torch.channels_last)
        x = F.relu6(self._bn0(self._conv_stem(x)))
        for block in self._blocks:
            x = block(x)
        return F.relu6(self._bn1(self._conv_head(x))).mean((2, 3))


def upscaled(side: int, factor: int) -> int:
    """Side in pixels after upscaling; images larger than `SIDE` are not changed."""
    return max(side, min(side * factor, SIDE))


def build(experiment: "params.EfficientNetLite", meta: "Meta", outputs: int) -> EfficientNetLite:
    """EfficientNet-Lite0 with new weights and `outputs` logits; `dropout` is before the last layer.

    Raises UserError for images smaller than 32 pixels, which would shrink to nothing in the last blocks.
    """
    side = meta.shape[-1]
    if upscaled(side, experiment.upscale) < 32:
        raise UserError(
            f"model efficientnet_lite: images of {side} x {side} pixels are too small, it halves them five times; set "
            f"upscale: {-(-32 // side)} or more (they are scaled inside the model), or a larger image_size"
        )
    net = EfficientNetLite(outputs, upscale=experiment.upscale, dropout=experiment.dropout)
    net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in PyTorch's own stub
    return net
