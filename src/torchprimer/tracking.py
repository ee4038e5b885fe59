"""MLflow: one run per trained experiment; the only file that imports it.

Whatever is logged is logged from files, so `sync` can log it again: `train` opens a run, `evaluate` and `export` find
it by the fingerprint in the model's record. The store is SQLite beside dvc.yaml, or where MLFLOW_TRACKING_URI says.
"""

import hashlib
import json
import logging
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torchprimer import paths
from torchprimer.errors import UserError

if TYPE_CHECKING:
    from mlflow import MlflowClient

EXPERIMENT = "torchprimer"
CHAMPION = "champion"
Row = dict[str, float]


class Store:
    """The MLflow store of this project, made if need be."""

    def __init__(self) -> None:
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
        from filelock import FileLock

        self.lock = FileLock(paths.root() / ".mlflow.lock")
        import mlflow
        from mlflow.exceptions import MlflowException
        from sqlalchemy.exc import SQLAlchemyError

        logging.getLogger("mlflow").setLevel(logging.ERROR)  # it tells of its tables and of GPUs that are not there
        given = os.environ.get("MLFLOW_TRACKING_URI")
        mlflow.set_tracking_uri(given or f"sqlite:///{(paths.root() / 'mlflow.db').as_posix()}")
        artifacts = None if given else (paths.root() / "mlartifacts").as_uri()
        try:
            with self.lock:  # two processes that create the SQLite schema at once break it for ever
                self.client: MlflowClient = mlflow.MlflowClient()
                found = self.client.get_experiment_by_name(EXPERIMENT)
                self.experiment: str = (
                    found.experiment_id if found else self.client.create_experiment(EXPERIMENT, artifacts)
                )
        except (MlflowException, SQLAlchemyError) as error:
            where = given or "mlflow.db"
            raise UserError(f"MLflow's store {where} cannot be used: {str(error).splitlines()[0]}") from error
        mlflow.set_experiment(experiment_id=self.experiment)

    def find(self, fingerprint: str) -> str | None:
        """The newest finished run of exactly this training; with DVC experiments, preferably of this one."""
        runs = self.client.search_runs(
            [self.experiment],
            f"tags.fingerprint = '{fingerprint}' and attributes.status = 'FINISHED'",
            order_by=["attributes.start_time DESC"],
            max_results=100,
        )
        name = os.environ.get("DVC_EXP_NAME", "")
        mine = [run for run in runs if run.data.tags.get("DVC_EXP_NAME", "") == name]
        return (mine or runs)[0].info.run_id if runs else None

    def end_dead_runs(self) -> None:
        """Ends the runs whose process is no longer there: it was killed, or the machine went down."""
        import psutil

        for run in self.client.search_runs([self.experiment], "attributes.status = 'RUNNING'"):
            tags = run.data.tags
            if tags.get("host") != platform.node():
                continue
            try:
                alive = abs(psutil.Process(int(tags["pid"])).create_time() - float(tags["pid_started"])) < 1
            except (psutil.NoSuchProcess, KeyError, ValueError):
                alive = False
            if not alive:
                self.client.set_terminated(run.info.run_id, "KILLED")


