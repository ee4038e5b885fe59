"""Linear regression by grid search: of all weights (and biases) of a grid the lowest mean squared error wins.

It needs no gradient, and works for one or two parameters: a grid over n parameters with 41 values each has 41^n points.
"""

import time
from collections.abc import Callable
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
from torch import nn

from torchprimer.datasets.storage import SplitArrays
from torchprimer.errors import UserError
from torchprimer.models.linear import linear_layer, set_linear
from torchprimer.tasks import get_task
from torchprimer.training import EpochMetrics, TrainResult

if TYPE_CHECKING:
    from torchprimer.params import experiments as params

USES_NUMPY = True


def train(
    model: nn.Module,
    train_split: SplitArrays,
    validation_split: SplitArrays,
    experiment: "params.LinearGridSearch",
    *,
    on_epoch: Callable[[EpochMetrics], None],
    title: str = "",
    **_unused: object,
) -> TrainResult:
    """Sets the linear layer of `model` to the best of all candidates, in place.

    Inputs are (N, 1), targets (N, 1). Raises UserError if there is more than one feature.

    Returns:
        The weights of the lowest training loss (the first among equals); the history has a row for each candidate.
    """
    if train_split.inputs.shape[1] != 1:
        raise UserError(
            f"{title}: loop grid_search searches the weight of one feature, and dataset {experiment.dataset} has "
            f"{train_split.inputs.shape[1]}; use loop: gradient_descent or supervised, or a dataset of one column"
        )
    objective = get_task(experiment.task).objective(experiment)
    parts = {"train": train_split, "validation": validation_split}
    points = {part: (split.inputs.numpy().astype(np.float64), split.targets.numpy()) for part, split in parts.items()}
    history: list[EpochMetrics] = []
    epoch_seconds: list[float] = []
    candidates = product(experiment.weight.values(), experiment.bias.values() if experiment.bias else [0.0])
    for number, (weight, bias) in enumerate(candidates, 1):
        started = time.perf_counter()
        row: EpochMetrics = {"epoch": number, "weight": weight}
        row |= {"bias": bias} if experiment.bias else {}
        for part, (x, y) in points.items():
            squares = (weight * x + bias - y) ** 2
            scores = {"loss": float(squares.mean())} | objective.result(float(squares.sum()), parts[part].targets)
            row |= {f"{part}_{name}": value for name, value in scores.items()}
        epoch_seconds.append(round(time.perf_counter() - started, 6))
        history.append(row)
        on_epoch(row)
    best = min(history, key=lambda row: float(row["train_loss"]))
    set_linear(linear_layer(model), float(best["weight"]), float(best.get("bias", 0)))
    weights = {name: tensor.detach().cpu().clone() for name, tensor in model.state_dict().items()}
    return TrainResult(weights, history, int(best["epoch"]), epoch_seconds)
