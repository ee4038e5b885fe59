"""Runs of MLflow: `train` opens one; the later stages find it by the fingerprint in the model's record."""

import hashlib
import json
import os
import platform
import subprocess
import time
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from torchprimer import paths
from torchprimer.datasets.meta import Meta
from torchprimer.datasets.storage import load_meta
from torchprimer.experiment_results import read_json, read_table, read_timing
from torchprimer.tasks import get_task
from torchprimer.tracking import Row
from torchprimer.tracking.client import Store, retry_on_conflict
from torchprimer.tracking.registry import log_model, log_model_scores
from torchprimer.tracking.run_metadata import (
    baseline_description,
    description,
    digest,
    run_params,
    tags_of,
    tracked_metrics,
    training_metrics,
)

if TYPE_CHECKING:
    from torchprimer.models import Record

BATCH = 1000  # the most metrics that MLflow takes in one request


class Run:
    """A run being written."""

    def __init__(self, store: Store, run_id: str) -> None:
        self.store, self.client, self.id = store, store.client, run_id

    def log_history(self, rows: Iterable[tuple[float, Row]]) -> None:
        """Logs rows of history.csv, each with its time in seconds since the Unix epoch."""
        from mlflow.entities import Metric

        metrics = [
            Metric(name, float(value), int(logged * 1000), int(row["epoch"]))
            for logged, row in rows
            for name, value in row.items()
            if name != "epoch" and not isinstance(value, str)
        ]
        for start in range(0, len(metrics), BATCH):
            self.client.log_batch(self.id, metrics=metrics[start : start + BATCH])

    def end(self, status: str) -> None:
        """`status`: FINISHED, FAILED or KILLED."""
        self.client.set_terminated(self.id, status)

    def supersede_unrecorded_runs(self) -> None:
        """Marks earlier finished runs of this training as KILLED if no later stage logged to them.

        A training runs again if its process died after MLflow had the end and before DVC had recorded the outputs: one
        training must not leave two finished runs.
        """
        run = self.client.get_run(self.id)
        for earlier in self.store.finished(run.data.tags["fingerprint"]):
            ended_before = earlier.info.end_time <= run.info.start_time
            same_name = earlier.data.tags.get("DVC_EXP_NAME") == run.data.tags.get("DVC_EXP_NAME")
            recorded = {"evaluated", "exported", "crossvalidated"} & earlier.data.tags.keys()
            if ended_before and same_name and not recorded:
                self.client.set_tag(earlier.info.run_id, "superseded_by", self.id)
                self.client.set_terminated(earlier.info.run_id, "KILLED", earlier.info.end_time)

    def log_scores(self, scores: dict[str, float]) -> None:
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        self.client.log_batch(self.id, metrics=[Metric(name, float(value), now, 0) for name, value in scores.items()])

    def log_training(self, experiment: str) -> None:
        """Logs the scores of the best epoch, the model's files, the history and train.json."""
        folder = paths.metrics(experiment)
        self.log_scores(training_metrics(read_json(folder / "train.json"), read_timing(experiment)))
        self.client.log_artifacts(self.id, str(paths.model(experiment)), "training")
        for name in ("history.csv", "train.json"):
            self.client.log_artifact(self.id, str(folder / name), "training")
        self.describe(experiment)

    def log_evaluation(self, experiment: str) -> None:
        """Logs test scores, tables and figures."""
        folder = paths.metrics(experiment)
        task = get_task(record_of(experiment).params.task)
        self.log_scores(tracked_metrics(read_json(folder / "test.json"), "test_", task.file_metrics))
        outputs = self.client.get_run(self.id).outputs
        if outputs and outputs.model_outputs:  # the model was exported before this evaluation
            log_model_scores(self.store, self.id, outputs.model_outputs[-1].model_id)
        self.client.log_artifacts(self.id, str(folder / "test"), "test")
        self.client.log_artifact(self.id, str(folder / "test.json"), "test")
        self.client.set_tag(self.id, "evaluated", digest(folder / "test.json"))
        self.describe(experiment)

    def log_folds(self, experiment: str) -> None:
        """Logs means and standard deviations over the folds of a cross-validation, and each fold as a nested run."""
        folder, record = paths.metrics(experiment), record_of(experiment)
        summary = read_json(folder / "folds.json")
        earlier = self.client.search_runs([self.store.experiment], f"tags.mlflow.parentRunId = '{self.id}'")
        for run in earlier:
            self.client.delete_run(run.info.run_id)
        self.log_scores(tracked_metrics(summary, "crossvalidation_", {"folds", "baseline_accuracy_std"}))
        table = read_table(folder / "folds.csv", f"crossvalidate@{experiment}", "fold").drop(columns="fingerprint")
        for number, row in table.set_index("fold").iterrows():
            note = f"Fold {number} of {summary['folds']}: trained on the other folds, scored on this one."
            tags = tags_of(record, "fold") | {"mlflow.parentRunId": self.id, "mlflow.note.content": note}
            name, values = f"{experiment}, fold {number}", {"fold": str(number), **run_params(record)}
            fold = create_run(self.store, name, tags, values)
            fold.log_dataset(record.params.dataset, record.data_digest, record.data)
            fold.log_scores({f"validation_{key}": value for key, value in row.items()})
            fold.end("FINISHED")
        self.client.set_tag(self.id, "crossvalidated", digest(folder / "folds.json"))
        self.describe(experiment)

    def log_export(self, experiment: str) -> None:
        """Logs the export folder as an MLflow model and registers it under the name of its dataset."""
        log_model(self.store, self.id, experiment)
        self.client.set_tag(self.id, "exported", digest(paths.export(experiment) / "model.json"))

    def describe(self, experiment: str) -> None:
        """Sets the run's description, with the scores that were logged so far."""
        folder = paths.metrics(experiment)
        tags = self.client.get_run(self.id).data.tags
        text = description(
            record_of(experiment),
            read_json(folder / "train.json"),
            read_json(folder / "test.json") if "evaluated" in tags else {},
            read_json(folder / "folds.json") if "crossvalidated" in tags else {},
        )
        self.client.set_tag(self.id, "mlflow.note.content", text)

    def log_dataset(self, name: str, data_digest: str, meta: Meta) -> None:
        """Logs the prepared dataset as the run's input: name, digest, schema and number of samples."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        samples = meta.samples
        profile = {"num_rows": sum(samples.values()), **samples, "input": " x ".join(map(str, meta.shape))}
        profile |= {"classes": ", ".join(meta.classes)} if meta.classes else {}
        source = json.dumps({"uri": f"data/prepared/{name}"})
        dataset = Dataset(name, data_digest[:8], "local", source, meta.mlflow_schema(), json.dumps(profile))
        inputs = [DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])]
        retry_on_conflict(lambda: self.client.log_inputs(self.id, inputs))


LOGGERS = {  # by `Part`
    "training": Run.log_training, "evaluation": Run.log_evaluation, "export": Run.log_export, "folds": Run.log_folds,
}  # fmt: skip


def log_baselines(store: Store, dataset: str) -> bool:
    """Logs a run for each baseline of a dataset; returns False if MLflow has them already."""
    file, prepared = paths.baseline(dataset), paths.prepared(dataset)
    fingerprint = hashlib.sha256(dataset.encode() + file.read_bytes()).hexdigest()
    logged = {run.data.tags["model"] for run in store.finished(fingerprint)}
    models = {model: scores for model, scores in read_json(file).items() if model not in logged}
    meta = load_meta(prepared) if (prepared / "meta.json").is_file() else None
    excluded = {name for task in ("classification", "regression") for name in get_task(task).file_metrics}
    for model, scores in models.items():
        tags: dict[str, str] = {
            "type": "baseline",
            "dataset": dataset,
            **({"kind": meta.kind, "task": meta.task} if meta else {}),
            "model": model,
            "fingerprint": fingerprint,
            "mlflow.source.name": f"torchprimer baseline {dataset}",
            "mlflow.source.type": "PROJECT",
            "mlflow.note.content": baseline_description(dataset, model, scores, held_out=meta is None or meta.held_out),
        }
        run = create_run(store, f"{dataset}, baseline {model}", tags, {"model": model, "dataset": dataset})
        if meta:
            run.log_dataset(dataset, digest(prepared / "meta.json"), meta)
        run.log_scores(tracked_metrics(scores, "test_", excluded))
        run.end("FINISHED")
    return bool(models)


def get_or_create_run(store: Store, experiment: str) -> tuple[Run, bool]:
    """The run that trained models/<experiment>, and whether it was created now, from the files of the training."""
    record = record_of(experiment)
    run_id = store.find(record.fingerprint)
    return (Run(store, run_id), False) if run_id else (_run_from_files(store, record), True)


def _run_from_files(store: Store, record: "Record") -> Run:
    """A finished run with the history and the files of a training run that was not logged live."""
    name, now = record.experiment, time.time()
    seconds = read_timing(name).get("seconds", 0)
    run = new_run(store, record, {"restored": "from files"}, started=now - seconds)
    history = read_table(paths.metrics(name) / "history.csv", f"train@{name}", "epoch")
    run.log_history((now, dict(row)) for _, row in history.iterrows())
    run.log_training(name)
    run.end("FINISHED")
    return run


def new_run(store: Store, record: "Record", more_tags: Mapping[str, str] | None = None, *, started: float) -> Run:
    """A new MLflow run of `train`, which started at `started`, in seconds since the Unix epoch."""
    tags = {
        **tags_of(record, "experiment"),
        "fingerprint": record.fingerprint,
        "data": record.data_digest,
        "mlflow.source.name": f"torchprimer train {record.experiment}",
        "mlflow.source.type": "PROJECT",
        **{f"version_{package}": version for package, version in record.versions.items()},
        **{key: os.environ[key] for key in ("DVC_STAGE", "DVC_EXP_NAME", "DVC_EXP_BASELINE_REV") if key in os.environ},
        **git_tags(),
        **(more_tags or {}),
    }
    values = run_params(record) | {f"samples_{split}": str(count) for split, count in record.data.samples.items()}
    run = create_run(store, record.experiment, tags, values, int(started * 1000))
    run.log_dataset(record.params.dataset, record.data_digest, record.data)
    return run


def create_run(
    store: Store, name: str, tags: dict[str, str], params: Mapping[str, str], started: int | None = None
) -> Run:
    """A new run, whose tags name this process for `Store.kill_stale_runs`. `started`: in ms since 1970; None: now."""
    import psutil
    from mlflow.entities import Param

    process = psutil.Process()
    identity = {"host": platform.node(), "pid": str(process.pid), "pid_started": str(process.create_time())}
    run = store.client.create_run(store.experiment, started, tags | identity, name)
    store.client.log_batch(run.info.run_id, params=[Param(key, value) for key, value in params.items()])
    return Run(store, run.info.run_id)


def git_tags() -> dict[str, str]:
    """Commit and `git_dirty` (True: uncommitted changes); empty outside a git repository or without git."""

    def git(*args: str) -> str:
        done = subprocess.run(["git", *args], cwd=paths.project(), capture_output=True, text=True, check=False)
        return done.stdout.strip()

    try:
        commit, dirty = git("rev-parse", "HEAD"), bool(git("status", "--porcelain"))
    except OSError:
        return {}
    return {"mlflow.source.git.commit": commit, "git_dirty": str(dirty)} if commit else {}


def record_of(experiment: str) -> "Record":
    """experiment.json of a trained model. Only a stage that logs a model imports models/; `baseline` does not."""
    from torchprimer.models import load_record

    return load_record(paths.model(experiment))
