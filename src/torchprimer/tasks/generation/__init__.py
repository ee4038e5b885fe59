"""Generation: a model makes images from noise; its loop has the losses, no target compares with them."""

from typing import TYPE_CHECKING

from torchprimer.tasks.base import Objective, Task

if TYPE_CHECKING:
    from torchprimer.datasets.meta import Meta
    from torchprimer.params import Experiment
    from torchprimer.params.experiments import HasLoss


class Generation(Task):
    name = "generation"
    selection_metric = None
    by_dataset = False
    output_name = "images"

    def output_size(self, experiment: "Experiment", meta: "Meta") -> int:
        return 0  # a generator's output has the shape of the images

    def output_columns(self, classes: list[str]) -> list[tuple[str, str]]:
        return [("image", "string")]

    def objective(self, experiment: "HasLoss") -> Objective:
        raise NotImplementedError("generators have their own loop, training/loops/adversarial")


TASK = Generation()
