"""Reconstruction: an autoencoder's target is its own input, pixels as 0..1."""

from torchprimer.params.experiments import HasLoss
from torchprimer.tasks.base import Objective, Task


class Reconstruction(Task):
    name = "reconstruction"
    selection_metric = "loss"
    by_dataset = False
    output_name = "reconstructions"
    output_kind = "reconstruction"
    export_kind = "autoencoder"

    def output_columns(self, classes: list[str]) -> list[tuple[str, str]]:
        return [("image", "string"), ("mse", "double")]

    def objective(self, experiment: HasLoss) -> Objective:
        return Objective(
            experiment,
            targets=lambda inputs, _targets: inputs,
            loss_inputs=lambda outputs, images: (outputs, images.float() / 255),
        )


TASK = Reconstruction()
