"""A line found by chance: random weights of a range, the lowest mean squared error wins. Bergstra, Bengio 2012."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import nn

from torchprimer.datasets.storage import SplitArrays
from torchprimer.models.linear import linear_layer, set_linear
from torchprimer.training import EpochMetrics, TrainResult

if TYPE_CHECKING:
    from torchprimer.params import experiments as params

USES_NUMPY = False


def train(
    model: nn.Module,
    train_split: SplitArrays,
    validation_split: SplitArrays,
    experiment: "params.LinearRandomSearch",
    *,
    on_epoch: Callable[[EpochMetrics], None],
    **_unused: object,
) -> TrainResult:
    """Gives the linear layer of `model`, without bias, the best of `trials` random weights, in place."""
    history: list[EpochMetrics] = []
    for trial in range(1, experiment.trials + 1):
        weight = float(torch.empty(1).uniform_(experiment.low, experiment.high))
        row: EpochMetrics = {"epoch": trial, "weight": weight}
        for part, split in (("train", train_split), ("validation", validation_split)):
            row[f"{part}_loss"] = float(((weight * split.inputs - split.targets) ** 2).mean())
        history.append(row)
        on_epoch(row)
    best = min(history, key=lambda row: float(row["train_loss"]))
    set_linear(linear_layer(model), float(best["weight"]), 0.0)
    weights = {name: tensor.detach().cpu().clone() for name, tensor in model.state_dict().items()}
    return TrainResult(weights, history, int(best["epoch"]), [0.0] * len(history))
