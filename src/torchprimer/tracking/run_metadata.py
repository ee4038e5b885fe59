"""What MLflow shows of a training run: scores, tags, the data, a description in Markdown.

Functions of what the stages wrote: experiment.json (`record`), train.json, test.json, folds.json and timing.json.
"""

import ast
import hashlib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torchprimer.datasets.meta import FeaturesMeta, Meta
from torchprimer.tasks.metrics import HEADLINE_METRICS

if TYPE_CHECKING:
    from torchprimer.models import Record

Scores = Mapping[str, float]


def digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def training_metrics(training: Scores, timing: Mapping[str, Any]) -> dict[str, float]:
    """The metrics beside the curves, of train.json and timing.json (may be empty): best scores, parameters, seconds."""
    sizes = ("best_epoch", "parameters", "trainable_parameters")
    best = {key: value for key, value in training.items() if key.endswith("_best") or key in sizes}
    return best | ({"training_seconds": timing["seconds"]} if timing else {})


def tracked_metrics(scores: Scores, prefix: str, excluded: Collection[str]) -> dict[str, float]:
    """The scores that are compared between runs, as `test_accuracy`, `test_loss` ..."""
    return {prefix + key: value for key, value in scores.items() if key not in excluded}


def tags_of(record: "Record", type_: str) -> dict[str, str]:
    """The tags by which runs are filtered. `type_`: experiment or fold."""
    params = record.params
    tags = {"type": type_, "dataset": dataset_of(record), "kind": record.data.kind}
    return {**tags, "task": params.task, "model": params.model, "loop": params.loop}


def dataset_of(record: "Record") -> str:
    """The dataset whose raw input the model takes: for extracted features, that of their images."""
    return record.data.dataset if isinstance(record.data, FeaturesMeta) else record.params.dataset


def flat(params: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested params as `scheduler.name`, `augment.horizontal_flip` ..."""
    values: dict[str, Any] = {}
    for key, value in params.items():
        values |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return values


def run_params(record: "Record") -> dict[str, str]:
    """The params of a run: those of its experiment and the run control."""
    values = flat(record.params.model_dump(mode="json")) | record.run.model_dump()
    return {key: str(value) for key, value in values.items()}


def description(record: "Record", training: Scores, test: Scores, folds: Mapping[str, Any]) -> str:
    """Markdown: a run, its command, its data, its scores by split (`test` and `folds` may be empty)."""
    name, experiment, run, held_out = record.experiment, record.params, record.run, record.data.held_out
    best = {
        key.removeprefix("validation_").removesuffix("_best"): value
        for key, value in training.items()
        if key.endswith("_best")
    }
    return "\n".join([
        model_summary(experiment.model),
        "",
        _headline(best, test, held_out=held_out),
        "",
        f"- command: `dvc repro train@{name}`",
        f"- data: `{experiment.dataset}`, {data_summary(record.data)}",
        f"- training: `{experiment.loop}`, {training['epochs']:,} epochs on {run.device} in {run.precision}; "
        f"{training['parameters']:,} parameters",
        *([f"- reduced to at most {run.limit:,} samples per split"] if run.limit is not None else []),
        *([f"- cross-validation: accuracy {folds['accuracy_mean']:.4f} ± {folds['accuracy_std']:.4f} over "
           f"{folds['folds']} folds, each a nested run"] if folds else []),
        "",
        *_score_table({f"validation, epoch {training['best_epoch']:,}": best, "test": test} if held_out
                      else {"training rows": {**best, **test}}),
        "",
        _note(test, held_out=held_out),
    ])  # fmt: skip


def _headline(best: Scores, test: Scores, *, held_out: bool) -> str:
    """The headline score on the validation and the test split; only one if both are the training rows."""
    names = [metric.name for metric in HEADLINE_METRICS]
    key = next((name for name in names if name in best or name in test), "loss")
    splits = {"validation": best, "test": test} if held_out else {"training rows": test or best}
    parts = [f"{_format(scores[key])} on {split}" for split, scores in splits.items() if key in scores]
    return f"{key} {', '.join(parts)}" if parts else "Not evaluated yet."


def _score_table(columns: Mapping[str, Scores]) -> list[str]:
    keys = dict.fromkeys(key for scores in columns.values() for key in scores)
    rows = [[key, *(_format(scores.get(key)) for scores in columns.values())] for key in keys]
    table = [["score", *columns], ["---"] * (1 + len(columns)), *rows]
    return [f"| {' | '.join(row)} |" for row in table]


def _note(test: Scores, *, held_out: bool) -> str:
    if not test:
        return "Not evaluated yet: there are no test scores."
    if not held_out:
        return "The dataset is too small for held-out splits: all scores are on the training rows."
    return "The epoch was chosen on the validation split; the test split was evaluated once, afterwards."


def baseline_description(dataset: str, model: str, scores: Scores, *, held_out: bool) -> str:
    """Markdown: what a baseline is, its command and scores."""
    kind = {"dummy": "predicts the most frequent class or the mean"}.get(model, "a classic model")
    return "\n".join([
        f"Baseline on `{dataset}`: `{model}` of scikit-learn, {kind}.",
        "",
        _headline({}, scores, held_out=held_out),
        "",
        f"- command: `dvc repro baseline@{dataset}`",
        "",
        *_score_table({"test" if held_out else "training rows": scores}),
    ])  # fmt: skip


def model_summary(model: str) -> str:
    """One sentence on a family of models: the first paragraph of its module's docstring."""
    file = Path(__file__).parents[1] / "models" / f"{model}.py"
    text = ast.get_docstring(ast.parse(file.read_text("utf-8"))) or model
    return " ".join(text.split("\n\n")[0].split())


def data_summary(meta: Meta) -> str:
    """Kind, shape and classes of a prepared dataset, and its numbers of samples."""
    classes, samples = meta.classes, meta.samples
    listed = ", ".join(classes[:10]) + (", ..." if len(classes) > 10 else "")
    of_classes = f", {len(classes)} classes ({listed})" if classes else ""
    counts = ", ".join(f"{count:,} {part}" for part, count in samples.items())
    return f"{meta.describe()}{of_classes}; " + (counts if meta.held_out else f"{samples['train']:,} samples")


def _format(value: float | None) -> str:
    if value is None:
        return ""
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.4f}" if 0.01 <= abs(value) < 10 else f"{value:.4g}"
