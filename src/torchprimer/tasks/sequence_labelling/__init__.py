"""Sequence labelling: each character of a string has a class, the character that it becomes."""

from torch import nn

from torchprimer.datasets.meta import Meta
from torchprimer.params.experiments import Experiment, HasLoss
from torchprimer.tasks.base import Objective, Probabilities, Task, correct


class SequenceLabelling(Task):
    name = "sequence_labelling"
    selection_metric = "accuracy"
    predicts_classes = True
    output_name = "probabilities"
    output_kind = "string"

    def output_size(self, experiment: Experiment, meta: Meta) -> int:
        return len(meta.classes)

    def output_columns(self, classes: list[str]) -> list[tuple[str, str]]:
        return [("prediction", "string")]

    def objective(self, experiment: HasLoss) -> Objective:
        return Objective(  # outputs (N, T, K), targets (N, T): every character counts
            experiment, "accuracy", correct,
            loss_inputs=lambda outputs, targets: (outputs.flatten(0, 1), targets.flatten()),
        )  # fmt: skip

    def output_head(self, experiment: Experiment, meta: Meta) -> nn.Module:
        return Probabilities(binary=False)


TASK = SequenceLabelling()
