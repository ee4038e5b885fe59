"""A task: what a model is trained to do. One object has everything that is particular to it.

A task is a folder of tasks/: `__init__.py` has the object `TASK` (training and export), `evaluation.py` the test metrics
and figures, `model_card.md.j2` the words of its model card.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import torch
import torch.nn.functional as F
from torch import nn

from torchprimer.tasks import get_task
from torchprimer.tasks.metrics import METRICS

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    from torchprimer.datasets.meta import Meta
    from torchprimer.datasets.storage import SplitArrays
    from torchprimer.models import Record
    from torchprimer.params import Experiment
    from torchprimer.params.experiments import HasLoss

BatchFunction = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
Scores = dict[str, float]
Json = dict[str, Any]


@dataclass(frozen=True)
class Objective:
    """The loss of a batch, and what is counted for the score.

    Attributes:
        loss: (outputs, targets) -> the number to differentiate.
        sum_reduction: whether that number is a sum over the batch, not its mean.
        score: `accuracy`, `r2` (coefficient of determination), or `` where the loss alone counts.
        targets: (inputs, targets) of a batch, after augmentation -> what the outputs are compared with.
        count: (outputs, targets) -> correct predictions in the batch, or squared errors for r2.
    """

    loss: BatchFunction
    sum_reduction: bool
    score: str
    count: BatchFunction
    targets: BatchFunction = lambda _inputs, targets: targets

    def result(self, count: float, targets: torch.Tensor) -> Scores:
        """The score of a whole split from its count; empty if the loss alone counts."""
        if not self.score:
            return {}
        if self.score == "accuracy":
            return {"accuracy": count / targets.numel()}
        spread = float(targets.double().var(correction=0)) * targets.numel()
        return {"r2": 1 - count / spread if spread else 0.0}


class RawInput(Protocol):
    """How the raw input of a model becomes arrays; a kind of data has these attributes (see datasets/base.py)."""

    predictor_kind: ClassVar[str]
    input_name: ClassVar[str]
    any_length: ClassVar[bool]

    def transform(self, meta: Any, /) -> Json: ...
    def columns(self, transform: Json, /) -> list[dict[str, str]]: ...
    def example(self, transform: Json, prepared: "npt.NDArray[Any]", /) -> Json: ...
    def requirements(self, transform: Json, /) -> list[str]: ...


class Task(ABC):
    """What one task needs beyond the model.

    Attributes:
        name: its folder in tasks/, and the value of `task` in params.yaml.
        selection_metric: the validation metric that compares epochs and champions; None: no metric does.
        by_dataset: whether its models compete for the champion of their dataset.
        predicts_classes: whether outputs are probabilities of classes, which the export names.
        output_name: of the ONNX graph.
        output_kind: how a Predictor returns predictions; a key of OUTPUTS in predictor/outputs.py.
        export_kind: `kind` in model.json; empty: that of the raw input.
    """

    name: ClassVar[str]
    selection_metric: ClassVar[str | None]
    by_dataset: ClassVar[bool] = True
    predicts_classes: ClassVar[bool] = False
    output_name: ClassVar[str]
    output_kind: ClassVar[str]
    export_kind: ClassVar[str] = ""

    @abstractmethod
    def output_size(self, experiment: "Experiment", meta: "Meta") -> int:
        """Numbers that the last layer computes for each sample (sequences: for each character)."""

    @abstractmethod
    def output_columns(self, classes: list[str]) -> list[tuple[str, str]]:
        """(name, type) of each column of a table of predictions, with the types of MLflow."""

    @abstractmethod
    def objective(self, experiment: "HasLoss") -> Objective:
        """Loss and score while training."""

    def output_head(self, experiment: "Experiment", meta: "Meta") -> nn.Module:
        """Turns a model's outputs into predictions as the export gives them; unchanged if not overridden."""
        return nn.Identity()

    def validation_score(self, training: Mapping[str, float]) -> float | None:
        """The score that champions are chosen by, the higher the better; None if the loop computes none.

        Args:
            training: train.json.
        """
        for metric in (self.selection_metric, "loss"):
            if metric and (score := training.get(f"validation_{metric}_best")) is not None:
                return score if METRICS[metric].higher_is_better else -score
        return None

    def raw_input(self, experiment: "Experiment", meta: "Meta") -> RawInput:
        """Reads the raw input of an exported model; that of the kind of data if not overridden."""
        from torchprimer.datasets import get_kind

        kind: RawInput = get_kind(meta.kind)
        return kind

    def parity_inputs(self, experiment: "Experiment", inputs: torch.Tensor, count: int) -> torch.Tensor:
        """Inputs on which ONNX and PyTorch are compared: the first `count` of the test split if not overridden."""
        return inputs[:count].clone()

    def evaluate(self, context: "EvaluationContext", folder: Path) -> Scores:
        """Writes predictions, tables and figures of the test split into `folder`; returns the test metrics."""
        scores: Scores = import_module(f"torchprimer.tasks.{self.name}.evaluation").evaluate(context, folder)
        return scores


def loss_function(experiment: "HasLoss") -> BatchFunction:
    """The experiment's `loss` of torch.nn.functional, with its `reduction`."""
    function = getattr(F, experiment.loss)

    def loss(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        value: torch.Tensor = function(outputs, targets, reduction=experiment.reduction)
        return value

    return loss


def correct(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """How many of the most probable classes, (..., K), are the targets, (...)."""
    return (logits.argmax(-1) == targets).sum()


class Probabilities(nn.Module):
    """Logits (..., K), or one logit (..., 1) of the second of two classes -> probabilities of every class (..., K)."""

    def __init__(self, *, binary: bool) -> None:
        super().__init__()
        self.binary = binary

    def forward(self, logits: torch.Tensor) -> torch.Tensor:
        if self.binary:
            return torch.cat([torch.sigmoid(-logits), torch.sigmoid(logits)], -1)
        return logits.softmax(-1)


@dataclass(frozen=True)
class EvaluationContext:
    """A trained experiment and the test split.

    Attributes:
        name: of the experiment.
        model: in eval mode, on `device`.
        record: experiment.json of the model.
        history: history.csv, a row for each epoch.
        train: the training split, for the background of figures; no metric is computed on it.
        test: the test split.
        ids: id of each test sample.
        artifacts: arrays that training saved beside the weights.
        scorer: the classifier that scores generated images; None if the experiment names none.
    """

    name: str
    model: nn.Module
    record: "Record"
    history: "pd.DataFrame"
    train: "SplitArrays"
    test: "SplitArrays"
    ids: list[str]
    artifacts: "dict[str, npt.NDArray[np.generic]]"
    scorer: nn.Module | None
    device: torch.device

    @property
    def experiment(self) -> "Experiment":
        return self.record.params

    @property
    def meta(self) -> "Meta":
        return self.record.data

    @property
    def title(self) -> str:
        """The experiment and the rows it was measured on, for the head of a figure."""
        return f"{self.name}, {'test split' if self.meta.held_out else 'training rows (none held out)'}"

    @property
    def task(self) -> "Task":
        return get_task(self.experiment.task)

    @property
    def head(self) -> nn.Module:
        """Turns the model's outputs into predictions."""
        return self.task.output_head(self.experiment, self.meta)

    def mean_loss(self, outputs: torch.Tensor) -> float:
        """The training loss on the test split, as a mean over samples whatever the experiment's reduction is."""
        experiment = self.experiment
        if experiment.reduction != "mean":
            experiment = experiment.model_copy(update={"reduction": "mean"})
        return self.task.objective(experiment).loss(outputs, self.test.targets).item()
