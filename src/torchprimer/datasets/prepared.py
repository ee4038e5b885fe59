"""The arrays of data/prepared/D, as training and evaluation read them; the same for every kind of data."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch


@dataclass(frozen=True)
class Split:
    """The samples of one split, on the CPU; large arrays stay on disk, mapped into memory.

    Attributes:
        inputs: shape (N, ...), as prepared (images: uint8, N x C x H x W).
        targets: shape (N,), int64 class numbers.
    """

    inputs: torch.Tensor
    targets: torch.Tensor

    def __len__(self) -> int:
        return len(self.targets)


def load_split(folder: Path, part: str) -> Split:
    """Opens `train`, `validation` or `test` of a prepared dataset."""
    # mode "c": PyTorch wants memory that it could write to; what it wrote would never reach the file
    inputs = np.load(folder / f"{part}_inputs.npy", mmap_mode="c")
    return Split(torch.from_numpy(inputs), torch.from_numpy(np.load(folder / f"{part}_targets.npy")))
