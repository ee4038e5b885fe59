"""Runs of MLflow: `train` opens one, `evaluate` and `export` find it by the fingerprint in the model's record."""

import csv
import hashlib
import json
import os
import platform
import subprocess
import time
from typing import Any

from torchprimer import paths
from torchprimer.tracking.client import Store, digest, read
from torchprimer.tracking.registry import log_model, log_model_scores
from torchprimer.tracking.run_metadata import (
    baseline_description,
    compared,
    description,
    flat,
    schema,
    tags_of,
    training_metrics,
)

Row = dict[str, float | str]
WAIT = 1.0  # seconds between two messages to MLflow, at least


class Run:
    """A run being written."""

    def __init__(self, store: Store, run_id: str) -> None:
        self.store, self.client, self.id = store, store.client, run_id
        self._waiting: list[Row] = []
        self._sent = time.monotonic()

    def log_epoch(self, row: Row) -> None:
        """Takes one row of the history; sends what has come together at most once a second."""
        self._waiting.append(row)
        if time.monotonic() - self._sent > WAIT:
            self.send()

    def send(self) -> None:
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        metrics = [
            Metric(name, float(value), now, int(row["epoch"]))
            for row in self._waiting
            for name, value in row.items()
            if name != "epoch" and not isinstance(value, str)
        ]
        for start in range(0, len(metrics), 1000):  # MLflow takes at most 1000 at once
            self.client.log_batch(self.id, metrics=metrics[start : start + 1000])
        self._waiting, self._sent = [], time.monotonic()

    def end(self, status: str) -> None:
        """FINISHED, FAILED or KILLED, with all that was heard before."""
        self.send()
        self.client.set_terminated(self.id, status)

    def log_scores(self, scores: dict[str, float]) -> None:
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        self.client.log_batch(self.id, metrics=[Metric(name, float(value), now, 0) for name, value in scores.items()])

    def log_training(self, experiment: str) -> None:
        """Scores of the epoch that was kept, the model's files, history and all scores."""
        folder = paths.metrics(experiment)
        self.log_scores(training_metrics(read(folder / "train.json")))
        self.client.log_artifacts(self.id, str(paths.model(experiment)), "training")
        for name in ("history.csv", "train.json"):
            self.client.log_artifact(self.id, str(folder / name), "training")
        self.describe(experiment)

    def log_evaluation(self, experiment: str) -> None:
        """Test scores, tables and figures."""
        folder = paths.metrics(experiment)
        self.log_scores(compared(read(folder / "test.json"), "test_"))
        outputs = self.client.get_run(self.id).outputs
        if outputs and outputs.model_outputs:  # exported before it was evaluated
            log_model_scores(self.store, self.id, outputs.model_outputs[-1].model_id)
        self.client.log_artifacts(self.id, str(folder / "test"), "test")
        self.client.log_artifact(self.id, str(folder / "test.json"), "test")
        self.client.set_tag(self.id, "evaluated", digest(folder / "test.json"))
        self.describe(experiment)

    def log_folds(self, experiment: str) -> None:
        """Mean and deviation over the folds of a cross-validation; each fold is a run beneath this one."""
        from mlflow.entities import Param

        folder = paths.metrics(experiment)
        folds = read(folder / "folds.json")
        for earlier in self.store.children(self.id):
            self.client.delete_run(earlier)
        record = read(paths.model(experiment) / "experiment.json")
        self.log_scores(compared(folds, "crossvalidation_"))
        params = flat(record["params"]) | record["run"]
        with (folder / "folds.csv").open(encoding="utf-8", newline="") as stream:
            for row in csv.DictReader(stream):
                number = row.pop("fold")
                del row["fingerprint"]
                name = f"{experiment}, fold {number}"
                what = f"Fold {number} of {folds['folds']}: trained on the others, scored on this one; no test rows."
                tags = tags_of(record, "fold") | {"mlflow.parentRunId": self.id, "mlflow.note.content": what}
                tags |= process_tags()
                started = self.client.create_run(self.store.experiment, run_name=name, tags=tags)
                fold = Run(self.store, started.info.run_id)
                values = {"fold": number, **params}
                self.client.log_batch(fold.id, params=[Param(key, str(value)) for key, value in values.items()])
                log_dataset(self.store, fold.id, record["params"]["dataset"], record["data_digest"], record["data"])
                fold.log_scores({f"validation_{key}": float(value) for key, value in row.items()})
                fold.end("FINISHED")
        self.client.set_tag(self.id, "crossvalidated", digest(folder / "folds.json"))
        self.describe(experiment)

    def log_export(self, experiment: str) -> None:
        """The export folder as a model that MLflow can serve, registered under the name of its dataset."""
        log_model(self.store, self.id, experiment)
        self.client.set_tag(self.id, "exported", digest(paths.export(experiment) / "model.json"))

    def describe(self, experiment: str) -> None:
        """The run's description, with the scores that were logged so far."""
        folder = paths.metrics(experiment)
        tags = self.client.get_run(self.id).data.tags
        text = description(
            read(paths.model(experiment) / "experiment.json"),
            read(folder / "train.json"),
            read(folder / "test.json") if "evaluated" in tags else {},
            read(folder / "folds.json") if "crossvalidated" in tags else {},
        )
        self.client.set_tag(self.id, "mlflow.note.content", text)


