"""One experiment as a row of a results table: description, settings, score, baselines."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from torchprimer import paths
from torchprimer.experiment_results import ExperimentResults
from torchprimer.params import Params, StrictModel
from torchprimer.params.experiments import BaseExperiment, GridRange, Supervised

UNUSED = {"init_from": "scratch", "scorer": "none"}  # values that switch an option off
Z_95 = 1.96  # quantile of the normal distribution for a two-sided 95% interval


@dataclass(frozen=True)
class Summary(ExperimentResults):
    """The results of an experiment with the texts and numbers that tables show beside them."""

    heading: str  # title of its group in params.yaml
    description: str  # the comment above it in params.yaml
    seconds: float | None  # of its training; None if not known

    @property
    def score(self) -> str:
        return self.metric.format(self.test_score) if self.metric else ""

    @property
    def metric_label(self) -> str:
        return self.metric.label if self.metric else ""

    @property
    def rank(self) -> float:
        """Sort key of the score: higher is better; errors and distances rank below all accuracies and R²."""
        if self.metric is None or self.test_score is None:
            return float("-inf")
        return self.test_score if self.metric.higher_is_better else -1000 - self.test_score

    @property
    def baselines(self) -> dict[str, str]:
        """Name of each scikit-learn baseline -> its score, by the same metric on the same rows."""
        if self.metric is None or not self.metric.higher_is_better:
            return {}
        key, text = self.metric.name, self.metric.format
        return {name.replace("_", " "): text(scores[key]) for name, scores in self.baseline.items() if key in scores}

    @property
    def best_baseline(self) -> tuple[str, str]:
        """Name and score of the best baseline; empty strings if there is none."""
        return max(self.baselines.items(), key=lambda item: float(item[1]), default=("", ""))

    @property
    def difference(self) -> tuple[float, float] | None:
        """95% confidence interval of the accuracy, model minus best baseline; None if it is not known.

        With cross-validation: the paired t interval over the folds. Otherwise: the normal interval for two proportions
        on the test rows. It treats both sets of predictions as independent, so it is wider than a paired one.
        """
        if self.folds:
            interval = self.folds.get("difference_low"), self.folds.get("difference_high")
            return None if None in interval else interval  # type: ignore[return-value]
        scores = max(self.baseline.values(), key=lambda scores: scores.get("accuracy", 0.0), default={})
        accuracy, rows = self.test.get("accuracy"), scores.get("samples")
        if accuracy is None or rows is None or not self.held_out:
            return None
        proportions = accuracy, scores["accuracy"]
        margin = Z_95 * math.sqrt(sum(p * (1 - p) for p in proportions) / rows)
        mean = proportions[0] - proportions[1]
        return mean - margin, mean + margin

    @property
    def below_baseline(self) -> bool:
        """Whether the best baseline is significantly better: the interval of the difference lies below zero."""
        return self.difference is not None and self.difference[1] < 0

    @property
    def fitted_line(self) -> str:
        """Weight and bias of a fitted line; empty for other models."""
        if "r2" not in self.test:
            return ""
        names = {"weight_best": "w", "bias_best": "b"}
        return ", ".join(f"{name} = {self.train[key]:.4f}" for key, name in names.items() if key in self.train)

    def cross_validation(self, metric: str = "accuracy") -> str:
        """Mean and standard deviation over the folds, also of `baseline_accuracy`; empty without cross-validation."""
        if f"{metric}_mean" not in self.folds:
            return ""
        mean, deviation = self.folds[f"{metric}_mean"], self.folds[f"{metric}_std"]
        return f"{mean:.4f} ± {deviation:.4f} in {self.folds['folds']} folds"

    @property
    def seconds_text(self) -> str:
        return "" if self.seconds is None else f"{self.seconds:.0f}" if self.seconds >= 1 else "<1"

    @property
    def parameters(self) -> str:
        return f"{self.train['parameters']:,}" if self.train else ""

    @property
    def exported_bytes(self) -> int | None:
        """Size of the exported model, with the weights that ONNX stores beside large models."""
        if self.onnx is None:
            return None
        return sum(file.stat().st_size for file in self.onnx.parent.glob(f"{self.onnx.name}*"))

    @cached_property
    def settings(self) -> dict[str, str]:
        """The params without a default in the schema, and those that differ from their default.

        Left out: dataset and model, which have their own columns, and the usual loss of the task.
        """
        experiment = self.params.resolve(self.name)
        common = (*BaseExperiment.model_fields, *Supervised.model_fields)
        settings = {}
        for key in sorted(type(experiment).model_fields, key=lambda key: key in common):  # the model's params first
            value, field = getattr(experiment, key), type(experiment).model_fields[key]
            usual = key in ("dataset", "task", "model", "loop") or value == UNUSED.get(key)
            usual |= key == "loss" and isinstance(experiment, Supervised) and value == experiment.losses()[0]
            if not usual and value is not None and (field.is_required() or value != field.default):
                settings[key] = param_text(value)
        return settings


def by_dataset(summaries: Sequence[Summary]) -> dict[str, list[Summary]]:
    datasets = dict.fromkeys(summary.raw_dataset for summary in summaries)
    return {dataset: [summary for summary in summaries if summary.raw_dataset == dataset] for dataset in datasets}


def param_text(value: Any) -> str:
    """A value of params.yaml in few characters."""
    if isinstance(value, GridRange):
        return f"{value.start:g} to {value.stop:g} by {value.step:g}"
    if isinstance(value, StrictModel):
        fields = value.model_dump()
        name = [str(fields.pop("name"))] if "name" in fields else []
        return " ".join([*name, *(f"{key} {param_text(field)}" for key, field in fields.items())])
    if isinstance(value, list):
        return ", ".join(map(param_text, value)) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)


def summarize(params: Params, seconds: Mapping[str, float]) -> list[Summary]:
    """All experiments, in the order of params.yaml; `seconds`: duration of each training."""
    comments = {name: (heading, comment) for heading, name, comment in commented_keys("experiments")}
    return [Summary(params, name, *comments.get(name, ("", "")), seconds.get(name)) for name in params.experiments]


def commented_keys(section: str) -> Iterator[tuple[str, str, str]]:
    """For each key of a section of params.yaml: the heading of its group, the key, the comment above it."""
    text = (paths.catalog() if section == "downloads" else paths.params()).read_text("utf-8")
    text = re.split(rf"^{section}:.*$", text, maxsplit=1, flags=re.MULTILINE)[-1]
    text = re.split(r"^# ====|^\w", text, maxsplit=1, flags=re.MULTILINE)[0]
    heading, comment = "", list[str]()
    for line in text.splitlines():
        if title := re.fullmatch(r"  # ---- (.+?) -+", line):
            heading, comment = title[1], []
        elif line.startswith("  # "):
            comment.append(line.removeprefix("  # "))
        elif key := re.match(r"  (\w+):( |$)", line):
            yield heading, key[1], " ".join(comment)
            comment = []
        elif not line:
            comment = []


def dataset_descriptions(params: Params) -> dict[str, str]:
    """Dataset -> the first sentence of the comment above its download in params.yaml, or else above the dataset."""
    downloads, datasets = (
        {key: comment for _, key, comment in commented_keys(section)} for section in ("downloads", "datasets")
    )
    comments = {name: downloads.get(name) or datasets.get(name, "") for name in params.datasets}
    return {name: re.split(r"(?<=[a-z0-9)])\.(?= [A-Z]|$)", comment)[0] for name, comment in comments.items()}
