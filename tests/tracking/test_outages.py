"""MLflow never costs a result: whatever is wrong with its store or server, a stage prints one warning and succeeds."""

import ctypes
import os
import re
import resource
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.clone import PROJECT, clean_environment, running
from tests.tracking.conftest import RECORD, SmallProject
from torchprimer.errors import UserError
from torchprimer.tracking import Tracker
from torchprimer.tracking.client import EXPERIMENT, Store


def drop_a_table(file: Path) -> None:
    Store()
    with closing(sqlite3.connect(file)) as database:
        database.execute("PRAGMA foreign_keys = OFF")
        database.execute("DROP TABLE runs")


def set_another_version(file: Path) -> None:
    environment = clean_environment() | {"DVC_ROOT": str(file.parent), "PYTHONPATH": str(PROJECT / "src")}
    script = "from torchprimer.tracking.client import Store; Store()"  # here MLflow would not check the version again
    subprocess.run([sys.executable, "-c", script], env=environment, check=True)
    with closing(sqlite3.connect(file)) as database:
        database.execute("UPDATE alembic_version SET version_num = '451aebb31d03'")  # of MLflow 1.0
        database.commit()


def delete_the_experiment(file: Path) -> None:
    store = Store()
    store.client.delete_experiment(store.experiment)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda file: file.mkdir(), "the store mlflow.db cannot be used: it is a folder"),
        (lambda file: file.write_text("no database"), "the store mlflow.db cannot be used: file is not a database"),
        (drop_a_table, r"the store mlflow.db cannot be used: .*runs"),
        (set_another_version, "the store mlflow.db cannot be used: Detected out-of-date database schema"),
        (delete_the_experiment, "the experiment torchprimer was deleted: `mlflow experiments restore"),
    ],
)
def test_a_damaged_store_is_one_warning(
    root: Path, capfd: pytest.CaptureFixture[str], damage: Callable[[Path], object], reason: str
) -> None:
    """One line, within seconds: MLflow itself retries for 100 s. `sync` says the same and fails."""
    damage(root / "mlflow.db")
    capfd.readouterr()
    started = time.monotonic()
    with Tracker() as tracker:
        tracker.begin(RECORD)
        tracker.log_epoch({"epoch": 1, "validation_loss": 0.5})
        tracker.log("training", "tiny")
    assert time.monotonic() - started < 60
    output = capfd.readouterr()
    assert re.fullmatch(rf"torchprimer: MLflow: {reason}.*; run `torchprimer sync` later\n", output.err), output.err
    assert output.out == ""


def warnings_of_a_training(root: Path, prepare: Callable[[], object]) -> str:
    """stderr of a process that logs a training, in which `prepare` was called before Python starts."""
    script = (
        "from tests.tracking.conftest import RECORD\n"
        "from torchprimer.tracking import Tracker\n"
        "with Tracker() as tracker:\n"
        "    tracker.begin(RECORD)\n"
        "    for epoch in range(20_000):\n"
        "        tracker.log_epoch({'epoch': epoch, 'validation_loss': 0.5})\n"
        "print('result')\n"
    )
    done = subprocess.run(
        [sys.executable, "-B", "-c", script], capture_output=True, text=True, check=True, preexec_fn=prepare,
        env=clean_environment() | {"DVC_ROOT": str(root), "PYTHONPATH": f"{PROJECT / 'src'}:{PROJECT}"},
    )  # fmt: skip
    assert done.stdout == "result\n"
    return done.stderr


def test_a_full_disk_is_one_warning(root: Path) -> None:
    """The kernel refuses to let the database grow, as on a full disk."""
    Store()
    size = (root / "mlflow.db").stat().st_size
    warnings = warnings_of_a_training(root, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size)))
    assert re.fullmatch(r"torchprimer: MLflow: .*(full|I/O).*; run `torchprimer sync` later\n", warnings), warnings


def test_a_read_only_store_is_one_warning(root: Path) -> None:
    """Also for root: without the capability CAP_DAC_OVERRIDE it must obey permissions."""
    Store()
    (root / "mlflow.db").chmod(0o444)
    pr_capbset_drop, cap_dac_override = 24, 1
    warnings = warnings_of_a_training(root, lambda: ctypes.CDLL(None).prctl(pr_capbset_drop, cap_dac_override))
    assert re.fullmatch(
        r"torchprimer: MLflow: .*attempt to write a readonly database; run `torchprimer sync` later\n", warnings
    ), warnings


