"""The Euclidean norm of every weight tensor of a trained model: metrics/E/norms.json."""

import json

from torchprimer import models, paths
from torchprimer.atomic import atomic_write
from torchprimer.params import Params


def run(_params: Params, name: str) -> None:
    model, _ = models.load(paths.model(name))
    norms = {key: float(tensor.norm()) for key, tensor in model.named_parameters()}
    with atomic_write(paths.metrics(name) / "norms.json") as file:
        file.write_text(json.dumps(norms, indent=1) + "\n", "utf-8")
