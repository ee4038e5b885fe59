"""What the project knows of an experiment: from params.yaml, metrics/ and models/, as far as they are there."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torchprimer import paths
from torchprimer.params import Params

if TYPE_CHECKING:
    from torchprimer.tracking.client import Champion

MEASURES = {  # the first of these scores stands for all -> its name for people, and on the validation split
    "accuracy": ("accuracy", "validation_accuracy_best"),
    "r2": ("R²", "validation_r2_best"),
    "frechet_distance": ("Fréchet", ""),
    "mse": ("MSE", "validation_loss_best"),
}


@dataclass(frozen=True)
class Result:
    """One experiment of params.yaml, and what its stages have left so far."""

    params: Params
    name: str

    @property
    def dataset(self) -> str:
        return self.params.experiments[self.name].dataset

    @property
    def raw_dataset(self) -> str:
        """The dataset whose raw input the model takes, and competes for: precomputed features are of images."""
        features = self.params.features.get(self.dataset)
        return features.dataset if features else self.dataset

    @property
    def model(self) -> str:
        return self.params.experiments[self.name].model

    @property
    def trained(self) -> bool:
        return (paths.model(self.name) / "experiment.json").is_file()

    def is_champion(self, champions: "Mapping[str, Champion]") -> bool:
        """Whether this very training is the champion of its dataset, and not an earlier one of the same name."""
        record = read(paths.model(self.name) / "experiment.json") or read(paths.export(self.name) / "model.json")
        champion = champions.get(self.raw_dataset)
        return champion is not None and champion.fingerprint == record.get("fingerprint")

    @property
    def onnx(self) -> Path | None:
        """The exported model."""
        file = paths.export(self.name) / "model.onnx"
        return file if file.is_file() else None

    @cached_property
    def training(self) -> dict[str, Any]:
        """metrics/E/train.json: scores of the best and the last epoch, seconds, parameters; empty if it is missing."""
        return read(paths.metrics(self.name) / "train.json")

    @cached_property
    def test(self) -> dict[str, float]:
        return read(paths.metrics(self.name) / "test.json")

    @cached_property
    def folds(self) -> dict[str, float]:
        return read(paths.metrics(self.name) / "folds.json")

    @cached_property
    def baseline(self) -> dict[str, dict[str, float]]:
        """Test scores of a model that ignores its input (`dummy`) and of a classic one."""
        return read(paths.baseline(self.raw_dataset))

    @property
    def measure(self) -> str | None:
        """The key of MEASURES that stands for this experiment's scores."""
        known = {key for key, (_, validation) in MEASURES.items() if validation in self.training}
        return next((key for key in MEASURES if key in self.test or key in known), None)

    @property
    def validation_score(self) -> float | None:
        return self.training.get(MEASURES[self.measure][1]) if self.measure else None

    @property
    def test_score(self) -> float | None:
        return self.test.get(self.measure) if self.measure else None

    @property
    def state(self) -> str:
        """`ready`, or what is missing, first things first."""
        if not (self.training and self.trained):
            return "not trained" if self.onnx is None else "exported only"
        return "not exported" if self.onnx is None else "not evaluated" if not self.test else "ready"


def read(file: Path) -> dict[str, Any]:
    """A JSON file; empty if there is none."""
    if not file.is_file():
        return {}
    content: dict[str, Any] = json.loads(file.read_text("utf-8"))
    return content


def number(measure: str | None, value: float | None) -> str:
    """A score as people compare it: shares with four decimals, what has no upper limit with four digits."""
    if value is None:
        return ""
    return f"{value:.4f}" if measure in ("accuracy", "r2") else f"{value:.4g}"
