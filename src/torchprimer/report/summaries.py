"""Each experiment beside its neighbours: its comment in params.yaml, what its params say, its score, its baselines."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from torchprimer import paths
from torchprimer.cli.formatting import size
from torchprimer.experiment_results import MEASURES, Result, number
from torchprimer.params import Params, StrictModel
from torchprimer.params.experiments import BaseExperiment, GridRange, Supervised

HIGHER_IS_BETTER = ("accuracy", "r2")
IN_FULL = {"frechet_distance": "Fréchet distance", "mse": "mean squared error"}  # where there is room for it
UNUSED = {"init_from": "scratch", "scorer": "none"}  # values that mean: there is none


@dataclass(frozen=True)
class Entry(Result):
    """A Result, and what people want to see beside it.

    Attributes:
        heading: of its part of params.yaml.
        shows: the comment above it there.
    """

    heading: str
    shows: str

    @property
    def score(self) -> str:
        return number(self.measure, self.test_score)

    @property
    def measured(self) -> str:
        """Name of the score."""
        return IN_FULL.get(self.measure, MEASURES[self.measure][0]) if self.measure else ""

    @property
    def rank(self) -> float:
        """What the table is sorted by: the higher the better, errors and distances below all shares."""
        if self.test_score is None:
            return float("-inf")
        return self.test_score if self.measure in HIGHER_IS_BETTER else -1000 - self.test_score

    @property
    def baselines(self) -> dict[str, str]:
        """Name of each model of scikit-learn -> its score by the same measure, on the same test rows."""
        if self.measure not in HIGHER_IS_BETTER:
            return {}
        return {
            name.replace("_", " "): number(self.measure, scores[self.measure])
            for name, scores in self.baseline.items()
            if self.measure in scores
        }

    @property
    def best_baseline(self) -> tuple[str, str]:
        """Name and score of the best of them; empty if there is none."""
        return max(self.baselines.items(), key=lambda item: float(item[1]), default=("", ""))

    @property
    def loses(self) -> bool:
        """Whether a baseline is better, in the digits that are shown."""
        _, best = self.best_baseline
        return bool(best and self.score) and float(best) > float(self.score)

    @property
    def found(self) -> str:
        """Weight and bias of a line; empty for what is more than a line."""
        if self.measure != "r2" or "weight_best" not in self.training:
            return ""
        names = {"weight_best": "w", "bias_best": "b"}
        return ", ".join(f"{name} = {self.training[key]:.4f}" for key, name in names.items() if key in self.training)

    @property
    def cross_validated(self) -> str:
        """Mean and deviation over the folds; empty if there are none."""
        if not self.folds:
            return ""
        return f"{self.folds['accuracy_mean']:.4f} ± {self.folds['accuracy_std']:.4f} in {self.folds['folds']} folds"

    @property
    def seconds(self) -> str:
        spent = self.training.get("seconds")
        return "" if spent is None else f"{spent:.0f}" if spent >= 1 else "<1"

    @property
    def parameters(self) -> str:
        return f"{self.training['parameters']:,}" if self.training else ""

    @property
    def exported_bytes(self) -> int | None:
        """Of the exported model; large ones have their weights in a file of their own."""
        if self.onnx is None:
            return None
        return sum(file.stat().st_size for file in self.onnx.parent.glob(f"{self.onnx.name}*"))

    @property
    def size(self) -> str:
        return "" if self.exported_bytes is None else size(self.exported_bytes)

    @cached_property
    def settings(self) -> dict[str, str]:
        """The params that say something: those the schema has no default for, and those that differ from it.

        Left out are dataset and model, which stand beside it, and the loss that a model takes for its task anyway.
        """
        own = self.params.resolve(self.name)
        task = self.params.kind_and_task(own.dataset)[1]
        shared = (*BaseExperiment.model_fields, *Supervised.model_fields)
        said = {}
        for key in sorted(type(own).model_fields, key=lambda key: key in shared):  # first those of the model's own
            value, field = getattr(own, key), type(own).model_fields[key]
            usual = key in ("dataset", "model", "loop") or value == UNUSED.get(key)
            usual |= key == "loss" and isinstance(own, Supervised) and value == own.losses(task)[0]
            if not usual and value is not None and (field.is_required() or value != field.default):
                said[key] = text(value)
        return said


def text(value: Any) -> str:
    """A value of params.yaml in few characters."""
    if isinstance(value, GridRange):
        return f"{value.start:g} to {value.stop:g} by {value.step:g}"
    if isinstance(value, StrictModel):
        fields = value.model_dump()
        named = [str(fields.pop("name"))] if "name" in fields else []
        return " ".join([*named, *(f"{key} {text(part)}" for key, part in fields.items())])
    if isinstance(value, list):
        return ", ".join(map(text, value)) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)


def entries(params: Params) -> list[Entry]:
    """All experiments, in the order of params.yaml."""
    said = {name: (heading, shows) for heading, name, shows in comments("experiments")}
    return [Entry(params, name, *said.get(name, ("", ""))) for name in params.experiments]


def comments(section: str) -> Iterator[tuple[str, str, str]]:
    """Of a section of params.yaml: heading, key, and the comment above the key."""
    whole = paths.params().read_text("utf-8")
    part = re.split(rf"^{section}:.*$", whole, maxsplit=1, flags=re.MULTILINE)[-1]
    part = re.split(r"^# ====|^\w", part, maxsplit=1, flags=re.MULTILINE)[0]
    heading, comment = "", list[str]()
    for line in part.splitlines():
        if title := re.fullmatch(r"  # ---- (.+?) -+", line):
            heading, comment = title[1], []
        elif line.startswith("  # "):
            comment.append(line.removeprefix("  # "))
        elif key := re.match(r"  (\w+):( |$)", line):
            yield heading, key[1], " ".join(comment)
            comment = []
        elif not line:
            comment = []


def about(params: Params) -> dict[str, str]:
    """What each dataset is: the first sentence of the comment above its download, or else above itself."""
    downloads, own = ({key: comment for _, key, comment in comments(part)} for part in ("downloads", "datasets"))
    said = {name: downloads.get(name) or own.get(name, "") for name in params.datasets}
    return {name: re.split(r"(?<=[a-z0-9)])\.(?= [A-Z]|$)", comment)[0] for name, comment in said.items()}
