"""Linear regression by gradient descent with a gradient derived by hand: NumPy, no autograd (Cauchy 1847; one sample at
a time: Robbins, Monro 1951).

    loss     L = mean over the samples i of (w x_i + b - y_i)^2
    error    e_i = w x_i + b - y_i,   so that   de_i/dw = x_i   and   de_i/db = 1
    chain    dL/dw = mean of 2 e_i de_i/dw = mean of 2 e_i x_i
             dL/db = mean of 2 e_i de_i/db = mean of 2 e_i
    step     w <- w - lr dL/dw,   b <- b - lr dL/db

With several features x_i, w and dL/dw are vectors, and w x_i is a dot product.
"""

import math
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from torchprimer.datasets.storage import SplitArrays
from torchprimer.errors import UserError
from torchprimer.models.linear import linear_layer, set_linear
from torchprimer.tasks import get_task
from torchprimer.training import EpochMetrics, TrainResult

if TYPE_CHECKING:
    from torchprimer.params import experiments as params

USES_NUMPY = True
Array = npt.NDArray[np.float64]


def train(
    model: nn.Module,
    train_split: SplitArrays,
    validation_split: SplitArrays,
    experiment: "params.LinearGradientDescent",
    *,
    on_epoch: Callable[[EpochMetrics], None],
    title: str = "",
    **_unused: object,
) -> TrainResult:
    """Trains the linear layer of `model` in place, from its initial weights, in float64.

    Batches are drawn from PyTorch's random state in the same way as in loops/supervised, so both take the same steps.
    Inputs are (N, F), targets (N, 1). Raises UserError if the loss is not finite.

    Returns:
        The weights of the epoch with the lowest validation loss, and the history: loss, lr, bias, and the weight if
        there is one feature.
    """
    layer = linear_layer(model)
    w = layer.weight.detach().cpu().double().numpy()[0]
    b = 0.0 if layer.bias is None else layer.bias.item()
    parts = {"train": train_split, "validation": validation_split}
    x, y = train_split.inputs.double().numpy(), train_split.targets.double().numpy()[:, 0]
    validation_x, validation_y = validation_split.inputs.numpy(), validation_split.targets.numpy()[:, 0]
    objective = get_task(experiment.task).objective(experiment)
    steps = math.ceil(len(y) / (experiment.batch_size or len(y)))
    history: list[EpochMetrics] = []
    epoch_seconds: list[float] = []
    best: dict[str, torch.Tensor] = {}
    best_epoch, lowest = 0, math.inf
    for epoch in range(1, experiment.epochs + 1):
        started = time.perf_counter()
        squares = 0.0
        with np.errstate(over="ignore", invalid="ignore"):  # divergence is reported below
            for batch in torch.randperm(len(y)).tensor_split(steps):
                loss, dw, db = gradient(w, b, x[batch.numpy()], y[batch.numpy()])
                w = w - experiment.lr * dw
                if experiment.bias:
                    b -= experiment.lr * db
                squares += loss * len(batch)
            validation_squares = float(((validation_x @ w + b - validation_y) ** 2).sum())
        if not math.isfinite(squares + validation_squares):
            raise UserError(f"{title}: the loss is not finite after epoch {epoch}, the training diverged; lower lr")
        row: EpochMetrics = {"epoch": epoch, "lr": experiment.lr}
        for part, total in (("train", squares), ("validation", validation_squares)):
            scores = {"loss": total / len(parts[part])} | objective.result(total, parts[part].targets)
            row |= {f"{part}_{name}": value for name, value in scores.items()}
        row |= {"weight": float(w[0])} if len(w) == 1 else {}
        row |= {"bias": b} if experiment.bias else {}
        epoch_seconds.append(round(time.perf_counter() - started, 6))
        history.append(row)
        if validation_squares < lowest:
            best_epoch, lowest = epoch, validation_squares
            set_linear(layer, w, b)
            best = {name: tensor.detach().cpu().clone() for name, tensor in model.state_dict().items()}
        on_epoch(row)
    set_linear(layer, w, b)
    return TrainResult(best, history, best_epoch, epoch_seconds)


def gradient(w: Array, b: float, x: Array, y: Array) -> tuple[float, Array, float]:
    """The loss L of w (F,) and b on x (N, F) and y (N,), and its derivatives by w and b, as derived above."""
    error = x @ w + b - y
    return float((error**2).mean()), 2 * error @ x / len(y), float(2 * error.mean())
