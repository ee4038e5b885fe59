"""An export folder as a model of MLflow's: logged as code and files, never as a pickle, and registered.

What MLflow runs when it serves the model is pyfunc_model.py, copied beside the folder.
"""

import json
import tempfile
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torchprimer import paths
from torchprimer.tracking.client import Store, read
from torchprimer.tracking.run_metadata import tags_of

if TYPE_CHECKING:
    from mlflow.entities import LoggedModel
    from mlflow.models import ModelSignature

Table = list[dict[str, Any]]
SCRIPT = Path(__file__).with_name("pyfunc_model.py")


def log_model(store: Store, run_id: str, experiment: str) -> None:
    """Logs models/<experiment>.export for a run and registers it: `models:/mnist@champion` is the best of a dataset."""
    from mlflow.entities import LoggedModelOutput, LoggedModelStatus

    folder = paths.export(experiment)
    about, record = read(folder / "model.json"), read(paths.model(experiment) / "experiment.json")
    training = read(paths.metrics(experiment) / "train.json")
    example = json.loads((folder / "example.json").read_text("utf-8"))
    tags, run = tags_of(record, "experiment"), store.client.get_run(run_id)
    source = {key: value for key, value in run.data.tags.items() if key.startswith("mlflow.source.")}
    # Model.log would do all this, but answer the input example first: that takes seconds for each of forty exports.
    model = store.client.create_logged_model(
        store.experiment, experiment, run_id, tags | source, model_type=about["kind"]
    )
    store.client.log_outputs(run_id, [LoggedModelOutput(model.model_id, 0)])
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary) / "model"
        save_model(folder, about, example, place, run_id, model)
        store.client.log_model_artifacts(model.model_id, str(place))
    store.client.finalize_logged_model(model.model_id, LoggedModelStatus.READY)
    log_model_scores(store, run_id, model.model_id)
    name = experiment if tags["task"] == "generation" else tags["dataset"]
    version = store.register(
        name,
        model.model_uri,
        run_id,
        {
            "experiment": experiment,
            "validation_score": str(validation_score(training)),
            "validation_loss": str(training.get("validation_loss_best")),
            "validation": record["data"]["validation_samples"],
            "limit": str(record["run"]["limit"]),
            "fingerprint": record["fingerprint"],
        },
        about_registered(name, example),
        run.data.tags["mlflow.note.content"],
    )
    # as mlflow.register_model would, which takes no tags: the link from the model's page to its version
    versions = json.dumps([{"name": name, "version": version}])
    store.client.set_logged_model_tags(model.model_id, {"mlflow.modelVersions": versions})


def save_model(
    folder: Path, about: dict[str, Any], example: Table, place: Path, run_id: str, model: "LoggedModel"
) -> None:
    """Writes what MLflow serves: the export folder, pyfunc_model.py, signature, input example, pinned requirements.

    Args:
        about: model.json of the folder.
    """
    import mlflow.pyfunc
    import pandas as pd
    from mlflow.models import Model

    needed = (folder / "requirements.txt").read_text("utf-8").split()
    mlflow.pyfunc.save_model(
        place,
        mlflow_model=Model(model.artifact_location, run_id, model_uuid=model.model_id, model_id=model.model_id),
        python_model=SCRIPT,
        artifacts={"export": str(folder)},
        signature=signature_of(about),
        input_example=pd.DataFrame(example),
        pip_requirements=[*(f"{package}=={metadata.version(package)}" for package in ("mlflow", "pandas")), *needed],
    )


def signature_of(about: dict[str, Any]) -> "ModelSignature":
    """The columns of the tables that pyfunc_model.py takes and gives.

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


def about_registered(name: str, example: Table) -> str:
    """Markdown for the page of a registered model: what it is, and how to ask it.

    Args:
        example: rows of raw input.
    """
    row = {column: value if len(str(value)) < 100 else f"{str(value)[:60]}..." for column, value in example[0].items()}
    request = json.dumps({"dataframe_records": [row]}, ensure_ascii=False)
    return f"""A version for each export. `models:/{name}@champion` is the best by its score on the validation split.

    mlflow models serve -m models:/{name}@champion --env-manager local --host 127.0.0.1 --port 5001
    curl http://127.0.0.1:5001/invocations -H "Content-Type: application/json" \\
      -d '{request}'
"""


def validation_score(training: dict[str, float]) -> float | None:
    """What the champion of a dataset is chosen by, the higher the better; None for a generator.

    Args:
        training: train.json.
    """
    for key, sign in (("validation_accuracy_best", 1), ("validation_r2_best", 1), ("validation_loss_best", -1)):
        if key in training:
            return sign * training[key]
    return None


def log_model_scores(store: Store, run_id: str, model_id: str) -> None:
    """The summary of a run and its dataset (runs of older versions have none), for the page of a model as well."""
    from mlflow.entities import Metric

    run = store.client.get_run(run_id)
    inputs = run.inputs.dataset_inputs if run.inputs else []
    of = {"dataset_name": inputs[0].dataset.name, "dataset_digest": inputs[0].dataset.digest} if inputs else {}
    metrics = []
    for name in run.data.metrics:
        if name.startswith("test_") or name.endswith("_best"):
            found = store.client.get_metric_history(run_id, name)[-1]
            metrics.append(Metric(name, found.value, found.timestamp, found.step, model_id=model_id, **of))
    store.client.log_batch(run_id, metrics=metrics)
