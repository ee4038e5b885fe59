"""What a training minimises, and the score by which its epochs are compared."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F

Measure = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Objective:
    """The loss of a batch, and what is counted for the score.

    Attributes:
        loss: (outputs, targets) -> the number to differentiate.
        summed: whether that number is a sum over the batch, not its mean.
        score: `accuracy`, `r2` (coefficient of determination), or `` where the loss alone counts.
        count: (outputs, targets) -> right answers in the batch, or squared errors for r2.
    """

    loss: Measure
    summed: bool
    score: str
    count: Measure

    def result(self, count: float, targets: torch.Tensor) -> dict[str, float]:
        """The score of a whole split from its count; empty if the loss alone counts."""
        if not self.score:
            return {}
        if self.score == "accuracy":
            return {"accuracy": count / targets.numel()}
        spread = float(targets.double().var(correction=0)) * targets.numel()
        return {"r2": 1 - count / spread if spread else 0.0}


def objective(params: dict[str, Any], data: dict[str, Any]) -> Objective:
    """The objective of an experiment on a dataset.

    Args:
        params: an experiment: model, loss, reduction.
        data: meta.json: task.
    """
    function = getattr(F, params["loss"])
    summed = params["reduction"] == "sum"

    def loss(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        value: torch.Tensor = function(outputs, targets, reduction=params["reduction"])
        return value

    if params["model"] == "autoencoder":  # its target is its own input
        return Objective(lambda outputs, images: loss(outputs, images.float() / 255), summed, "", _nothing)
    if data["task"] == "regression":
        return Objective(loss, summed, "r2", lambda outputs, targets: (outputs - targets).square().sum())
    if params["loss"] == "binary_cross_entropy_with_logits":  # one logit: positive means the second class
        return Objective(
            lambda outputs, targets: loss(outputs.squeeze(1), targets.float()),
            summed,
            "accuracy",
            lambda outputs, targets: ((outputs.squeeze(1) > 0) == targets).sum(),
        )
    if data["task"] == "sequence":  # (N, T, K) and (N, T): every character is an answer
        return Objective(
            lambda outputs, targets: loss(outputs.flatten(0, 1), targets.flatten()), summed, "accuracy", _right
        )
    return Objective(loss, summed, "accuracy", _right)


def _right(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return (outputs.argmax(-1) == targets).sum()


def _nothing(outputs: torch.Tensor, _targets: torch.Tensor) -> torch.Tensor:
    return outputs.new_zeros(())
