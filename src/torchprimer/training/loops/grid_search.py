"""A line found by trying: no gradient, every weight of a grid (and every bias), the lowest mean squared error wins.

It works because there are one or two numbers to find; a grid over n of them has 41 to the power of n points.
"""

import time
from collections.abc import Callable
from decimal import Decimal
from itertools import product
from typing import Any

import numpy as np
from torch import nn

from torchprimer.datasets.storage import SplitArrays
from torchprimer.errors import UserError
from torchprimer.models.linear import linear_layer, set_linear
from torchprimer.training import Row, TrainResult
from torchprimer.training.objective import objective


def train(
    model: nn.Module,
    training: SplitArrays,
    validation: SplitArrays,
    params: dict[str, Any],
    data: dict[str, Any],
    *,
    on_epoch: Callable[[Row], None],
    title: str = "",
    **_unused: object,
) -> TrainResult:
    """Gives the linear layer of `model` the best of all candidates, in place.

    Args:
        training, validation: inputs (N, 1), targets (N, 1).
        params: weight {start, stop, step}, and bias: the same, or None for a line through the origin.
        data: meta.json of the dataset.
        on_epoch: called with the row of each candidate.

    Returns:
        The weights of the lowest training loss (the first among equals); the history has a row for each candidate.

    Raises:
        UserError: the data has more than one feature.
    """
    if data["shape"] != [1]:
        raise UserError(
            f"{title}: loop grid_search finds the weight of one feature, and dataset {params['dataset']} has "
            f"{data['shape'][0]}; use loop: gradient_descent or supervised, or a dataset of one column"
        )
    aim = objective({**params, "loss": "mse_loss", "reduction": "mean"}, data)
    parts = {"train": training, "validation": validation}
    points = {part: (split.inputs.numpy().astype(np.float64), split.targets.numpy()) for part, split in parts.items()}
    history: list[Row] = []
    candidates = product(span(params["weight"]), span(params["bias"]) if params["bias"] else [0.0])
    for number, (weight, bias) in enumerate(candidates, 1):
        started = time.perf_counter()
        row: Row = {"epoch": number, "weight": weight}
        row |= {"bias": bias} if params["bias"] else {}
        for part, (x, y) in points.items():
            squares = (weight * x + bias - y) ** 2
            scores = {"loss": float(squares.mean())} | aim.result(float(squares.sum()), parts[part].targets)
            row |= {f"{part}_{name}": value for name, value in scores.items()}
        row["epoch_seconds"] = round(time.perf_counter() - started, 6)
        history.append(row)
        on_epoch(row)
    best = min(history, key=lambda row: float(row["train_loss"]))
    set_linear(linear_layer(model), float(best["weight"]), float(best.get("bias", 0)))
    weights = {name: tensor.detach().cpu().clone() for name, tensor in model.state_dict().items()}
    return TrainResult(weights, history, int(best["epoch"]))


def span(given: dict[str, float]) -> list[float]:
    """start, start + step, ..., stop: the decimal numbers that one would write, so 2.0 and 0.3 are just that."""
    start, stop, step = (Decimal(str(given[key])) for key in ("start", "stop", "step"))
    return [float(start + step * i) for i in range(int((stop - start) / step) + 1)]