class Run:
    """A run being written."""

    def __init__(self, store: Store, run_id: str) -> None:
        self.store, self.client, self.id = store, store.client, run_id
        self._waiting: list[Row] = []
        self._sent = time.monotonic()

    def log_epoch(self, row: Row) -> None:
        """Takes one row of the history; sends what has come together at most once a second."""
        self._waiting.append(row)
        if time.monotonic() - self._sent > 1:
            self.send()

    def send(self) -> None:
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        metrics = [
            Metric(name, float(value), now, int(row["epoch"]))
            for row in self._waiting
            for name, value in row.items()
            if name != "epoch"
        ]
        for start in range(0, len(metrics), 1000):  # MLflow takes at most 1000 at once
            self.client.log_batch(self.id, metrics=metrics[start : start + 1000])
        self._waiting, self._sent = [], time.monotonic()

    def log_scores(self, scores: dict[str, float], prefix: str = "") -> None:
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        self.client.log_batch(self.id, metrics=[Metric(prefix + k, float(v), now, 0) for k, v in scores.items()])

    def log_training(self, experiment: str) -> None:
        """Final scores and files of a training."""
        self.log_scores(_read(paths.metrics(experiment) / "train.json"))
        self.client.log_artifacts(self.id, str(paths.model(experiment)), "training")
        self.client.log_artifact(self.id, str(paths.metrics(experiment) / "history.csv"), "training")

    def log_evaluation(self, experiment: str) -> None:
        """Test scores, tables and figures."""
        self.log_scores(_read(paths.metrics(experiment) / "test.json"), "test_")
        self.client.log_artifacts(self.id, str(paths.metrics(experiment) / "test"), "test")
        self.client.set_tag(self.id, "evaluated", _digest(paths.metrics(experiment) / "test.json"))

    def log_export(self, experiment: str) -> None:
        """The ONNX model with signature and input example, registered under the name of its dataset."""
        import mlflow.onnx
        import numpy as np
        import onnx
        from mlflow.models import Model, ModelSignature
        from mlflow.types import Schema, TensorSpec

        folder = paths.export(experiment)
        record = _read(folder / "model.json")
        example = np.load(folder / "example.npy")
        inputs = TensorSpec(
            np.dtype(record["input"]["dtype"]), tuple(record["input"]["shape"]), record["input"]["name"]
        )
        outputs = TensorSpec(np.dtype("float32"), (-1, len(record["classes"])), record["output"]["name"])
        info = Model.log(
            artifact_path=None,
            name=experiment,
            flavor=mlflow.onnx,
            run_id=self.id,
            onnx_model=onnx.load(folder / "model.onnx"),
            signature=ModelSignature(Schema([inputs]), Schema([outputs])),
            input_example={record["input"]["name"]: example},
            pip_requirements=[f"{name}=={version}" for name, version in record["requirements"].items()],
            save_as_external_data=False,
        )
        self.client.log_artifacts(self.id, str(folder), "export")
        with self.store.lock:
            self._register(record, info.model_uri)
        self.client.set_tag(self.id, "exported", _digest(folder / "model.json"))

    def _register(self, record: dict[str, Any], model_uri: str) -> None:
        """A new version of the dataset's model; it becomes champion if its validation score is the best."""
        from mlflow.exceptions import MlflowException

        name = record["dataset"]
        if not self.client.search_registered_models(f"name = '{name}'"):
            self.client.create_registered_model(name)
        tags = {
            "experiment": record["experiment"],
            "validation_accuracy": str(record["validation_accuracy"]),
            "data": record["data_digest"],
            "limit": str(record["limit"]),
        }
        version = self.client.create_model_version(name, model_uri, run_id=self.id, tags=tags)
        try:
            champion = self.client.get_model_version_by_alias(name, CHAMPION)
        except MlflowException:
            champion = None
        if champion is None or beats(tags, champion.tags):
            self.client.set_registered_model_alias(name, CHAMPION, version.version)


def beats(challenger: dict[str, str], champion: dict[str, str]) -> bool:
    """Whether a new version becomes champion: by the validation score, on the same data only.

    On other data scores say nothing: then the newer data wins, but a reduced run (`limit`) never wins over a full one.
    """
    if challenger["data"] == champion["data"]:
        return float(challenger["validation_accuracy"]) > float(champion["validation_accuracy"])
    return challenger["limit"] == "None" or champion["limit"] != "None"


@contextmanager
def training_run(record: dict[str, Any]) -> Iterator[Run]:
    """Opens the run of a training and ends it: FINISHED, FAILED, or KILLED, even by kill -9."""
    store = Store()
    store.end_dead_runs()
    run = _create(store, record)
    with _watched(run.id) as done:
        try:
            yield run
            run.send()
        except BaseException as error:
            done()
            run.send()
            store.client.set_terminated(run.id, "FAILED" if isinstance(error, Exception) else "KILLED")
            raise
        done()
        store.client.set_terminated(run.id, "FINISHED")


def existing_run(experiment: str) -> Run:
    """The run that trained models/<experiment>; logged from the files if MLflow does not have it."""
    store = Store()
    record = _read(paths.model(experiment) / "experiment.json")
    found = store.find(record["fingerprint"])
    return Run(store, found) if found else _run_from_files(store, record)


