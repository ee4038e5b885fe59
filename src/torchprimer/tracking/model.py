"""An export folder as a model of MLflow's: logged as code and files, never as a pickle, and registered.

What MLflow runs when it serves the model is served.py, copied beside the folder.
"""

import json
import tempfile
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torchprimer import paths
from torchprimer.tracking.shown import tags_of
from torchprimer.tracking.store import Store, read

if TYPE_CHECKING:
    from mlflow.entities import LoggedModel
    from mlflow.models import ModelSignature

SCRIPT = Path(__file__).with_name("served.py")


def log_model(store: Store, run_id: str, experiment: str) -> None:
    """Logs models/<experiment>.export for a run and registers it: `models:/mnist@champion` is the best of a dataset."""
    from mlflow.entities import LoggedModelOutput, LoggedModelStatus

    folder = paths.export(experiment)
    about, record = read(folder / "model.json"), read(paths.model(experiment) / "experiment.json")
    training = read(paths.metrics(experiment) / "train.json")
    tags = tags_of(record, "experiment")
    # Model.log would do all this, but answer the input example first: that takes seconds for each of forty exports.
    model = store.client.create_logged_model(store.experiment, experiment, run_id, tags, model_type=about["kind"])
    store.client.log_outputs(run_id, [LoggedModelOutput(model.model_id, 0)])
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary) / "model"
        save_model(folder, about, place, run_id, model)
        store.client.log_model_artifacts(model.model_id, str(place))
    store.client.finalize_logged_model(model.model_id, LoggedModelStatus.READY)
    _log_scores(store, run_id, model.model_id)
    store.register(
        experiment if tags["task"] == "generation" else tags["dataset"],
        model.model_uri,
        run_id,
        {
            "experiment": experiment,
            "validation_score": str(validation_score(training)),
            "validation_loss": str(training.get("validation_loss_best")),
            "validation": record["data"]["sha256"]["validation_targets"],
            "limit": str(record["run"]["limit"]),
            "fingerprint": record["fingerprint"],
        },
        (folder / "MODEL.md").read_text("utf-8"),
    )


def save_model(folder: Path, about: dict[str, Any], place: Path, run_id: str, model: "LoggedModel") -> None:
    """Writes what MLflow serves: the export folder, served.py, signature, input example, pinned requirements.

    Args:
        about: model.json of the folder.
    """
    import mlflow.pyfunc
    import pandas as pd
    from mlflow.models import Model

    example = pd.DataFrame(json.loads((folder / "example.json").read_text("utf-8")))
    needed = (folder / "requirements.txt").read_text("utf-8").split()
    mlflow.pyfunc.save_model(
        place,
        mlflow_model=Model(model.artifact_location, run_id, model_uuid=model.model_id, model_id=model.model_id),
        python_model=SCRIPT,
        artifacts={"export": str(folder)},
        signature=signature_of(about),
        input_example=example,
        pip_requirements=[*(f"{package}=={metadata.version(package)}" for package in ("mlflow", "pandas")), *needed],
    )


def signature_of(about: dict[str, Any]) -> "ModelSignature":
    """The columns of the tables that served.py takes and gives.

    Args:
        about: model.json of an export folder.
    """
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema

    kind, classes = about["kind"], about["classes"]
    if kind in ("autoencoder", "generator"):
        answers = [("string", "image"), *([("double", "mse")] if kind == "autoencoder" else [])]
    elif classes and kind != "sequences":
        answers = [("string", "prediction"), *(("double", f"p_{label}") for label in classes)]
    else:
        answers = [("string" if kind == "sequences" else "double", "prediction")]
    return ModelSignature(
        Schema([ColSpec(column["type"], column["name"]) for column in about["columns"]]),
        Schema([ColSpec(type_, name) for type_, name in answers]),
    )


def validation_score(training: dict[str, float]) -> float | None:
    """What the champion of a dataset is chosen by, the higher the better; None for a generator.

    Args:
        training: train.json.
    """
    for key, sign in (("validation_accuracy_best", 1), ("validation_r2_best", 1), ("validation_loss_best", -1)):
        if key in training:
            return sign * training[key]
    return None


def _log_scores(store: Store, run_id: str, model_id: str) -> None:
    """The run's summary, for the page of the model as well."""
    from mlflow.entities import Metric

    metrics = []
    for name in store.client.get_run(run_id).data.metrics:
        if name.startswith("test_") or name.endswith("_best"):
            found = store.client.get_metric_history(run_id, name)[-1]
            metrics.append(Metric(name, found.value, found.timestamp, found.step, model_id=model_id))
    store.client.log_batch(run_id, metrics=metrics)