def log_dataset(store: Store, run_id: str, name: str, data_digest: str, data: dict[str, Any]) -> None:
    """The prepared dataset as the run's input: name, digest, schema and number of samples.

    Args:
        data: its meta.json.
    """
    from mlflow.entities import Dataset, DatasetInput, InputTag

    samples = data["samples"]
    profile = {"num_rows": sum(samples.values()), **samples, "input": " x ".join(map(str, data["shape"]))}
    dataset = Dataset(
        name=name,
        digest=data_digest[:8],
        source_type="local",
        source=json.dumps({"uri": f"data/prepared/{name}"}),
        schema=schema(data),
        profile=json.dumps(profile | ({"classes": ", ".join(data["classes"])} if "classes" in data else {})),
    )
    store.client.log_inputs(run_id, [DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])])


def log_baselines(store: Store, dataset: str) -> bool:
    """A run for each of a dataset's baselines; False if MLflow has them already."""
    from mlflow.entities import Param

    file, meta = paths.baseline(dataset), paths.prepared(dataset) / "meta.json"
    fingerprint = hashlib.sha256(dataset.encode() + file.read_bytes()).hexdigest()
    done = {run.data.tags["model"] for run in store.finished(fingerprint)}
    models = {model: scores for model, scores in read(file).items() if model not in done}
    data = read(meta) if meta.is_file() else {}
    for model, scores in models.items():
        tags: dict[str, str] = {
            **process_tags(),
            "type": "baseline",
            "dataset": dataset,
            **({"kind": data["kind"], "task": data["task"]} if data else {}),
            "model": model,
            "fingerprint": fingerprint,
            "mlflow.source.name": f"torchprimer baseline {dataset}",
            "mlflow.source.type": "PROJECT",
            "mlflow.note.content": baseline_description(dataset, model, scores),
        }
        started = store.client.create_run(store.experiment, run_name=f"{dataset}, baseline {model}", tags=tags)
        run = Run(store, started.info.run_id)
        store.client.log_batch(run.id, params=[Param("model", model), Param("dataset", dataset)])
        if data:
            log_dataset(store, run.id, dataset, digest(meta), data)
        run.log_scores(compared(scores, "test_"))
        run.end("FINISHED")
    return bool(models)


def get_or_create_run(store: Store, experiment: str) -> tuple[Run, bool]:
    """The run that trained models/<experiment>, logged from its files if MLflow lacks it; and whether it was there."""
    record = read(paths.model(experiment) / "experiment.json")
    found = store.find(record["fingerprint"])
    return (Run(store, found), True) if found else (_run_from_files(store, record), False)


def _run_from_files(store: Store, record: dict[str, Any]) -> Run:
    """A finished run with the history and the files of a training that MLflow never saw."""
    name = record["experiment"]
    run = new_run(store, record, {"restored": "from files"})
    with (paths.metrics(name) / "history.csv").open(encoding="utf-8", newline="") as stream:
        run._waiting = [{key: number(value) for key, value in row.items()} for row in csv.DictReader(stream)]
    run.send()
    run.log_training(name)
    run.end("FINISHED")
    return run


def new_run(
    store: Store,
    record: dict[str, Any],
    more_tags: dict[str, str] | None = None,
    *,
    pid: int = 0,
    seconds: float = 0,
) -> Run:
    """A new run with its params, tags and dataset.

    Args:
        pid: the process that trains, this one if 0.
        seconds: that the training had taken by now.
    """
    from mlflow.entities import Param

    name, params = record["experiment"], record["params"]
    commit = _git("rev-parse", "HEAD")
    tags = {
        **tags_of(record, "experiment"),
        "fingerprint": record["fingerprint"],
        "data": record["data_digest"],
        "mlflow.source.name": f"torchprimer train {name}",
        "mlflow.source.type": "PROJECT",
        **process_tags(pid),
        **{f"version_{package}": version for package, version in record["versions"].items()},
        **{key: os.environ[key] for key in ("DVC_STAGE", "DVC_EXP_NAME", "DVC_EXP_BASELINE_REV") if key in os.environ},
        **(
            {"mlflow.source.git.commit": commit, "git_dirty": str(bool(_git("status", "--porcelain")))}
            if commit
            else {}
        ),
        **(more_tags or {}),
    }
    start = int((time.time() - seconds) * 1000)
    run = store.client.create_run(store.experiment, start, tags, name)
    values = flat(params) | record["run"] | {f"samples_{k}": v for k, v in record["data"]["samples"].items()}
    store.client.log_batch(run.info.run_id, params=[Param(key, str(value)) for key, value in values.items()])
    log_dataset(store, run.info.run_id, params["dataset"], record["data_digest"], record["data"])
    return Run(store, run.info.run_id)


def process_tags(pid: int = 0) -> dict[str, str]:
    """By which `Store.kill_stale_runs` sees whether a run's process, this one if 0, is still there."""
    import psutil

    process = psutil.Process(pid or None)
    return {"host": platform.node(), "pid": str(process.pid), "pid_started": str(process.create_time())}


def number(text: str) -> float | str:
    """A cell of history.csv: a number, or a text as it stands."""
    try:
        return float(text)
    except ValueError:
        return text


def _git(*arguments: str) -> str:
    """What git says, or nothing: outside a repository, or without git."""
    try:
        return subprocess.run(
            ["git", *arguments], cwd=paths.project(), capture_output=True, text=True, check=False
        ).stdout.strip()
    except FileNotFoundError:
        return ""
