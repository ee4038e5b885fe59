"""model.json: what a Predictor needs to run the model, and facts about it for people."""

from torchprimer.atomic import Json
from torchprimer.experiment_results import validation_scores
from torchprimer.models import Record
from torchprimer.tasks import get_task
from torchprimer.tasks.base import RawInput


def build_metadata(record: Record, raw_input: RawInput, train: Json, test: Json, graph: Json) -> Json:
    """The content of model.json, from train.json, test.json and facts of the ONNX file: input, output, sha256 ..."""
    task = get_task(record.params.task)
    params, data = record.params.model_dump(mode="json"), record.data.model_dump(mode="json")
    transform = raw_input.transform(record.data)
    return {
        "experiment": record.experiment,
        "dataset": params["dataset"],
        "kind": task.export_kind or raw_input.predictor_kind,
        "task": data["task"],
        "model": params["model"],
        "extractor": data.get("experiment"),  # of precomputed features
        "classes": data["classes"] if task.predicts_classes else None,
        "target": data.get("target"),
        "time_column": data.get("time_column"),
        "columns": raw_input.columns(transform),
        "scores": {"validation": validation_scores(train), "test": dict(test)},
        "validation_score": task.validation_score(train),
        "samples": data["samples"],
        "held_out": data["held_out"],
        "raw": data["raw"],
        "source": data["source"],
        "images_of": data.get("dataset"),  # precomputed features: the dataset of the images
        "parameters": train["parameters"],
        "params": params,
        "run": record.run.model_dump(),
        "limit": record.run.limit,
        "versions": record.versions,
        "data_digest": record.data_digest,
        "fingerprint": record.fingerprint,
        **graph,
        "transform": transform,
    }
