"""The MLflow store: where it is, its one experiment, its registered models and their champions.

The folder is the only one that imports MLflow. Whatever is logged is logged from files, so `sync` can log it again. The
store is SQLite beside dvc.yaml, or where MLFLOW_TRACKING_URI says.
"""

import hashlib
import json
import logging
import os
import platform
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from torchprimer import paths
from torchprimer.errors import UserError
from torchprimer.tracking.views import ABOUT, view_tags

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

EXPERIMENT = "torchprimer"
CHAMPION = "champion"
CHAMPIONS = """
    SELECT champion.name, champion.version, experiment.value, score.value, training.value
    FROM registered_model_aliases AS champion
    JOIN model_version_tags AS experiment ON (experiment.name, experiment.version) = (champion.name, champion.version)
    JOIN model_version_tags AS score ON (score.name, score.version) = (champion.name, champion.version)
    JOIN model_version_tags AS training ON (training.name, training.version) = (champion.name, champion.version)
    WHERE champion.alias = :alias AND experiment.key = 'experiment' AND score.key = 'validation_score'
        AND training.key = 'fingerprint'
"""


class Store:
    """The MLflow store of this project, made if need be."""

    def __init__(self) -> None:
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
        os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")  # of a server that is down; else for minutes
        from filelock import FileLock

        self.lock = FileLock(paths.main_checkout() / ".mlflow.lock")
        import mlflow
        from mlflow.exceptions import MlflowException
        from sqlalchemy.exc import SQLAlchemyError

        logging.getLogger("mlflow").setLevel(logging.ERROR)  # it tells of its tables and of GPUs that are not there
        given = os.environ.get("MLFLOW_TRACKING_URI")
        mlflow.set_tracking_uri(given or f"sqlite:///{(paths.main_checkout() / 'mlflow.db').as_posix()}")
        artifacts = None if given else (paths.main_checkout() / "mlartifacts").as_uri()
        try:
            with self.lock:  # two processes that create the SQLite schema at once break it for ever
                self.client: MlflowClient = mlflow.MlflowClient()
                self.experiment = self._experiment(artifacts)
        except (MlflowException, SQLAlchemyError) as error:
            where = given or "mlflow.db"
            raise UserError(f"MLflow's store {where} cannot be used: {str(error).splitlines()[0]}") from error
        self.remote = bool(given and given.startswith(("http:", "https:")))
        self.file = None if given else (paths.main_checkout() / "mlflow.db").stat()

    def is_still_there(self) -> bool:
        """Whether it can be used on: nobody has deleted or replaced its database (SQLite itself would not notice)."""
        try:
            return self.remote or (
                self.file is not None and os.path.samestat(self.file, (paths.main_checkout() / "mlflow.db").stat())
            )
        except (FileNotFoundError, UserError):
            return False

    def _experiment(self, artifacts: str | None) -> str:
        """The id of the experiment, with what its pages say and show; what a user has changed there stays."""
        tags = {"mlflow.experimentKind": "custom_model_development", "mlflow.note.content": ABOUT, **view_tags()}
        found = self.client.get_experiment_by_name(EXPERIMENT)
        if not found:
            return self.client.create_experiment(EXPERIMENT, artifacts, tags)
        experiment: str = found.experiment_id
        if found.lifecycle_stage == "deleted":
            raise UserError(
                f"the experiment {EXPERIMENT} of MLflow was deleted: `mlflow experiments restore --experiment-id "
                f"{experiment}` brings it back, `mlflow gc --experiment-ids {experiment}` removes it for good"
            )
        for key, value in tags.items():
            if key not in found.tags:
                self.client.set_experiment_tag(experiment, key, value)
        return experiment

    def find(self, fingerprint: str) -> str | None:
        """The newest finished run of exactly this training; with DVC experiments, preferably of this one."""
        runs = self.finished(fingerprint)
        name = os.environ.get("DVC_EXP_NAME", "")
        mine = [run for run in runs if run.data.tags.get("DVC_EXP_NAME", "") == name]
        return (mine or runs)[0].info.run_id if runs else None

    def finished(self, fingerprint: str) -> "list[Run]":
        """All of this fingerprint, the newest first."""
        return self.client.search_runs(
            [self.experiment],
            f"tags.fingerprint = '{fingerprint}' and attributes.status = 'FINISHED'",
            order_by=["attributes.start_time DESC"],
            max_results=100,
        )

    def children(self, run_id: str) -> list[str]:
        """Ids of the runs beneath this one."""
        runs = self.client.search_runs([self.experiment], f"tags.mlflow.parentRunId = '{run_id}'")
        return [run.info.run_id for run in runs]

    def kill_stale_runs(self) -> None:
        """Ends the runs whose process is no longer there: it was killed, or the machine went down."""
        import psutil

        for run in self.client.search_runs([self.experiment], "attributes.status = 'RUNNING'"):
            tags = run.data.tags
            if tags.get("host") != platform.node():
                continue
            try:
                process = psutil.Process(int(tags["pid"]))
                alive = abs(process.create_time() - float(tags["pid_started"])) < 1
                alive = alive and process.status() != psutil.STATUS_ZOMBIE  # dead, but nobody asked how it ended
            except (psutil.NoSuchProcess, KeyError, ValueError):
                alive = False
            if not alive:
                self.client.set_terminated(run.info.run_id, "KILLED")

    def register(
        self, name: str, model_uri: str, run_id: str, tags: dict[str, str], about: str, description: str
    ) -> str:
        """A new version of the registered model `name`; it becomes champion if it beats the one that there is.

        The champion's run has the tag `champion`, with the registered name.

        Args:
            tags: what `beats` decides by, and the experiment.
            about, description: of the registered model, and of this version; Markdown.

        Returns:
            The version's number.
        """
        from mlflow.exceptions import MlflowException

        with self.lock:  # two exports at once: each has to see whom it has to beat
            if not self.client.search_registered_models(f"name = '{name}'"):
                self.client.create_registered_model(name, description=about)
            version = self.client.create_model_version(
                name, model_uri, run_id=run_id, tags=tags, description=description
            )
            try:
                champion = self.client.get_model_version_by_alias(name, CHAMPION)
            except MlflowException:
                champion = None
            number = str(version.version)
            if champion is not None and not should_promote(tags, champion.tags):
                return number
            self.client.set_registered_model_alias(name, CHAMPION, number)
            with suppress(MlflowException):  # somebody may have deleted that run, or the tag
                if champion is not None and champion.run_id:
                    self.client.delete_tag(champion.run_id, CHAMPION)
            self.client.set_tag(run_id, CHAMPION, name)
            return number


