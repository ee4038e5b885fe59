"""What is known of an experiment: from params.yaml, metrics/ and models/, as far as its stages have run."""

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from torchprimer import paths
from torchprimer.atomic import Json
from torchprimer.errors import UserError
from torchprimer.params import Params
from torchprimer.tasks.metrics import HEADLINE_METRICS, Metric

if TYPE_CHECKING:
    import pandas as pd

Content = TypeAdapter[dict[str, Any]]
OBJECT: Content = TypeAdapter(Json)
SCORES: Content = TypeAdapter(dict[str, int | float])
SCORES_BY_MODEL: Content = TypeAdapter(dict[str, dict[str, int | float]])


def _json_file(
    folder: Callable[[str], Path], file: str, stage: str = "", content: Content = SCORES
) -> "cached_property[Json]":
    """The content of a file that a stage writes for each experiment."""

    def read(result: "ExperimentResults") -> Json:
        return read_json(folder(result.name) / file, stage and f"{stage}@{result.name}", content)

    return cached_property(read)


@dataclass(frozen=True)
class ExperimentResults:
    """One experiment of params.yaml, and what its stages have written so far; what is missing is empty."""

    params: Params
    name: str

    @property
    def dataset(self) -> str:
        return self.params.experiments[self.name].dataset

    @property
    def raw_dataset(self) -> str:
        """The dataset whose raw input the model takes; that of the images for a model of extracted features."""
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
        file = paths.export(self.name) / "model.onnx"
        return file if file.is_file() else None

    exported = _json_file(paths.export, "model.json", "export", OBJECT)
    train = _json_file(paths.metrics, "train.json", "train")  # scores of the best and the last epoch, parameters
    test = _json_file(paths.metrics, "test.json", "evaluate")
    folds = _json_file(paths.metrics, "folds.json", "crossvalidate")

    @cached_property
    def history(self) -> "pd.DataFrame":
        """metrics/E/history.csv, a row for each epoch; no rows if it is missing."""
        import pandas as pd

        file = paths.metrics(self.name) / "history.csv"
        return read_table(file, f"train@{self.name}", "epoch") if file.is_file() else pd.DataFrame()

    @cached_property
    def baseline(self) -> dict[str, dict[str, float]]:
        """Test scores of a model that ignores its input (`dummy`) and of a classic one."""
        return read_json(paths.baseline(self.raw_dataset), f"baseline@{self.raw_dataset}", SCORES_BY_MODEL)

    @property
    def metric(self) -> Metric | None:
        """The metric that stands for this experiment's scores; None before it is trained."""
        for metric in HEADLINE_METRICS:
            if metric.name in self.test or f"validation_{metric.validation_name}_best" in self.train:
                return metric
        return None

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


def validation_scores(train: Mapping[str, float]) -> dict[str, float]:
    """The validation scores of the saved epoch, from train.json."""
    names = [name for name in train if name.startswith("validation_") and name.endswith("_best")]
    return {name.removeprefix("validation_").removesuffix("_best"): train[name] for name in names}


def read_json(file: Path, target: str = "", content: Content = OBJECT) -> Json:
    """The object in a JSON file that the stage `target` writes; empty without the file. UserError: it is damaged."""
    if not file.is_file():
        return {}
    try:
        return content.validate_python(json.loads(file.read_text("utf-8")), strict=True)
    except (ValueError, RecursionError):
        raise _damaged(file, target) from None


def read_timing(experiment: str) -> Json:
    """The seconds that the training of models/<experiment> took here; empty if the last one here was another."""
    timing = read_json(paths.metrics(experiment) / "timing.json")  # no stage restores it
    record = read_json(paths.model(experiment) / "experiment.json", f"train@{experiment}")
    return timing if timing.get("fingerprint") == record.get("fingerprint") else {}


def read_table(file: Path, target: str, key: str) -> "pd.DataFrame":
    """A CSV that the stage `target` writes, numbers or texts; `key` numbers its rows. UserError: it is damaged."""
    import pandas as pd

    try:
        table = pd.read_csv(file)
    except ValueError:  # not UTF-8, or not a table
        raise _damaged(file, target) from None
    numbers = table.drop(columns="text", errors="ignore").apply(pd.to_numeric, errors="coerce")
    gaps = numbers.isna().sum()  # in a column of texts as many as rows
    complete = len(table) and file.read_bytes().endswith(b"\n") and not gaps.between(1, len(table) - 1).any()
    if not complete or gaps.get(key, 1):
        raise _damaged(file, target)
    return table


def _damaged(file: Path, target: str) -> UserError:
    name = file.relative_to(paths.project()) if file.is_relative_to(paths.project()) else file
    remedy = f"`dvc repro {target}` restores it from DVC's cache, or computes it again"
    return UserError(f"{name} is damaged: {remedy if target else f'delete it, or `git restore {name}`'}")
