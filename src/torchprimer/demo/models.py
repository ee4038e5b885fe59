"""The exported models of the project. A model is loaded on first use and stays loaded."""

import threading
from dataclasses import dataclass
from typing import Any

from torchprimer import paths
from torchprimer.experiment_results import ExperimentResults
from torchprimer.params import Params
from torchprimer.predictor import Predictor


@dataclass(frozen=True)
class ModelInfo:
    """What decides which tab shows a model.

    Attributes:
        dataset: whose raw data the model takes; for precomputed features, the dataset of images.
        data_kind: of that dataset: images, tabular, text, ...
        task: classification, regression, reconstruction, generation, ...
    """

    dataset: str
    data_kind: str
    task: str


class Exports:
    """The exported models of the project.

    Attributes:
        names: experiments with an export, in the order of params.yaml.
        missing: experiments without one.
        infos: of all experiments.
        descriptions: experiment -> model.json of its export.
    """

    def __init__(self, params: Params) -> None:
        self.params = params
        self._predictors, self._lock = dict[str, Predictor](), threading.Lock()
        self.infos = {name: model_info(params, name) for name in params.experiments}
        descriptions = {name: ExperimentResults(params, name).exported for name in params.experiments}
        self.descriptions: dict[str, dict[str, Any]] = {
            name: json for name, json in descriptions.items() if "kind" in json
        }
        self.names = list(self.descriptions)
        self.missing = [name for name in params.experiments if name not in self.descriptions]

    def __getitem__(self, name: str) -> Predictor:
        """The Predictor of an experiment; raises UserError if its export is damaged."""
        with self._lock:
            if name not in self._predictors:
                self._predictors[name] = Predictor(paths.export(name))
            return self._predictors[name]


def model_info(params: Params, name: str) -> ModelInfo:
    dataset = ExperimentResults(params, name).raw_dataset
    return ModelInfo(dataset, params.datasets[dataset].kind, params.experiments[name].task)
