"""What MLflow shows of a training: which scores, which tags, the data, a description in Markdown.

Pure functions on what the stages wrote: record (models/E/experiment.json), train.json, test.json, folds.json.
"""

import ast
import json
from pathlib import Path
from typing import Any

Json = dict[str, Any]
Scores = dict[str, float]

# Of train.json and test.json, which are logged as files too: what would only make tables wide. Precision and recall are
# in F1, the counts in confusion.csv, the mean squared error in its root; what is known of real images stays the same.
EXCLUDED_METRICS = {
    "precision_macro", "recall_macro", "true_negatives", "false_positives", "false_negatives", "true_positives",
    "frechet_distance_real", "confident_fraction_real", "class_entropy_real", "folds",
}  # fmt: skip

MEASURES = ("accuracy", "r2", "frechet_distance", "mse")  # the first that there is stands for all scores


def training_metrics(scores: Scores) -> Scores:
    """Of the epoch whose weights were kept (`..._best`); the last epoch's are the end of each curve."""
    return {key: value for key, value in scores.items() if key.endswith("_best") or key in ("best_epoch", "parameters")}


def compared(scores: Scores, prefix: str) -> Scores:
    """`test_accuracy`, `test_loss` ...: the few scores that people compare."""
    left_out = EXCLUDED_METRICS | ({"mse"} if "rmse" in scores else set())
    return {prefix + key: value for key, value in scores.items() if key not in left_out}


def tags_of(record: Json, type_: str) -> dict[str, str]:
    """What runs are filtered by.

    Args:
        type_: experiment, baseline or fold.
    """
    params, data = record["params"], record["data"]
    return {"type": type_, "dataset": dataset_of(record), "kind": data["kind"], "task": task_of(record)} | {
        key: params[key] for key in ("model", "loop")
    }


def dataset_of(record: Json) -> str:
    """The dataset whose raw input the model takes: precomputed features are of images."""
    params, data = record["params"], record["data"]
    dataset: str = data["dataset"] if data["kind"] == "features" else params["dataset"]
    return dataset


def task_of(record: Json) -> str:
    """classification, regression, sequence; or generation, of a model that makes images."""
    task: str = record["data"]["task"]
    return "generation" if record["params"]["model"] in ("gan", "autoencoder") else task


def flat(params: Json, prefix: str = "") -> Json:
    """Nested params as `scheduler.name`, `augment.flip` ..."""
    values: Json = {}
    for key, value in params.items():
        values |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return values


def schema(data: Json) -> str:
    """The prepared dataset as MLflow describes data: columns of a table, else shapes of arrays. JSON."""
    if data["kind"] == "tabular":
        types = dict.fromkeys(data["numeric"], "double") | dict.fromkeys(data["categorical"], "string")
        types[data["target"]] = "double" if data["task"] == "regression" else "string"
        return json.dumps(
            {"mlflow_colspec": [{"name": name, "type": type_, "required": True} for name, type_ in types.items()]}
        )
    dtype = {"images": "uint8", "text": "int32", "sequences": "int64", "features": "float32"}[data["kind"]]
    shape = data["shape"] if data["kind"] == "sequences" else []
    arrays = {"features": (dtype, data["shape"]), "targets": ("int64", shape)}
    return json.dumps({
        "mlflow_tensorspec": {
            name: json.dumps([{"type": "tensor", "tensor-spec": {"dtype": dtype, "shape": [-1, *shape]}}])
            for name, (dtype, shape) in arrays.items()
        }
    })  # fmt: skip


