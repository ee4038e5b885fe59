"""Denoising: an autoencoder's target is the image without the noise of its input. Vincent et al. 2008."""

import torch

from torchprimer.datasets.storage import SplitArrays
from torchprimer.tasks.reconstruction import Reconstruction


class Denoising(Reconstruction):
    name = "denoising"
    output_name = "denoised"

    def targets(self, split: SplitArrays) -> SplitArrays:
        noise = torch.randint(-60, 61, split.inputs.shape, generator=torch.Generator().manual_seed(0))
        return SplitArrays((split.inputs + noise).clamp(0, 255).to(torch.uint8), split.inputs)


TASK = Denoising()