def should_promote(challenger: dict[str, str], champion: dict[str, str]) -> bool:
    """Whether a new version becomes champion: if its score on the same validation samples is better.

    At the same score the loss decides. The same training, exported anew, takes its own place. On other samples scores
    say nothing: then the newer data wins, but a reduced run (`limit`) never wins over a full one. Test scores have no
    say. A champion of somebody else's making stays.

    Args:
        challenger, champion: tags of a version: fingerprint; validation, the digest of the validation samples;
            validation_score, the higher the better (None: a generator, nothing says which is better), and
            validation_loss; limit.
    """
    if "validation_score" not in champion:  # on a team's server there are models of others, too
        return False
    if challenger["fingerprint"] == champion.get("fingerprint"):
        return True
    if challenger["validation"] == champion.get("validation"):
        return challenger["validation_score"] == "None" or _rank(challenger) > _rank(champion)
    return challenger["limit"] == "None" or champion["limit"] != "None"


def _rank(tags: dict[str, str]) -> tuple[float, float]:
    return float(tags["validation_score"]), -float(tags["validation_loss"])


class Champion(NamedTuple):
    """The version of a registered model that has the alias.

    Attributes:
        score: on the validation split, the higher the better; None: a generator.
        fingerprint: of the very training.
    """

    experiment: str
    version: str
    score: float | None
    fingerprint: str


def champions() -> dict[str, Champion]:
    """Registered name -> its champion.

    Reads only: where there is no store, it makes none.
    """
    if "MLFLOW_TRACKING_URI" not in os.environ:
        file = paths.main_checkout() / "mlflow.db"
        if not file.is_file():
            return {}
        try:  # without the two seconds that MLflow takes to get ready
            with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as database:
                rows = database.execute(CHAMPIONS, {"alias": CHAMPION}).fetchall()
            return {
                name: Champion(experiment, str(version), _score(score), fingerprint)
                for name, version, experiment, score, fingerprint in rows
            }
        except sqlite3.Error:
            pass  # another version of MLflow may keep them elsewhere: it knows where
    client, found = Store().client, {}
    for model in client.search_registered_models():
        if CHAMPION in model.aliases:
            version = client.get_model_version(model.name, str(model.aliases[CHAMPION]))
            if "validation_score" in version.tags:  # on a team's server there are models of others, too
                tags, score = version.tags, _score(version.tags["validation_score"])
                found[model.name] = Champion(tags["experiment"], str(version.version), score, tags["fingerprint"])
    return found


def _score(tag: str) -> float | None:
    return None if tag == "None" else float(tag)


def read(file: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(file.read_text("utf-8"))
    return content


def digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
