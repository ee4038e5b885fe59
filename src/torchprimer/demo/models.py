"""Which models are exported, and which could be. Each is opened when it is first asked for, and then stays open."""

import json
import threading
from dataclasses import dataclass
from typing import Any

from torchprimer import paths
from torchprimer.params import Params
from torchprimer.predictor import Predictor


@dataclass(frozen=True)
class Known:
    """What decides in which tab a model is: the dataset it was trained on and the kind of its Predictor."""

    dataset: str
    kind: str


class Exports:
    """The exported models of the project.

    Attributes:
        names: experiments with an export, in the order of params.yaml.
        missing: those without one.
        known: dataset and kind of each.
        descriptions: model.json of each that is exported.
    """

    def __init__(self, params: Params) -> None:
        self.params = params
        self._open, self._lock = dict[str, Predictor](), threading.Lock()
        self.known = {name: _known(params, name) for name in params.experiments}
        self.descriptions: dict[str, dict[str, Any]] = {}
        for name in self.known:
            file = paths.export(name) / "model.json"
            if file.is_file() and "kind" in (description := json.loads(file.read_text("utf-8"))):
                self.descriptions[name] = description
        self.names = list(self.descriptions)
        self.missing = [name for name in self.known if name not in self.descriptions]

    def __getitem__(self, name: str) -> Predictor:
        """The Predictor of an experiment; raises UserError if its export is damaged."""
        with self._lock:
            if name not in self._open:
                self._open[name] = Predictor(paths.export(name))
            return self._open[name]


def _known(params: Params, name: str) -> Known:
    experiment = params.experiments[name]
    dataset, kind = experiment.dataset, params.kind_and_task(experiment.dataset)[0]
    if kind == "features":  # its export takes the images that the features are of
        dataset, kind = params.features[dataset].dataset, "images"
    return Known(dataset, {"gan": "generator", "autoencoder": "autoencoder"}.get(experiment.model, kind))
