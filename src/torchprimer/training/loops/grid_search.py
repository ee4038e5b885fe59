"""A line found by trying: no gradient, every weight of a grid (and every bias), the lowest mean squared error wins.

It works because there are one or two numbers to find; a grid over n of them has 41 to the power of n points.
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
from torchprimer.training import Row, TrainResult

if TYPE_CHECKING:
    from torchprimer.params import experiments as params


def train(
    model: nn.Module,
    training: SplitArrays,
    validation: SplitArrays,
    experiment: "params.LinearGridSearch",
    *,
    on_epoch: Callable[[Row], None],
    title: str = "",
    **_unused: object,
) -> TrainResult:
    """Gives the linear layer of `model` the best of all candidates, in place.

    Args:
        training, validation: inputs (N, 1), targets (N, 1).
        experiment: weight {start, stop, step}, and bias: the same, or None for a line through the origin.
        on_epoch: called with the row of each candidate.

    Returns:
        The weights of the lowest training loss (the first among equals); the history has a row for each candidate.

    Raises:
        UserError: the data has more than one feature.
    """
    if training.inputs.shape[1] != 1:
        raise UserError(
            f"{title}: loop grid_search finds the weight of one feature, and dataset {experiment.dataset} has "
            f"{training.inputs.shape[1]}; use loop: gradient_descent or supervised, or a dataset of one column"
        )
    objective = get_task(experiment.task).objective(experiment)
    parts = {"train": training, "validation": validation}
    points = {part: (split.inputs.numpy().astype(np.float64), split.targets.numpy()) for part, split in parts.items()}
    history: list[Row] = []
    candidates = product(experiment.weight.values(), experiment.bias.values() if experiment.bias else [0.0])
    for number, (weight, bias) in enumerate(candidates, 1):
        started = time.perf_counter()
        row: Row = {"epoch": number, "weight": weight}
        row |= {"bias": bias} if experiment.bias else {}
        for part, (x, y) in points.items():
            squares = (weight * x + bias - y) ** 2
            scores = {"loss": float(squares.mean())} | objective.result(float(squares.sum()), parts[part].targets)
            row |= {f"{part}_{name}": value for name, value in scores.items()}
        row["epoch_seconds"] = round(time.perf_counter() - started, 6)
        history.append(row)
        on_epoch(row)
    best = min(history, key=lambda row: float(row["train_loss"]))
    set_linear(linear_layer(model), float(best["weight"]), float(best.get("bias", 0)))
    weights = {name: tensor.detach().cpu().clone() for name, tensor in model.state_dict().items()}
    return TrainResult(weights, history, int(best["epoch"]))
