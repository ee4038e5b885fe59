"""What the loops need: devices, optimisers, augmentation, checkpoints. No MLflow, no DVC."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import torch

Row = dict[str, float | str]  # one epoch: epoch, lr, train_loss, validation_loss, ..., epoch_seconds


@dataclass(frozen=True)
class TrainResult:
    """What a training leaves behind.

    Attributes:
        weights: the state that is kept, by name.
        history: a row for each epoch (search: each candidate).
        best_epoch: the epoch whose weights these are.
        extras: arrays to keep beside the weights, by name (generators: the samples of each epoch).
    """

    weights: "dict[str, torch.Tensor]"
    history: list[Row]
    best_epoch: int
    extras: "dict[str, npt.NDArray[np.generic]]" = field(default_factory=dict)
