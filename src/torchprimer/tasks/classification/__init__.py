"""Classification: each sample is of one class."""

from torch import nn

from torchprimer.datasets.meta import Meta
from torchprimer.errors import UserError
from torchprimer.params.experiments import Experiment, HasLoss
from torchprimer.tasks.base import Objective, Probabilities, Task, correct

BINARY = "binary_cross_entropy_with_logits"  # one logit, of the second class


class Classification(Task):
    name = "classification"
    selection_metric = "accuracy"
    predicts_classes = True
    file_metrics = (  # precision and recall are in F1, the counts in confusion.png
        "precision_macro", "recall_macro", "true_negatives", "false_positives", "false_negatives", "true_positives",
    )  # fmt: skip
    output_name = "probabilities"
    output_kind = "probabilities"

    def output_size(self, experiment: Experiment, meta: Meta) -> int:
        """One logit for each class; `binary_cross_entropy_with_logits`: one, or a UserError if there are not two."""
        if experiment.loss != BINARY:
            return len(meta.classes)
        if len(meta.classes) != 2:
            raise UserError(
                f"loss: {BINARY} is for two classes, and there are {len(meta.classes)}: "
                f"{', '.join(meta.classes[:5])} ...; use cross_entropy"
            )
        return 1

    def output_columns(self, classes: list[str]) -> list[tuple[str, str]]:
        return [("prediction", "string"), *((f"p_{label}", "double") for label in classes)]

    def objective(self, experiment: HasLoss) -> Objective:
        if experiment.loss != BINARY:
            return Objective(experiment, "accuracy", correct)
        return Objective(
            experiment, "accuracy",
            count=lambda outputs, targets: ((outputs.squeeze(1) > 0) == targets).sum(),
            loss_inputs=lambda outputs, targets: (outputs.squeeze(1), targets.float()),
        )  # fmt: skip

    def output_head(self, experiment: Experiment, meta: Meta) -> nn.Module:
        return Probabilities(binary=experiment.loss == BINARY)


TASK = Classification()
