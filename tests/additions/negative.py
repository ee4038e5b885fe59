"""Negative: the target of an image is the image with inverted brightness, pixels as 0..1."""

from dataclasses import replace
from typing import TYPE_CHECKING

from torchprimer.tasks.base import Objective
from torchprimer.tasks.reconstruction import Reconstruction

if TYPE_CHECKING:
    from torchprimer.params.experiments import HasLoss


class Negative(Reconstruction):
    name = "negative"
    output_name = "negatives"

    def objective(self, experiment: "HasLoss") -> Objective:
        return replace(super().objective(experiment), targets=lambda inputs, _targets: 255 - inputs)


TASK = Negative()
