"""A task: what a model is trained to do. One object has everything that is particular to it.

A task is a folder of tasks/: `__init__.py` has the object `TASK` (training and export), `evaluation.py` the test
metrics and figures, `model_card.md.j2` the words of its model card.
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

from torchprimer.atomic import Json
from torchprimer.datasets import get_kind
from torchprimer.datasets.meta import Meta
from torchprimer.params.experiments import Experiment, HasLoss
from torchprimer.tasks.metrics import METRICS

if TYPE_CHECKING:
    import numpy.typing as npt

    from torchprimer.evaluation import EvaluationContext

BatchFunction = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
Scores = dict[str, float]


@dataclass(frozen=True)
class Objective:
    """The loss of a batch, and what is counted for the score."""

    experiment: HasLoss  # names the loss function and its reduction
    score: str = ""  # `accuracy`, `r2` (coefficient of determination), or empty where the loss alone counts
    # (outputs, targets) -> correct predictions in the batch, or squared errors for r2
    count: BatchFunction = lambda outputs, _targets: outputs.new_zeros(())
    # (inputs, targets) of a batch, after augmentation -> what the outputs are compared with
    targets: BatchFunction = lambda _inputs, targets: targets
    # (outputs, targets) -> the arguments of the loss function
    loss_inputs: Callable[[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]] = lambda *batch: batch

    @property
    def sum_reduction(self) -> bool:
        """Whether the loss is a sum over the batch, not its mean."""
        return self.experiment.reduction == "sum"

    def loss(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """The number to differentiate."""
        function: Callable[..., torch.Tensor] = getattr(F, self.experiment.loss)
        return function(*self.loss_inputs(outputs, targets), reduction=self.experiment.reduction)

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
    any_length: ClassVar[bool] = False

    def transform(self, meta: Any, /) -> Json: ...
    def columns(self, transform: Json, /) -> list[dict[str, str]]: ...
    def example(self, transform: Json, prepared: "npt.NDArray[Any]", /) -> Json: ...
    def requirements(self, transform: Json, /) -> list[str]: ...


class Task(ABC):
    """What one task needs beyond the model."""

    name: ClassVar[str]  # its folder in tasks/, and the value of `task` in params.yaml
    selection_metric: ClassVar[str | None]  # the validation metric that compares epochs and champions; None: no metric
    by_dataset: ClassVar[bool] = True  # whether its models compete for the champion of their dataset
    predicts_classes: ClassVar[bool] = False  # whether outputs are probabilities of classes, which the export names
    # test metrics that MLflow gets in files alone: more columns make its table of runs unreadable
    file_metrics: ClassVar[tuple[str, ...]] = ()
    output_name: ClassVar[str]  # of the ONNX graph
    output_kind: ClassVar[str]  # how a Predictor returns predictions; a key of OUTPUTS in predictor/outputs.py
    export_kind: ClassVar[str] = ""  # `kind` in model.json; empty: that of the raw input

    def output_size(self, experiment: Experiment, meta: Meta) -> int:
        """Numbers that the last layer computes for each sample (sequences: for each character); 0: an image."""
        return 0

    @abstractmethod
    def output_columns(self, classes: list[str]) -> list[tuple[str, str]]:
        """(name, type) of each column of a table of predictions, with the types of MLflow."""

    @abstractmethod
    def objective(self, experiment: HasLoss) -> Objective:
        """Loss and score while training."""

    def output_head(self, experiment: Experiment, meta: Meta) -> nn.Module:
        """Turns a model's outputs into predictions as the export gives them; unchanged if not overridden."""
        return nn.Identity()

    def validation_score(self, training: Mapping[str, float]) -> float | None:
        """The score in `training`, train.json, that chooses champions, the higher the better; None: there is none."""
        for metric in (self.selection_metric, "loss"):
            if metric and (score := training.get(f"validation_{metric}_best")) is not None:
                return score if METRICS[metric].higher_is_better else -score
        return None

    def raw_input(self, experiment: Experiment, meta: Meta) -> RawInput:
        """Reads the raw input of an exported model; that of the kind of data if not overridden."""
        return get_kind(meta.kind)

    def parity_inputs(self, experiment: Experiment, inputs: torch.Tensor, count: int) -> torch.Tensor:
        """Inputs on which ONNX and PyTorch are compared: the first `count` of the test split if not overridden."""
        return inputs[:count].clone()

    def evaluate(self, context: "EvaluationContext", folder: Path) -> Scores:
        """Writes predictions, tables and figures of the test split into `folder`; returns the test metrics."""
        scores: Scores = import_module(f"torchprimer.tasks.{self.name}.evaluation").evaluate(context, folder)
        return scores


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