def test_a_server_that_is_down_is_one_warning(
    root: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    address = f"http://127.0.0.1:{free_port()}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    with Tracker() as tracker:
        tracker.begin(RECORD)
    warning = f"torchprimer: MLflow: the server {address} does not answer; run `torchprimer sync` later\n"
    assert capfd.readouterr().err == warning
    with pytest.raises(UserError, match=f"MLflow: the server {address} does not answer"):
        Store()


def test_a_server_that_never_answers_is_one_warning(
    root: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(8)
        address = f"http://127.0.0.1:{server.getsockname()[1]}"
        monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
        started = time.monotonic()
        with Tracker() as tracker:
            tracker.begin(RECORD)
            assert time.monotonic() - started < 12  # the training does not wait longer
        assert time.monotonic() - started < 65
    assert re.fullmatch(
        f"torchprimer: MLflow: (the server {address} does not answer|no answer within 60 seconds); run `torchprimer "
        "sync` later\n",
        capfd.readouterr().err,
    )


def test_ctrl_c_while_waiting_for_mlflow_keeps_the_results(
    root: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(8)
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{server.getsockname()[1]}")
        with Tracker() as tracker:
            tracker.log("evaluation", "tiny")
            signal.setitimer(signal.ITIMER_REAL, 2)
            previous = signal.signal(signal.SIGALRM, signal.default_int_handler)
        signal.signal(signal.SIGALRM, previous)
    assert capfd.readouterr().err == "torchprimer: MLflow: interrupted; run `torchprimer sync` later\n"


def test_a_training_with_a_broken_store_ends_well(project: SmallProject) -> None:
    (project.folder / "mlflow.db").mkdir()
    done = project.run("train", "hours_logistic")
    assert "hours_logistic: validation" in done.stdout
    assert [line for line in done.stderr.splitlines() if "torchprimer" in line] == [
        "torchprimer: MLflow: the store mlflow.db cannot be used: it is a folder; run `torchprimer sync` later"
    ]
    assert (project.folder / "models" / "hours_logistic" / "model.safetensors").is_file()
    assert not list((project.folder / ".checkpoints").glob("hours_logistic*"))
    failed = project.run("sync", fails=True)
    assert failed.stderr == "torchprimer: MLflow: the store mlflow.db cannot be used: it is a folder\n"
    (project.folder / "mlflow.db").rmdir()
    assert "hours_logistic: logged training\n" in project.run("sync").stdout


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def mlflow_server(folder: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A real server on a SQLite database in `folder`: its address and its process, the leader of a group."""
    folder.mkdir()
    port = free_port()
    command = [sys.executable, "-m", "mlflow", "server", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}"]
    command += ["--artifacts-destination", str(folder / "artifacts")]
    log, environment = folder / "log", clean_environment() | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with log.open("w") as output, running(
        command, cwd=folder, env=environment, stdout=output, stderr=output, start_new_session=True
    ) as server:  # fmt: skip
        try:
            wait_for(lambda: server.poll() is not None or "Application startup complete" in log.read_text())
            assert server.poll() is None, log.read_text()
            yield f"http://127.0.0.1:{port}", server
        finally:
            if server.poll() is None:
                os.killpg(server.pid, signal.SIGKILL)
                server.wait()


def wait_for(condition: Callable[[], object], seconds: float = 180) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_server_that_stops_during_a_training(project: SmallProject, tmp_path: Path) -> None:
    """The training ends well; `sync` brings the whole run to a new server."""
    from mlflow import MlflowClient

    params = project.folder / "params.yaml"
    params.write_text(re.sub(r"(?m)^epochs:.*$", "epochs: 10000", params.read_text("utf-8")), "utf-8")
    with mlflow_server(tmp_path / "old") as (address, server):
        client = MlflowClient(address)
        environment = clean_environment() | {"MLFLOW_TRACKING_URI": address}
        with running(
            project.command("train", "hours_logistic"), cwd=project.folder, env=environment,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        ) as training:  # fmt: skip

            def has_metrics() -> bool:
                experiment = client.get_experiment_by_name(EXPERIMENT)
                runs = client.search_runs([experiment.experiment_id]) if experiment else []
                return any(run.info.status == "RUNNING" and run.data.metrics for run in runs)

            wait_for(has_metrics)
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()
            assert training.poll() is None, "the training ended before the server was stopped"
            output, errors = training.communicate(timeout=300)
    assert training.returncode == 0
    assert "after epoch" in output
    assert [line for line in errors.splitlines() if "MLflow" in line] == [
        f"torchprimer: MLflow: the server {address} does not answer; run `torchprimer sync` later"
    ]
    with mlflow_server(tmp_path / "new") as (address, _):
        synced = project.run("sync", MLFLOW_TRACKING_URI=address)
        assert "hours_logistic: logged training\n" in synced.stdout
        client = MlflowClient(address)
        experiment = client.get_experiment_by_name(EXPERIMENT)
        assert experiment is not None
        (run,) = client.search_runs([experiment.experiment_id])
        assert (run.info.run_name, run.info.status) == ("hours_logistic", "FINISHED")
        history = client.get_metric_history(run.info.run_id, "validation_loss")
        assert [metric.step for metric in history] == list(range(1, 10001))
        artifacts = {item.path for item in client.list_artifacts(run.info.run_id, "training")}
        assert {"training/model.safetensors", "training/history.csv"} <= artifacts
