"""Export folders as MLflow models: registered, and logged as code (pyfunc_model.py) and files, never as a pickle."""

import json
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torchprimer import paths
from torchprimer.atomic import Json
from torchprimer.experiment_results import read_json
from torchprimer.tasks import get_task
from torchprimer.tracking.champions import promote
from torchprimer.tracking.client import Store, retry_on_conflict
from torchprimer.tracking.run_metadata import dataset_of, tags_of

if TYPE_CHECKING:
    from mlflow.models import ModelSignature

    from torchprimer.models import Record
    from torchprimer.tasks.base import Task

SCRIPT = Path(__file__).with_name("pyfunc_model.py")


def log_model(store: Store, run_id: str, experiment: str) -> None:
    """Logs models/<experiment>.export for a run and registers it: `models:/mnist@champion` is the best of a dataset."""
    import mlflow.pyfunc
    import pandas as pd
    from mlflow.models import Model

    from torchprimer.models import load_record

    folder = paths.export(experiment)
    about, record = read_json(folder / "model.json"), load_record(paths.model(experiment))
    examples: list[Json] = json.loads((folder / "example.json").read_text("utf-8"))
    training, task = read_json(paths.metrics(experiment) / "train.json"), get_task(record.params.task)
    requirements = (folder / "requirements.txt").read_text("utf-8").split()
    run_tags = store.client.get_run(run_id).data.tags
    tags = tags_of(record, "experiment") | {k: v for k, v in run_tags.items() if k.startswith("mlflow.source.")}
    model = store.client.create_logged_model(store.experiment, experiment, run_id, tags, model_type=about["kind"])
    Model.log(  # as mlflow.pyfunc.log_model does for the active run; here the run has ended
        None,
        mlflow.pyfunc,
        model_id=model.model_id,
        run_id=run_id,
        step=training["best_epoch"],
        python_model=str(SCRIPT),
        artifacts={"export": str(folder)},
        signature=signature_of(about["columns"], task, record.data.classes),
        input_example=pd.DataFrame(examples),
        pip_requirements=[*(f"{name}=={metadata.version(name)}" for name in ("mlflow", "pandas")), *requirements],
    )
    log_model_scores(store, run_id, model.model_id)
    name, data = registered_name(record), record.data.validation_samples
    text, client = registered_description(name, examples[0]), store.client
    retry_on_conflict(
        lambda: client.search_registered_models(f"name = '{name}'") or client.create_registered_model(name, None, text)
    )
    version_tags = {  # that decide the champion
        "experiment": experiment,
        "validation_score": str(task.validation_score(training)),
        "validation_loss": str(training.get("validation_loss_best")),
        "data": data,
        "limit": str(record.run.limit),
        "fingerprint": record.fingerprint,
    }
    note = run_tags["mlflow.note.content"]
    version = client.create_model_version(
        name, model.model_uri, run_id, version_tags, description=note, model_id=model.model_id
    )
    versions = json.dumps([{"name": name, "version": str(version.version)}])
    store.client.set_logged_model_tags(model.model_id, {"mlflow.modelVersions": versions})  # a link between the pages
    promote(store, name, data)


def registered_name(record: "Record") -> str:
    """The registered model of an experiment: its dataset, or itself if its task has no champions of datasets."""
    return dataset_of(record) if get_task(record.params.task).by_dataset else record.experiment


def signature_of(input_columns: Sequence[Mapping[str, str]], task: "Task", classes: list[str]) -> "ModelSignature":
    """The columns of the tables that pyfunc_model.py takes, `columns` of model.json, and returns."""
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema

    return ModelSignature(
        Schema([ColSpec(column["type"], column["name"]) for column in input_columns]),
        Schema([ColSpec(type_, name) for name, type_ in task.output_columns(classes)]),
    )


def registered_description(name: str, example: Mapping[str, Any]) -> str:
    """Markdown for the page of a registered model: what it is, and how to serve it. `example`: a row of raw input."""
    row = {column: value if len(str(value)) < 100 else f"{str(value)[:60]}..." for column, value in example.items()}
    request = json.dumps({"dataframe_records": [row]}, ensure_ascii=False)
    return f"""One version per export. `models:/{name}@champion` has the best score on the validation split.

    mlflow models serve -m models:/{name}@champion --env-manager local --host 127.0.0.1 --port 5001
    curl http://127.0.0.1:5001/invocations -H "Content-Type: application/json" \\
      -d '{request}'
"""


def log_model_scores(store: Store, run_id: str, model_id: str) -> None:
    """Copies the summary scores of a run, with its dataset, to the page of a model."""
    from mlflow.entities import Metric

    run = store.client.get_run(run_id)
    inputs = run.inputs.dataset_inputs if run.inputs else []
    dataset = {"dataset_name": inputs[0].dataset.name, "dataset_digest": inputs[0].dataset.digest} if inputs else {}
    metrics = []
    for name in run.data.metrics:
        if name.startswith("test_") or name.endswith("_best"):
            latest = store.client.get_metric_history(run_id, name)[-1]
            metrics.append(Metric(name, latest.value, latest.timestamp, latest.step, model_id=model_id, **dataset))
    store.client.log_batch(run_id, metrics=metrics)
