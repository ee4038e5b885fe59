"""Reconstruction: an autoencoder's target is its own input, pixels as 0..1."""

from typing import TYPE_CHECKING

from torchprimer.tasks.base import Objective, Task

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
        return 0

    def output_columns(self, classes: list[str]) -> list[tuple[str, str]]:
        return [("image", "string"), ("mse", "double")]

    def objective(self, experiment: "HasLoss") -> Objective:
        return Objective(
            experiment,
            targets=lambda inputs, _targets: inputs,
            loss_inputs=lambda outputs, images: (outputs, images.float() / 255),
        )


TASK = Reconstruction()
