"""The MLflow store and its runs; the only file that imports MLflow.

Whatever is logged is logged from files, so `sync` can log it again: `train` opens a run, `evaluate` and `export` find
it by the fingerprint in the model's record. The store is SQLite beside dvc.yaml, or where MLFLOW_TRACKING_URI says.
"""

import hashlib
import json
import logging
import os
import platform
import sqlite3
import subprocess
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torchprimer import paths
from torchprimer.errors import UserError

if TYPE_CHECKING:
    from mlflow import MlflowClient

EXPERIMENT = "torchprimer"
CHAMPION = "champion"
CHAMPIONS = """
    SELECT champion.name, champion.version, experiment.value, score.value
    FROM registered_model_aliases AS champion
    JOIN model_version_tags AS experiment ON (experiment.name, experiment.version) = (champion.name, champion.version)
    JOIN model_version_tags AS score ON (score.name, score.version) = (champion.name, champion.version)
    WHERE champion.alias = :alias AND experiment.key = 'experiment' AND score.key = 'validation_score'
"""
Row = dict[str, float | str]


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
            if name != "epoch" and not isinstance(value, str)
        ]
        for start in range(0, len(metrics), 1000):  # MLflow takes at most 1000 at once
            self.client.log_batch(self.id, metrics=metrics[start : start + 1000])
        self._waiting, self._sent = [], time.monotonic()

    def end(self, status: str) -> None:
        """FINISHED, FAILED or KILLED, with all that was heard before."""
        self.send()
        self.client.set_terminated(self.id, status)

    def log_scores(self, scores: dict[str, float], prefix: str = "") -> None:
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        self.client.log_batch(self.id, metrics=[Metric(prefix + k, float(v), now, 0) for k, v in scores.items()])

    def log_training(self, experiment: str) -> None:
        """Final scores and files of a training."""
        self.log_scores(read(paths.metrics(experiment) / "train.json"))
        self.client.log_artifacts(self.id, str(paths.model(experiment)), "training")
        self.client.log_artifact(self.id, str(paths.metrics(experiment) / "history.csv"), "training")

    def log_evaluation(self, experiment: str) -> None:
        """Test scores, tables and figures."""
        self.log_scores(read(paths.metrics(experiment) / "test.json"), "test_")
        self.client.log_artifacts(self.id, str(paths.metrics(experiment) / "test"), "test")
        self.client.set_tag(self.id, "evaluated", digest(paths.metrics(experiment) / "test.json"))

    def log_folds(self, experiment: str) -> None:
        """Mean and deviation over the folds of a cross-validation; each fold is a run beneath this one."""
        import csv

        folder = paths.metrics(experiment)
        self.log_scores(read(folder / "folds.json"), "crossvalidation_")
        with (folder / "folds.csv").open(encoding="utf-8", newline="") as stream:
            for row in csv.DictReader(stream):
                name = f"{experiment}, fold {row.pop('fold')}"
                tags = {"mlflow.parentRunId": self.id}
                started = self.client.create_run(self.store.experiment, run_name=name, tags=tags)
                fold = Run(self.store, started.info.run_id)
                fold.log_scores({key: float(value) for key, value in row.items()}, "validation_")
                fold.end("FINISHED")
        self.client.set_tag(self.id, "crossvalidated", digest(folder / "folds.json"))

    def log_export(self, experiment: str) -> None:
        """The ONNX model with signature and input example, registered under the name of its dataset."""
        import mlflow.onnx
        import numpy as np
        import onnx
        from mlflow.models import Model, ModelSignature
        from mlflow.types import Schema, TensorSpec

        folder = paths.export(experiment)
        record = read(folder / "model.json")
        example = np.load(folder / "example.npy")
        inputs = TensorSpec(
            np.dtype(record["input"]["dtype"]), tuple(record["input"]["shape"]), record["input"]["name"]
        )
        outputs = TensorSpec(np.dtype("float32"), tuple(record["output"]["shape"]), record["output"]["name"])
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
        self.client.set_tag(self.id, "exported", digest(folder / "model.json"))

    def _register(self, record: dict[str, Any], model_uri: str) -> None:
        """A new version of the dataset's model; it becomes champion if its validation score is the best."""
        from mlflow.exceptions import MlflowException

        name = record["registered_as"]
        if not self.client.search_registered_models(f"name = '{name}'"):
            self.client.create_registered_model(name)
        tags = {
            "experiment": record["experiment"],
            "validation_score": str(record["validation_score"]),
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


def log_baselines(store: Store, dataset: str) -> bool:
    """A run for each of a dataset's baselines; False if MLflow has them already."""
    from mlflow.entities import Param

    file = paths.baseline(dataset)
    fingerprint = hashlib.sha256(dataset.encode() + file.read_bytes()).hexdigest()
    if store.find(fingerprint):
        return False
    for model, scores in read(file).items():
        tags = {"dataset": dataset, "model": model, "baseline": "true", "fingerprint": fingerprint}
        started = store.client.create_run(store.experiment, run_name=f"{dataset}_{model}", tags=tags)
        run = Run(store, started.info.run_id)
        store.client.log_batch(run.id, params=[Param("model", model), Param("dataset", dataset)])
        run.log_scores(scores, "test_")
        run.end("FINISHED")
    return True


def beats(challenger: dict[str, str], champion: dict[str, str]) -> bool:
    """Whether a new version becomes champion: by the validation score, on the same data only.

    On other data scores say nothing: then the newer data wins, but a reduced run (`limit`) never wins over a full one.
    """
    if challenger["data"] == champion["data"]:
        if challenger["validation_score"] == "None":  # a generator: nothing says which is better
            return True
        return float(challenger["validation_score"]) > float(champion["validation_score"])
    return challenger["limit"] == "None" or champion["limit"] != "None"


def champions() -> dict[str, tuple[str, str, float | None]]:
    """Registered name -> experiment, version and validation score of its champion (generators have no score).

    Reads only: where there is no store, it makes none.
    """
    if "MLFLOW_TRACKING_URI" not in os.environ:
        file = paths.root() / "mlflow.db"
        if not file.is_file():
            return {}
        try:  # without the two seconds that MLflow takes to get ready
            with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as database:
                rows = database.execute(CHAMPIONS, {"alias": CHAMPION}).fetchall()
            return {name: (experiment, str(version), _score(score)) for name, version, experiment, score in rows}
        except sqlite3.Error:
            pass  # another version of MLflow may keep them elsewhere: it knows where
    client, found = Store().client, {}
    for model in client.search_registered_models():
        if CHAMPION in model.aliases:
            version = client.get_model_version(model.name, str(model.aliases[CHAMPION]))
            score = _score(version.tags["validation_score"])
            found[model.name] = (version.tags["experiment"], str(version.version), score)
    return found


def _score(tag: str) -> float | None:
    return None if tag == "None" else float(tag)


def existing_run(store: Store, experiment: str) -> tuple[Run, bool]:
    """The run that trained models/<experiment>, logged from its files if MLflow lacks it; and whether it was there."""
    record = read(paths.model(experiment) / "experiment.json")
    found = store.find(record["fingerprint"])
    return (Run(store, found), True) if found else (_run_from_files(store, record), False)


def _run_from_files(store: Store, record: dict[str, Any]) -> Run:
    """A finished run with the history and the files of a training that MLflow never saw."""
    import csv

    name = record["experiment"]
    run = new_run(store, record, {"restored": "from files"})
    with (paths.metrics(name) / "history.csv").open(encoding="utf-8", newline="") as stream:
        run._waiting = [{key: number(value) for key, value in row.items()} for row in csv.DictReader(stream)]
    run.send()
    run.log_training(name)
    run.end("FINISHED")
    return run


def new_run(store: Store, record: dict[str, Any], more_tags: dict[str, str] | None = None, *, pid: int = 0) -> Run:
    """A new run with its params and tags; `pid`: the process that trains, this one if 0."""
    import psutil
    from mlflow.entities import Param, RunTag

    name, params = record["experiment"], record["params"]
    process = psutil.Process(pid or None)
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


def number(text: str) -> float | str:
    """A cell of history.csv: a number, or a text as it stands."""
    try:
        return float(text)
    except ValueError:
        return text


def flat(params: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested params as `scheduler.name`, `augment.flip` ..."""
    values: dict[str, Any] = {}
    for key, value in params.items():
        values |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return values


def read(file: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(file.read_text("utf-8"))
    return content


def digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _git(*arguments: str) -> str:
    """What git says, or nothing: outside a repository, or without git."""
    try:
        return subprocess.run(
            ["git", *arguments], cwd=paths.project(), capture_output=True, text=True, check=False
        ).stdout.strip()
    except FileNotFoundError:
        return ""
