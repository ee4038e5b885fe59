"""Reconstruction: an autoencoder's target is its own input, pixels as 0..1."""

from typing import TYPE_CHECKING

from torchprimer.tasks.base import Objective, Task, loss_function

if TYPE_CHECKING:
    from torchprimer.datasets.meta import Meta
    from torchprimer.params import Experiment
    from torchprimer.params.experiments import HasLoss


class Reconstruction(Task):
    name = "reconstruction"
    selection_metric = "loss"
    by_dataset = False
    output_name = "reconstructions"
    output_kind = "reconstruction"
    export_kind = "autoencoder"

    def output_size(self, experiment: "Experiment", meta: "Meta") -> int:
        return 0  # an autoencoder's output has the shape of its input

    def output_columns(self, classes: list[str]) -> list[tuple[str, str]]:
        return [("image", "string"), ("mse", "double")]

    def objective(self, experiment: "HasLoss") -> Objective:
        loss = loss_function(experiment)
        return Objective(
            lambda outputs, images: loss(outputs, images.float() / 255),
            experiment.reduction == "sum",
            "",
            lambda outputs, images: outputs.new_zeros(()),
            lambda inputs, _targets: inputs,
        )


TASK = Reconstruction()