def sync() -> None:
    """Logs what models/ and metrics/ hold and MLflow lacks: runs restored by DVC, or all after mlflow.db was deleted."""
    store = Store()
    store.end_dead_runs()
    logged = 0
    for file in sorted(paths.model("x").parent.glob("*/experiment.json")):
        record = _read(file)
        name, fingerprint = record["experiment"], record["fingerprint"]
        if not (paths.metrics(name) / "history.csv").is_file():
            continue
        parts: list[str] = []
        found = store.find(fingerprint)
        run = Run(store, found) if found else _run_from_files(store, record)
        if not found:
            parts.append("training")
        tags = store.client.get_run(run.id).data.tags
        test = paths.metrics(name) / "test.json"
        if _is_of(paths.metrics(name) / "test", fingerprint) and tags.get("evaluated") != _digest(test):
            run.log_evaluation(name)
            parts.append("evaluation")
        export = paths.export(name) / "model.json"
        if _is_of(export.parent, fingerprint) and tags.get("exported") != _digest(export):
            run.log_export(name)
            parts.append("export")
        if parts:
            print(f"{name}: logged {', '.join(parts)}")
        logged += bool(parts)
    print(f"{logged} runs logged" if logged else "MLflow has everything that is here: nothing to do")


def _run_from_files(store: Store, record: dict[str, Any]) -> Run:
    import csv

    name = record["experiment"]
    run = _create(store, record, {"restored": "from files"})
    with (paths.metrics(name) / "history.csv").open(encoding="utf-8", newline="") as stream:
        run._waiting = [{key: float(value) for key, value in row.items()} for row in csv.DictReader(stream)]
    run.send()
    run.log_training(name)
    store.client.set_terminated(run.id, "FINISHED")
    return run


def _create(store: Store, record: dict[str, Any], more_tags: dict[str, str] | None = None) -> Run:
    """A new run with its params and tags."""
    import psutil
    from mlflow.entities import Param, RunTag

    name, params = record["experiment"], record["params"]
    process = psutil.Process()
    commit = _git("rev-parse", "HEAD")
    tags = {
        "dataset": params["dataset"],
        "model": params["model"],
        "fingerprint": record["fingerprint"],
        "data": record["data_digest"],
        "mlflow.source.name": f"torchprimer train {name}",
        "mlflow.source.type": "PROJECT",
        "host": platform.node(),
        "pid": str(process.pid),
        "pid_started": str(process.create_time()),
        **{f"version_{package}": version for package, version in record["versions"].items()},
        **{key: os.environ[key] for key in ("DVC_STAGE", "DVC_EXP_NAME", "DVC_EXP_BASELINE_REV") if key in os.environ},
        **(
            {"mlflow.source.git.commit": commit, "git_dirty": str(bool(_git("status", "--porcelain")))}
            if commit
            else {}
        ),
        **(more_tags or {}),
    }
    run = store.client.create_run(store.experiment, run_name=name, tags=tags)
    values = flat(params) | record["run"] | {f"samples_{k}": v for k, v in record["data"]["samples"].items()}
    store.client.log_batch(
        run.info.run_id,
        params=[Param(key, str(value)) for key, value in values.items()],
        tags=[RunTag("mlflow.note.content", f"`{params['model']}` on `{params['dataset']}`: `dvc repro train@{name}`")],
    )
    return Run(store, run.info.run_id)


def flat(params: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested params as `scheduler.name`, `augment.flip` ..."""
    values: dict[str, Any] = {}
    for key, value in params.items():
        values |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return values


@contextmanager
def _watched(run_id: str) -> Iterator[Any]:
    """A small process that outlives this one, even kill -9, and then ends its run as KILLED."""
    command = [sys.executable, str(Path(__file__).parent), "_watch", run_id]
    quiet = subprocess.DEVNULL
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=quiet, stderr=quiet, start_new_session=True
    ) as watcher:

        def done() -> None:
            watcher.communicate(b"done")

        try:
            yield done
        finally:
            watcher.kill()


def watch(run_id: str) -> None:
    """Waits until the training at the other end of standard input is over; ends its run if it did not say `done`."""
    if sys.stdin.buffer.read() != b"done":
        client = Store().client
        if client.get_run(run_id).info.status == "RUNNING":
            client.set_terminated(run_id, "KILLED")


def _read(file: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(file.read_text("utf-8"))
    return content


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _is_of(folder: Path, fingerprint: str) -> bool:
    """Whether a stage's output comes from this very training, and not from an earlier one."""
    record = folder / "model.json"
    return record.is_file() and _read(record)["fingerprint"] == fingerprint


def _git(*arguments: str) -> str:
    """What git says, or nothing: outside a repository, or without git."""
    try:
        return subprocess.run(
            ["git", *arguments], cwd=paths.project(), capture_output=True, text=True, check=False
        ).stdout.strip()
    except FileNotFoundError:
        return ""
