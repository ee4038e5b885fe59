"""model.json: what a Predictor has to know of its model, and what a person may want to know; and one raw example."""

import base64
import io
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from torchprimer.datasets.meta import Meta
from torchprimer.models import Record
from torchprimer.params import Experiment
from torchprimer.tasks import get_task

Json = dict[str, Any]


def description(record: Record, training: Json, test: Json, graph: Json) -> Json:
    """Plain JSON.

    Args:
        record: experiment.json of the trained model.
        training, test: its scores, train.json and test.json.
        graph: of the ONNX file: input, output, sha256, largest_difference_to_pytorch, proven_on.
    """
    kind = predictor_kind(record.params, record.data)
    params, data = record.params.model_dump(mode="json"), record.data.model_dump(mode="json")
    transform = transform_of(kind, params, data)
    return {
        "experiment": record.experiment,
        "dataset": params["dataset"],
        "kind": kind,
        "task": data["task"],
        "model": params["model"],
        "extractor": data["experiment"] if data["kind"] == "features" else None,
        "classes": data["classes"] if is_classifier(kind, record.data) else None,
        "target": data.get("target"),
        "time_column": data.get("time_column"),
        "columns": columns_of(kind, transform),
        "scores": scores_of(training, test),
        "validation_score": get_task(record.params.task).validation_score(training),
        "samples": data["samples"],
        "held_out": data["held_out"],
        "raw": data["raw"],
        "source": data["source"],
        "images_of": data.get("dataset"),  # precomputed features: the dataset that they were taken from
        "parameters": training["parameters"],
        "params": params,
        "run": record.run.model_dump(),
        "limit": record.run.limit,
        "versions": record.versions,
        "data_digest": record.data_digest,
        "fingerprint": record.fingerprint,
        **graph,
        "transform": transform,
    }


def is_classifier(kind: str, data: Meta) -> bool:
    """Whether answers are probabilities."""
    return kind not in ("generator", "autoencoder") and data.task != "regression"


def predictor_kind(experiment: Experiment, data: Meta) -> str:
    """What a Predictor calls the kind of its model: generator, autoencoder, images, tabular, text or sequences."""
    made = {"gan": "generator", "autoencoder": "autoencoder"}.get(experiment.model)
    kind: str = made or {"features": "images"}.get(data.kind, data.kind)
    return kind


def transform_of(kind: str, params: Mapping[str, Any], data: Mapping[str, Any]) -> Json:
    """What turns raw input into arrays, as plain numbers and texts, from meta.json."""
    if kind == "generator":
        return {"latent_dim": params["latent_dim"], "shape": data["shape"]}
    if kind == "sequences":
        return {"alphabet": data["classes"], "length": data["shape"][0]}
    if data["kind"] == "features":
        return {"shape": data["image_shape"]}
    keys = {
        "tabular": ("numeric", "zero_as_missing", "categorical", "pca", "features"),
        "text": ("tokenizer", "words", "text_column"),
    }.get(kind, ("shape", "mean", "std"))
    return {key: data[key] for key in keys}


def columns_of(kind: str, transform: Mapping[str, Any]) -> list[dict[str, str]]:
    """The columns of a table of raw inputs, with their types as MLflow calls them."""
    if kind == "tabular":
        types = dict.fromkeys(transform["numeric"], "double") | dict.fromkeys(transform["categorical"], "string")
        return [{"name": name, "type": type_} for name, type_ in types.items()]
    if kind == "generator":
        return [{"name": "seed", "type": "long"}]
    return [{"name": "image" if kind in ("images", "autoencoder") else "text", "type": "string"}]


def scores_of(training: Mapping[str, Any], test: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """By split: of train.json those of the epoch whose weights were kept, and test.json."""
    best = {
        key.removeprefix("validation_").removesuffix("_best"): value
        for key, value in training.items()
        if key.startswith("validation_") and key.endswith("_best")
    }
    return {"validation": best, "test": dict(test)}


def example_of(kind: str, transform: Mapping[str, Any], prepared: npt.NDArray[Any]) -> Json:
    """A raw input, as one row of a table with `columns_of`, that becomes (nearly) the prepared one.

    An image is a PNG in base64. A text has lost the words that the vocabulary lacks, a table's row what principal
    components leave out; a number has four digits.
    """
    if kind == "generator":
        return {"seed": 0}
    if kind == "tabular":
        return _row(transform, prepared)
    if kind == "sequences":
        return {"text": "".join(transform["alphabet"][number] for number in prepared)}
    if kind == "text":
        words = [transform["words"][number - 1] for number in prepared if number]
        return {"text": (" " if transform["tokenizer"] == "words" else "").join(words)}
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(prepared.transpose(1, 2, 0).squeeze()).save(stream, "PNG")
    return {"image": base64.b64encode(stream.getvalue()).decode("ascii")}


def _row(transform: Mapping[str, Any], features: npt.NDArray[Any]) -> Json:
    values = features.astype(np.float64)
    if transform["pca"] is not None:
        values = values @ np.array(transform["pca"]["components"]) + np.array(transform["pca"]["mean"])
    row: Json = {}
    for value, (name, fitted) in zip(values, transform["numeric"].items(), strict=False):
        row[name] = float(f"{value * fitted['std'] + fitted['mean']:.4g}")
    start = len(row)
    for name, categories in transform["categorical"].items():
        row[name] = categories[int(values[start : start + len(categories)].argmax())]
        start += len(categories)
    return row