def description(record: Json, training: Scores, test: Scores, folds: Scores) -> str:
    """Markdown: what the run is, its command, data and scores with their split.

    Args:
        training, test, folds: train.json, test.json and folds.json; the last two may be empty.
    """
    name, params, run = record["experiment"], record["params"], record["run"]
    best = {
        key.removeprefix("validation_").removesuffix("_best"): value
        for key, value in training.items()
        if key.endswith("_best")
    }
    return "\n".join([
        family(params["model"]),
        "",
        _summary(best, test),
        "",
        f"- command: `dvc repro train@{name}`",
        f"- data: `{params['dataset']}`, {data_in_words(record['data'])}",
        f"- training: `{params['loop']}`, {training['epochs']:,} epochs on "
        f"{run['device']} in {run['precision']}; {training['parameters']:,} parameters",
        *([f"- reduced to at most {run['limit']:,} samples of each split"] if run["limit"] is not None else []),
        *([f"- cross-validation: accuracy {folds['accuracy_mean']:.4f} ± {folds['accuracy_std']:.4f} over "
           f"{folds['folds']} folds, each a run beneath this one"] if folds else []),
        "",
        *_score_table(best, training["best_epoch"], test),
        "",
        _note(test, held_out=record["data"]["held_out"]),
    ])  # fmt: skip


def _summary(best: Scores, test: Scores) -> str:
    """The one score that stands for all, on both splits."""
    key = next((key for key in MEASURES if key in best or key in test), "loss")
    on = [f"{_number(scores[key])} on {split}" for split, scores in (("validation", best), ("test", test))
          if key in scores]  # fmt: skip
    return f"{key} {', '.join(on)}" if on else "Not evaluated yet."


def _score_table(best: Scores, epoch: float, test: Scores) -> list[str]:
    rows = [f"| score | validation, epoch {epoch:,} | test |", "|---|---|---|"]
    for key in dict.fromkeys([*best, *test]):
        rows.append(f"| {key} | {_number(best.get(key))} | {_number(test.get(key))} |")
    return rows


def _note(test: Scores, *, held_out: bool) -> str:
    if not test:
        return "Not evaluated yet: the test scores are still to come."
    if not held_out:
        return "There are so few samples that none are held back: training, validation and test are the same ones."
    return "Validation chose the epoch; the test split was read once, after it."


def baseline_description(dataset: str, model: str, scores: Scores) -> str:
    """Markdown: what a baseline is, its command and scores."""
    dummy = "which ignores its input and answers what is most frequent, or the average"
    what = dummy if model == "dummy" else "a classic"
    return "\n".join([
        f"What a net has to beat on `{dataset}`: `{model}` of scikit-learn, {what}.",
        "",
        _summary({}, scores),
        "",
        f"- command: `dvc repro baseline@{dataset}`",
        "",
        "| score | test |",
        "|---|---|",
        *(f"| {key} | {_number(value)} |" for key, value in scores.items()),
    ])  # fmt: skip


def family(model: str) -> str:
    """What a family of models is, in the first words of its file."""
    file = Path(__file__).parents[1] / "models" / f"{model}.py"
    text = ast.get_docstring(ast.parse(file.read_text("utf-8"))) or model
    return " ".join(text.split("\n\n")[0].split())


def data_in_words(data: Json) -> str:
    """Kind, size and classes of a prepared dataset, and its samples."""
    shape, samples = data["shape"], data["samples"]
    kind = {
        "images": f"images of {' x '.join(map(str, shape))}",
        "tabular": f"a table, {shape[0]} features",
        "text": f"texts, {len(data.get('words', ())):,} words",
        "sequences": f"strings of {shape[0]} characters",
        "features": f"{shape[0]:,} features of each image of {data.get('dataset')}",
    }[data["kind"]]
    classes = data.get("classes", [])
    of = (
        f", {len(classes)} classes ({', '.join(classes[:10])}{', ...' if len(classes) > 10 else ''})" if classes else ""
    )
    counts = ", ".join(f"{count:,} {part}" for part, count in samples.items())
    return f"{kind}{of}; " + (counts if data["held_out"] else f"{samples['train']:,} samples")


def _number(value: float | None) -> str:
    if value is None:
        return ""
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.4f}" if 0.01 <= abs(value) < 10 else f"{value:.4g}"
