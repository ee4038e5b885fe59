"""What evaluation reads: a trained experiment and the test split, and the model's outputs for a whole split."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import nn

from torchprimer.datasets.meta import Meta
from torchprimer.datasets.storage import SplitArrays
from torchprimer.params import Experiment
from torchprimer.tasks import get_task
from torchprimer.tasks.base import Task

if TYPE_CHECKING:
    from torchprimer.models import Record


@dataclass(frozen=True)
class EvaluationContext:
    """A trained experiment and the test split."""

    name: str
    model: nn.Module  # in eval mode, on `device`
    record: "Record"  # experiment.json
    history: pd.DataFrame  # history.csv, a row for each epoch
    train: SplitArrays  # for the background of figures; no metric is computed on it
    test: SplitArrays
    ids: list[str]  # of the test samples
    artifacts: dict[str, npt.NDArray[np.generic]]  # arrays that training saved beside the weights
    scorer: nn.Module | None  # the classifier that scores generated images; None if the experiment names none
    device: torch.device

    @property
    def experiment(self) -> Experiment:
        return self.record.params

    @property
    def meta(self) -> Meta:
        return self.record.data

    @property
    def title(self) -> str:
        """The experiment and the rows it was measured on, for the head of a figure."""
        return f"{self.name}, {'test split' if self.meta.held_out else 'training rows (none held out)'}"

    @property
    def task(self) -> Task:
        return get_task(self.experiment.task)

    @property
    def head(self) -> nn.Module:
        """Turns the model's outputs into predictions."""
        return self.task.output_head(self.experiment, self.meta)

    def mean_loss(self, outputs: torch.Tensor) -> float:
        """The training loss on the test split, as a mean over samples whatever the experiment's reduction is."""
        experiment = self.experiment.model_copy(update={"reduction": "mean"})
        return self.task.objective(experiment).loss(outputs, self.test.targets).item()


@torch.inference_mode()
def predict(model: nn.Module, inputs: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Outputs of shape (N, ...), float32 on the CPU, for inputs of shape (N, ...)."""
    return torch.cat([model(batch.to(device)).float().cpu() for batch in inputs.split(512)])
