"""The MLflow store of this project and its one experiment.

The store is SQLite beside dvc.yaml, or the one that MLFLOW_TRACKING_URI names.
"""

import contextlib
import logging
import os
import platform
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from torchprimer import paths
from torchprimer.atomic import atomic_write
from torchprimer.errors import UserError
from torchprimer.tracking.views import ABOUT, view_tags

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

T = TypeVar("T")

EXPERIMENT = "torchprimer"
SETTINGS = {  # environment variables of MLflow; values that the user has set stay
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",  # seconds; MLflow's default of 120 with 7 retries blocks for minutes
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
}


def tracking_uri() -> str:
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{(paths.main_checkout() / 'mlflow.db').as_posix()}"


def store_exists() -> bool:
    """Whether there is a store to read from; false before the first stage was logged. Imports no MLflow."""
    return "MLFLOW_TRACKING_URI" in os.environ or (paths.main_checkout() / "mlflow.db").exists()


class Store:
    """A connection to the MLflow store, which is created on first use.

    Attributes:
        client: MLflow's client.
        experiment: the id of the experiment that holds all runs.
    """

    def __init__(self) -> None:
        """Opens the store; raises UserError if it cannot be used."""
        for name, value in SETTINGS.items():
            os.environ.setdefault(name, value)
        uri = tracking_uri()
        self.client: MlflowClient
        try:
            import mlflow

            with creation_lock(uri):
                for logger in ("mlflow", "alembic", "urllib3.connectionpool"):
                    logging.getLogger(logger).setLevel(logging.CRITICAL)  # their errors are raised anyway
                _prepare_sqlite(uri)
                before = os.environ.get("MLFLOW_TRACKING_URI")
                mlflow.set_tracking_uri(uri)
                if before is None:  # `set_tracking_uri` sets it; unset means the project's own store
                    os.environ.pop("MLFLOW_TRACKING_URI", None)
                self.client = mlflow.MlflowClient()
                self.experiment = retry_on_conflict(self._get_or_create_experiment)
        except Exception as error:
            raise UserError(f"MLflow: {explain(error)}") from error

    def _get_or_create_experiment(self) -> str:
        """The id of the experiment. Adds its missing tags (views, description); those that a user has changed stay."""
        tags = {"mlflow.experimentKind": "custom_model_development", "mlflow.note.content": ABOUT, **view_tags()}
        experiment = self.client.get_experiment_by_name(EXPERIMENT)
        if not experiment:
            in_project = "MLFLOW_TRACKING_URI" not in os.environ
            artifacts = (paths.main_checkout() / "mlartifacts").as_uri() if in_project else None
            return self.client.create_experiment(EXPERIMENT, artifacts, tags)
        experiment_id: str = experiment.experiment_id
        if experiment.lifecycle_stage == "deleted":
            raise UserError(
                f"MLflow: the experiment {EXPERIMENT} was deleted: `mlflow experiments restore --experiment-id "
                f"{experiment_id}` restores it, `mlflow gc --experiment-ids {experiment_id}` removes it for good"
            )
        for key, value in tags.items():
            if key not in experiment.tags:
                self.client.set_experiment_tag(experiment_id, key, value)
        return experiment_id

    def find(self, fingerprint: str) -> str | None:
        """The id of the newest finished run with this fingerprint, first of this DVC experiment, or None."""
        runs = self.finished(fingerprint)
        same_name = [run for run in runs if run.data.tags.get("DVC_EXP_NAME", "") == os.environ.get("DVC_EXP_NAME", "")]
        return (same_name or runs)[0].info.run_id if runs else None

    def finished(self, fingerprint: str) -> "list[Run]":
        """All finished runs with this fingerprint, the newest first."""
        return self.client.search_runs(
            [self.experiment],
            f"tags.fingerprint = '{fingerprint}' and attributes.status = 'FINISHED'",
            order_by=["attributes.start_time DESC"],
            max_results=100,
        )

    def kill_stale_runs(self) -> None:
        """Marks as KILLED the running runs of this machine whose process no longer exists."""
        import psutil

        for run in self.client.search_runs([self.experiment], "attributes.status = 'RUNNING'"):
            tags = run.data.tags
            if tags.get("host") != platform.node():
                continue
            try:
                process = psutil.Process(int(tags["pid"]))
                alive = abs(process.create_time() - float(tags["pid_started"])) < 1
                alive = alive and process.status() != psutil.STATUS_ZOMBIE
            except (psutil.NoSuchProcess, KeyError, ValueError):
                alive = False
            if not alive:
                self.client.set_terminated(run.info.run_id, "KILLED")


def retry_on_conflict(write: Callable[[], T]) -> T:
    """Calls `write`, and once more if another process inserted the same row in the meantime.

    MLflow reads before it inserts: of two processes that set the same tag at once, one violates a unique constraint.
    """
    from mlflow.exceptions import MlflowException

    try:
        return write()
    except MlflowException as error:
        if error.error_code not in ("BAD_REQUEST", "RESOURCE_ALREADY_EXISTS"):
            raise
        return write()


def creation_lock(uri: str) -> contextlib.AbstractContextManager[object]:
    """A file lock for a new SQLite store: two processes that create MLflow's schema at once corrupt it."""
    from filelock import FileLock

    if not uri.startswith("sqlite:") or Path(uri.removeprefix("sqlite:///")).exists():
        return contextlib.nullcontext()
    return FileLock(paths.main_checkout() / ".mlflow.lock", timeout=60)


def _prepare_sqlite(uri: str) -> None:
    """Checks that a SQLite database can be read, or raises sqlite3.Error: MLflow would retry for 100 s. Creates it."""
    file = Path(uri.removeprefix("sqlite:///"))
    if not uri.startswith("sqlite:///") or "?" in uri:
        return
    if file.is_dir():
        raise sqlite3.OperationalError("it is a folder")
    if file.exists():
        with contextlib.closing(sqlite3.connect(file)) as database:
            database.execute("PRAGMA schema_version")
        return
    import mlflow

    with atomic_write(file) as partial:  # a process killed during the migrations would leave a store that cannot open
        mlflow.MlflowClient(f"sqlite:///{partial.as_posix()}").search_experiments()


def explain(error: Exception) -> str:
    """One line that describes an error of MLflow or its store."""
    if isinstance(error, UserError):
        return str(error).removeprefix("MLflow: ")
    if isinstance(error, FileNotFoundError):  # of the files to log
        return str(error)
    uri = tracking_uri()
    if uri.startswith("http"):
        name = f"the server {uri}"
        if "failed with exception" in str(error):  # of `requests`: refused, timed out, no such host
            return f"{name} does not answer"
    else:
        name = "the store mlflow.db" if "MLFLOW_TRACKING_URI" not in os.environ else f"the store {uri}"
    error = getattr(error.__cause__, "orig", error)  # the database's own, without SQLAlchemy's hints
    message = str(error).strip().splitlines() or [type(error).__name__]
    return f"{name} cannot be used: {message[0].removesuffix('.')}"
