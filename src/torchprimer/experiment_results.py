"""What is known of an experiment: from params.yaml, metrics/ and models/, as far as its stages have run."""

import json
from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from torchprimer import paths
from torchprimer.errors import UserError
from torchprimer.params import Params
from torchprimer.tasks.metrics import HEADLINE_METRICS, Metric


@dataclass(frozen=True)
class ExperimentResults:
    """One experiment of params.yaml, and what its stages have written so far."""

    params: Params
    name: str

    @property
    def dataset(self) -> str:
        return self.params.experiments[self.name].dataset

    @property
    def raw_dataset(self) -> str:
        """The dataset whose raw input the model takes and whose champion it may be: extracted features are of images."""
        features = self.params.features.get(self.dataset)
        return features.dataset if features else self.dataset

    @property
    def data_kind(self) -> str:
        """Of the raw input: images, tabular, text or sequences."""
        return self.params.datasets[self.raw_dataset].kind

    @property
    def task(self) -> str:
        return self.params.experiments[self.name].task

    @property
    def model(self) -> str:
        return self.params.experiments[self.name].model

    @property
    def is_trained(self) -> bool:
        return (paths.model(self.name) / "experiment.json").is_file()

    @property
    def held_out(self) -> bool:
        """Whether test scores are of samples that were not trained on."""
        return self.params.datasets[self.raw_dataset].held_out

    def is_champion(self, champion_fingerprints: Collection[str]) -> bool:
        """Whether this very training is the champion of its dataset, and not an earlier one of the same name."""
        record = read_json(paths.model(self.name) / "experiment.json", f"train@{self.name}") or self.exported
        return record.get("fingerprint") in champion_fingerprints

    @property
    def onnx(self) -> Path | None:
        """The exported model."""
        file = paths.export(self.name) / "model.onnx"
        return file if file.is_file() else None

    @cached_property
    def exported(self) -> dict[str, Any]:
        """model.json of the export; empty if the model is not exported."""
        return read_json(paths.export(self.name) / "model.json", f"export@{self.name}")

    @cached_property
    def train(self) -> dict[str, Any]:
        """metrics/E/train.json: scores of the best and the last epoch, parameters; empty if it is missing."""
        return read_json(paths.metrics(self.name) / "train.json", f"train@{self.name}")

    @cached_property
    def timing(self) -> dict[str, Any]:
        """metrics/E/timing.json: seconds of the training on this machine; empty if it was not trained here."""
        return read_json(paths.metrics(self.name) / "timing.json")

    @cached_property
    def test(self) -> dict[str, float]:
        return read_json(paths.metrics(self.name) / "test.json", f"evaluate@{self.name}")

    @cached_property
    def folds(self) -> dict[str, float]:
        return read_json(paths.metrics(self.name) / "folds.json", f"crossvalidate@{self.name}")

    @cached_property
    def baseline(self) -> dict[str, dict[str, float]]:
        """Test scores of a model that ignores its input (`dummy`) and of a classic one."""
        return read_json(paths.baseline(self.raw_dataset), f"baseline@{self.raw_dataset}")

    @property
    def metric(self) -> Metric | None:
        """The metric that stands for this experiment's scores; None before it is trained."""
        known = {**self.test, **{key: 0 for key in self.train if key.endswith("_best")}}
        return next(
            (
                metric
                for metric in HEADLINE_METRICS
                if metric.name in known or f"validation_{metric.validation_name}_best" in known
            ),
            None,
        )

    @property
    def validation_score(self) -> float | None:
        return self.train.get(f"validation_{self.metric.validation_name}_best") if self.metric else None

    @property
    def test_score(self) -> float | None:
        return self.test.get(self.metric.name) if self.metric else None

    @property
    def state(self) -> str:
        """`ready`, or the first stage that has not run."""
        if not (self.train and self.is_trained):
            return "not trained" if self.onnx is None else "exported only"
        return "not exported" if self.onnx is None else "not evaluated" if not self.test else "ready"


def read_json(file: Path, target: str = "") -> dict[str, Any]:
    """The object in a JSON file; empty if there is no file.

    Args:
        target: the stage that writes the file, as DVC names it: `train@mnist_cnn`.

    Raises:
        UserError: the file is damaged.
    """
    if not file.is_file():
        return {}
    try:
        content = json.loads(file.read_text("utf-8"))
        if isinstance(content, dict):
            return content
    except (ValueError, RecursionError):
        pass
    name = file.relative_to(paths.project()) if file.is_relative_to(paths.project()) else file
    remedy = f"`dvc repro {target}` restores it from DVC's cache, or computes it again"
    raise UserError(f"{name} is damaged: {remedy if target else f'delete it, or `git restore {name}`'}")
