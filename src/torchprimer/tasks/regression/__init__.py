"""Regression: each sample has a number to predict."""

import torch
from torch import nn

from torchprimer.datasets.meta import Meta, TabularMeta
from torchprimer.params.experiments import Experiment, HasLoss
from torchprimer.tasks.base import Objective, Task


class OriginalUnits(nn.Module):
    """Standardised predictions -> values in the units of the target's column, float64."""

    def __init__(self, mean: float, std: float) -> None:
        super().__init__()
        self.mean, self.std = mean, std

    def forward(self, outputs: torch.Tensor) -> torch.Tensor:
        return outputs.double().mul(self.std).add(self.mean)  # float32 cannot represent 1,700,000,007


class Regression(Task):
    name = "regression"
    selection_metric = "r2"
    file_metrics = ("mse",)  # beside its root
    output_name = "values"
    output_kind = "value"

    def output_size(self, experiment: Experiment, meta: Meta) -> int:
        return 1

    def output_columns(self, classes: list[str]) -> list[tuple[str, str]]:
        return [("prediction", "double")]

    def objective(self, experiment: HasLoss) -> Objective:
        return Objective(experiment, "r2", lambda outputs, targets: (outputs - targets).square().sum())

    def output_head(self, experiment: Experiment, meta: Meta) -> nn.Module:
        assert isinstance(meta, TabularMeta)  # the only kind of data with this task
        return OriginalUnits(meta.target_mean, meta.target_std)


TASK = Regression()
