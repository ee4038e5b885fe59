"""The exported models of the project."""

import threading

from torchprimer import paths
from torchprimer.experiment_results import ExperimentResults
from torchprimer.params import Params
from torchprimer.predictor import Predictor


class Exports:
    """The exported models of the project. A model is loaded on first use and stays loaded.

    Attributes:
        results: of all experiments, by name, in the order of params.yaml.
        descriptions: experiment -> model.json of its export, for those that are exported.
        missing: experiments that are not exported.
    """

    def __init__(self, params: Params) -> None:
        self._predictors, self._lock = dict[str, Predictor](), threading.Lock()
        self.results = {name: ExperimentResults(params, name) for name in params.experiments}
        self.descriptions = {name: r.exported for name, r in self.results.items() if "kind" in r.exported}
        self.missing = [name for name in self.results if name not in self.descriptions]

    def __getitem__(self, name: str) -> Predictor:
        """The Predictor of an experiment; raises UserError if its export is damaged."""
        with self._lock:
            if name not in self._predictors:
                self._predictors[name] = Predictor(paths.export(name))
            return self._predictors[name]
