"""Generation: a model makes images from noise; its loop has the losses, no target compares with them."""

import torch

from torchprimer.atomic import Json
from torchprimer.datasets.meta import Meta
from torchprimer.params.experiments import Experiment, HasLoss
from torchprimer.tasks.base import Objective, RawInput, Task


class Generation(Task):
    name = "generation"
    selection_metric = None
    by_dataset = False
    file_metrics = ("frechet_distance_real", "confident_fraction_real", "class_entropy_real")  # alike for all
    output_name = "images"
    output_kind = "image"
    export_kind = "generator"

    def output_columns(self, classes: list[str]) -> list[tuple[str, str]]:
        return [("image", "string")]

    def raw_input(self, experiment: Experiment, meta: Meta) -> "Noise":
        return Noise(experiment.latent_dim)  # type: ignore[union-attr]  # every generator has it

    def parity_inputs(self, experiment: Experiment, inputs: torch.Tensor, count: int) -> torch.Tensor:
        size: int = experiment.latent_dim  # type: ignore[union-attr]
        return torch.randn(count, size, generator=torch.Generator().manual_seed(0))

    def objective(self, experiment: HasLoss) -> Objective:
        raise NotImplementedError("generators have their own loop, loops/adversarial")


class Noise(RawInput):
    """The raw input of a generator: the seed of standard normal noise."""

    predictor_kind = input_name = "noise"

    def __init__(self, latent_dim: int) -> None:
        self.latent_dim = latent_dim

    def transform(self, meta: Meta) -> Json:
        return {"latent_dim": self.latent_dim, "shape": meta.shape}

    def columns(self, transform: Json) -> list[dict[str, str]]:
        return [{"name": "seed", "type": "long"}]

    def example(self, transform: Json, prepared: object) -> Json:
        return {"seed": 0}

    def requirements(self, transform: Json) -> list[str]:
        return ["pillow"]  # to save the images


TASK = Generation()
