"""Training: loops, initial weights, devices, checkpoints. Independent of MLflow, DVC and file locations."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import torch
    from torch import nn

EpochMetrics = dict[str, float | str]  # one row of the history: epoch, lr, train_loss, validation_loss, ...


@dataclass(frozen=True)
class TrainResult:
    """The result of a training run; `artifacts` are arrays to save beside the weights (GANs: images of each epoch)."""

    weights: "dict[str, torch.Tensor]"  # the state_dict to save
    history: list[EpochMetrics]  # of each epoch (grid search: of each candidate)
    best_epoch: int  # that `weights` are from, counted from 1
    epoch_seconds: list[float]
    artifacts: "dict[str, npt.NDArray[np.generic]]" = field(default_factory=dict)

    def summary(self, model: "nn.Module") -> EpochMetrics:
        """Content of train.json: metrics of the best and of the last epoch, numbers of parameters of the model.

        Each row of a grid search is a candidate, not an epoch; it has no `lr`, and the last row is left out.
        """
        weights = list(model.parameters())
        best, last = self.history[self.best_epoch - 1], self.history[-1]
        metrics = {
            key: value for key, value in last.items() if isinstance(value, int | float) and key not in ("epoch", "lr")
        }
        return {
            "epochs": len(self.history),
            "best_epoch": self.best_epoch,
            **{f"{key}_best": best[key] for key in metrics if key.startswith(("validation_", "weight", "bias"))},
            **({f"{key}_final": value for key, value in metrics.items()} if "lr" in last else {}),
            "parameters": sum(tensor.numel() for tensor in weights),
            "trainable_parameters": sum(tensor.numel() for tensor in weights if tensor.requires_grad),
        }
