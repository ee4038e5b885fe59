"""MLflow: a store that many may open at once, runs that always end, champions."""

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import PROJECT, clean_environment
from torchprimer.errors import UserError
from torchprimer.tracking import Tracker
from torchprimer.tracking.store import Store, beats, new_run

RECORD: dict[str, Any] = {
    "experiment": "tiny",
    "params": {"dataset": "mnist", "model": "mlp", "lr": 0.1, "scheduler": {"name": "StepLR", "step_size": 3}},
    "run": {"seed": 0},
    "data": {"samples": {"train": 5}},
    "data_digest": "d" * 64,
    "versions": {"torch": "2.13.0"},
    "fingerprint": "f" * 64,
}


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder as the main checkout, so that the store is made there."""
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    return tmp_path


def test_many_processes_create_the_store_at_once(root: Path) -> None:
    script = (
        "from torchprimer.tracking import Tracker\n"
        "with Tracker() as tracker:\n"
        f"    tracker.begin({RECORD!r})\n"
        "    tracker.send('epoch', {'epoch': 1, 'validation_loss': 0.5})\n"
    )
    environment = clean_environment() | {"DVC_ROOT": str(root), "PYTHONPATH": str(PROJECT / "src")}
    processes = [
        subprocess.Popen([sys.executable, "-c", script], env=environment, stderr=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    for process in processes:
        complaint = process.communicate()[1]
        assert process.returncode == 0, complaint
    store = Store()
    found = store.client.search_runs([store.experiment])
    assert [run.info.status for run in found] == ["FINISHED"] * 4
    assert (root / "mlflow.db").is_file()


def test_params_are_flat_and_history_is_whole(root: Path) -> None:
    with Tracker() as tracker:
        run_id = tracker.begin(RECORD)
        for epoch in range(1, 1501):
            tracker.send("epoch", {"epoch": epoch, "validation_loss": 1 / epoch, "lr": 0.1})
    store = Store()
    stored = store.client.get_run(run_id)
    assert stored.data.params == {
        "dataset": "mnist", "model": "mlp", "lr": "0.1", "scheduler.name": "StepLR", "scheduler.step_size": "3",
        "seed": "0", "samples_train": "5",
    }  # fmt: skip
    history = store.client.get_metric_history(run_id, "validation_loss")
    assert [(metric.step, metric.value) for metric in history] == [(epoch, 1 / epoch) for epoch in range(1, 1501)]
    assert store.find("f" * 64) == run_id
    assert Store().find("0" * 64) is None


@pytest.mark.parametrize(
    ("error", "status"), [(ValueError, "FAILED"), (UserError, "FAILED"), (KeyboardInterrupt, "KILLED")]
)
def test_a_run_that_breaks_is_ended(root: Path, error: type[BaseException], status: str) -> None:
    def breaks() -> None:
        with Tracker() as tracker:
            tracker.begin(RECORD)
            tracker.send("epoch", {"epoch": 1, "validation_loss": 0.5})
            raise error

    with pytest.raises(error):
        breaks()
    store = Store()
    (stored,) = store.client.search_runs([store.experiment])
    assert stored.info.status == status
    assert stored.data.metrics == {"validation_loss": 0.5}
    assert Store().find("f" * 64) is None


def test_a_run_whose_process_is_gone_is_ended_by_the_next(root: Path) -> None:
    """The machine went down, and the watcher with it."""
    store = Store()
    gone = new_run(store, RECORD)
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    store.client.set_tag(gone.id, "pid", str(process.pid))
    elsewhere = new_run(store, RECORD)
    store.client.set_tag(elsewhere.id, "host", "another machine")
    mine = new_run(store, RECORD)
    store.end_dead_runs()
    status = {run.id: store.client.get_run(run.id).info.status for run in (gone, elsewhere, mine)}
    assert status == {gone.id: "KILLED", elsewhere.id: "RUNNING", mine.id: "RUNNING"}


def test_a_killed_process_has_its_run_ended_at_once(root: Path) -> None:
    script = (
        "import time\nfrom torchprimer.tracking import Tracker\n"
        "with Tracker() as tracker:\n"
        f"    tracker.begin({RECORD!r})\n"
        "    print('running', flush=True)\n"
        "    time.sleep(60)\n"
    )
    environment = clean_environment() | {"DVC_ROOT": str(root), "PYTHONPATH": str(PROJECT / "src")}
    with subprocess.Popen(
        [sys.executable, "-c", script], env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "running\n"
        process.kill()
    store = Store()
    deadline = time.monotonic() + 30
    while (status := store.client.search_runs([store.experiment])[0].info.status) == "RUNNING":
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert status == "KILLED"


def test_a_store_that_cannot_be_used_is_one_clear_line(root: Path) -> None:
    (root / "mlflow.db").write_text("this is no database")
    with pytest.raises(UserError, match=r"MLflow's store mlflow\.db cannot be used"), Tracker() as tracker:
        tracker.begin(RECORD)
    with pytest.raises(UserError, match=r"MLflow's store mlflow\.db cannot be used"), Tracker() as tracker:
        tracker.send("evaluation", "mnist_mlp")
    with pytest.raises(UserError, match=r"MLflow's store mlflow\.db cannot be used"):
        Store()


def test_another_store_by_environment(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'team.db'}")
    Store()
    assert (tmp_path / "team.db").is_file()
    assert not (root / "mlflow.db").exists()


def version(score: float, data: str = "a", limit: str = "None") -> dict[str, str]:
    return {"validation_score": str(score), "data": data, "limit": limit}


@pytest.mark.parametrize(
    ("challenger", "champion", "wins"),
    [
        (version(0.91), version(0.90), True),
        (version(0.90), version(0.90), False),  # moved only when better
        (version(0.89), version(0.90), False),
        (version(1.0, "b", "256"), version(0.90), False),  # a reduced run says nothing about the whole data
        (version(0.5), version(1.0, "b", "256"), True),
        (version(0.5, "b"), version(0.9), True),  # other data: the scores do not compare, the newer data counts
        (version(0.6, "b", "256"), version(0.9, "c", "512"), True),
    ],
)
def test_champion(challenger: dict[str, str], champion: dict[str, str], wins: bool) -> None:
    assert beats(challenger, champion) is wins
