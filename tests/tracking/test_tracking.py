"""The MLflow store and its runs: many writers, complete histories, runs that always end, what the pages show."""

import json
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.clone import PROJECT, clean_environment, running
from tests.tracking.conftest import RECORD, SmallProject
from torchprimer import paths
from torchprimer.errors import UserError
from torchprimer.tracking import Tracker
from torchprimer.tracking.client import Store
from torchprimer.tracking.runs import Run, log_baselines, new_run
from torchprimer.tracking.stage_logger import StageLogger
from torchprimer.tracking.ui import address

SCRIPT = (  # a stage in a process of its own; {} is what it does while its run is open
    "import os, time\n"
    "from tests.tracking.conftest import RECORD\n"
    "from torchprimer.tracking import Tracker\n"
    "with Tracker() as tracker:\n"
    "    tracker.begin(RECORD)\n"
    "    tracker.log_epoch({{'epoch': 1, 'validation_loss': 0.5}})\n"
    "    {}\n"
)


def script_environment(root: Path) -> dict[str, str]:
    return clean_environment() | {"DVC_ROOT": str(root), "PYTHONPATH": f"{PROJECT / 'src'}:{PROJECT}"}


def test_many_processes_create_the_store_at_once(root: Path) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", SCRIPT.format("pass")], env=script_environment(root), stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]  # fmt: skip
    assert [(process.communicate()[1], process.returncode) for process in processes] == [("", 0)] * 4
    store = Store()
    runs = store.client.search_runs([store.experiment])
    assert [run.info.status for run in runs] == ["FINISHED"] * 4
    assert [run.data.metrics for run in runs] == [{"validation_loss": 0.5}] * 4
    assert (root / "mlflow.db").is_file()


def test_a_run_has_all_params_tags_and_epochs(root: Path) -> None:
    before = int(time.time() * 1000)
    with Tracker() as tracker:
        tracker.begin(RECORD)
        for epoch in range(1, 1501):
            tracker.log_epoch({"epoch": epoch, "validation_loss": 1 / epoch, "lr": 0.1, "text": "hello"})
    store = Store()
    (run,) = store.client.search_runs([store.experiment])
    params = {
        "dataset": "mnist", "model": "mlp", "loop": "supervised", "lr": "0.1", "scheduler.name": "StepLR",
        "scheduler.step_size": "3", "seed": "0", "limit": "None", "device": "cpu", "precision": "float32",
        "samples_train": "5", "samples_validation": "2", "samples_test": "3",
    }  # fmt: skip
    assert run.data.params.items() >= params.items()
    tags = {"type": "experiment", "dataset": "mnist", "kind": "images", "task": "classification", "model": "mlp"}
    assert run.data.tags.items() >= {**tags, "loop": "supervised"}.items()
    assert run.inputs is not None
    (dataset_input,) = run.inputs.dataset_inputs
    assert (dataset_input.dataset.name, dataset_input.dataset.digest) == ("mnist", "dddddddd")
    assert json.loads(dataset_input.dataset.profile or "") == {
        "num_rows": 10, "train": 5, "validation": 2, "test": 3, "input": "1 x 28 x 28", "classes": "0, 1"
    }  # fmt: skip
    assert [(tag.key, tag.value) for tag in dataset_input.tags] == [("mlflow.data.context", "training")]
    history = store.client.get_metric_history(run.info.run_id, "validation_loss")
    assert [(metric.step, metric.value) for metric in history] == [(epoch, 1 / epoch) for epoch in range(1, 1501)]
    assert before <= run.info.start_time <= history[0].timestamp <= history[-1].timestamp <= run.info.end_time
    assert set(run.data.metrics) == {"validation_loss", "lr"}
    assert store.find("f" * 64) == run.info.run_id
    assert store.find("0" * 64) is None


def test_metrics_arrive_while_the_training_runs(root: Path) -> None:
    store = Store()  # created before, since `begin` waits for 10 seconds only
    with Tracker() as tracker:
        tracker.begin(RECORD)
        (run,) = store.client.search_runs([store.experiment], "attributes.status = 'RUNNING'")
        for epoch in range(1, 4):
            tracker.log_epoch({"epoch": epoch, "validation_loss": 1 / epoch})
        deadline = time.monotonic() + 30
        while not (metrics := store.client.get_run(run.info.run_id).data.metrics):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert metrics == {"validation_loss": 1 / 3}


@pytest.mark.parametrize(
    ("error", "status"), [(ValueError, "FAILED"), (UserError, "FAILED"), (KeyboardInterrupt, "KILLED")]
)
def test_a_run_that_breaks_is_ended(root: Path, error: type[BaseException], status: str) -> None:
    def breaks() -> None:
        with Tracker() as tracker:
            tracker.begin(RECORD)
            tracker.log_epoch({"epoch": 1, "validation_loss": 0.5})
            raise error

    store = Store()  # created before, since an interrupted stage waits for 5 seconds only
    with pytest.raises(error):
        breaks()
    (run,) = store.client.search_runs([store.experiment])
    assert run.info.status == status
    assert run.data.metrics == {"validation_loss": 0.5}
    assert store.find("f" * 64) is None


def test_runs_of_dead_processes_are_ended_by_the_next_stage(root: Path) -> None:
    store = Store()
    dead = new_run(store, RECORD, started=0)
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    store.client.set_tag(dead.id, "pid", str(process.pid))
    zombie = new_run(store, RECORD, started=0)
    unreaped = subprocess.Popen([sys.executable, "-c", ""], stdout=subprocess.PIPE)
    assert unreaped.stdout is not None
    assert unreaped.stdout.read() == b""  # it has ended, but this process has not waited for it
    store.client.set_tag(zombie.id, "pid", str(unreaped.pid))
    store.client.set_tag(zombie.id, "pid_started", str(psutil.Process(unreaped.pid).create_time()))
    remote = new_run(store, RECORD, started=0)
    store.client.set_tag(remote.id, "host", "another machine")
    alive = new_run(store, RECORD, started=0)
    StageLogger()
    status = {run.id: store.client.get_run(run.id).info.status for run in (dead, zombie, remote, alive)}
    assert unreaped.communicate() == (b"", None)
    assert status == {dead.id: "KILLED", zombie.id: "KILLED", remote.id: "RUNNING", alive.id: "RUNNING"}


def test_the_run_of_a_killed_stage_is_ended_by_the_next_stage(root: Path) -> None:
    store = Store()
    with running([sys.executable, "-c", SCRIPT.format("time.sleep(200)")], env=script_environment(root)) as process:
        deadline = time.monotonic() + 120
        while not store.client.search_runs([store.experiment], "attributes.status = 'RUNNING'"):
            assert time.monotonic() < deadline
            time.sleep(0.2)
        process.kill()
    StageLogger()
    (run,) = store.client.search_runs([store.experiment])
    assert run.info.status == "KILLED"


def test_two_stages_at_once_have_a_run_each(root: Path) -> None:
    with Tracker() as one, Tracker() as two:
        one.begin(RECORD)
        two.begin(RECORD)
        two.log_epoch({"epoch": 1, "validation_loss": 0.25})
        one.log_epoch({"epoch": 1, "validation_loss": 0.5})
    store = Store()
    losses = [run.data.metrics["validation_loss"] for run in store.client.search_runs([store.experiment])]
    assert sorted(losses) == [0.25, 0.5]


def test_a_training_that_is_repeated_before_dvc_recorded_it_leaves_one_finished_run(project: SmallProject) -> None:
    """Its process was killed after MLflow had the end: DVC deletes the outputs and runs the stage again."""
    project.run("train", "hours_logistic")
    project.run("train", "hours_logistic")
    store = store_of(project)
    runs = store.client.search_runs([store.experiment], order_by=["attributes.start_time ASC"])
    assert [run.info.status for run in runs] == ["KILLED", "FINISHED"]
    assert runs[0].data.tags["superseded_by"] == runs[1].info.run_id
    project.run("evaluate", "hours_logistic")
    project.run("train", "hours_logistic")  # e.g. `dvc repro -f`: the results of the earlier run stay
    runs = store.client.search_runs([store.experiment], order_by=["attributes.start_time ASC"])
    assert [run.info.status for run in runs] == ["KILLED", "FINISHED", "FINISHED"]


def store_of(project: SmallProject) -> Store:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DVC_ROOT", str(project.folder))
        return Store()


def test_another_store_by_environment(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'team.db'}")
    Store()
    assert (tmp_path / "team.db").is_file()
    assert not (root / "mlflow.db").exists()


def test_pages_need_no_configuration_and_changes_of_users_stay(root: Path) -> None:
    store = Store()
    tags = store.client.get_experiment(store.experiment).tags
    assert tags["mlflow.experimentKind"] == "custom_model_development"  # else the pages are those for language models
    assert "tags.dataset = 'mnist'" in tags["mlflow.note.content"]
    key = "mlflow.sharedViewState.results"
    view = json.loads(tags[key])
    assert json.loads(view["state"])["searchFilter"] == "tags.type = 'experiment'"
    assert address("http://127.0.0.1:5000", store.experiment).endswith("&viewStateShareKey=results")
    store.client.set_experiment_tag(store.experiment, key, "changed")
    store.client.delete_experiment_tag(store.experiment, "mlflow.note.content")
    tags = Store().client.get_experiment(store.experiment).tags
    assert tags[key] == "changed"
    assert "tags.dataset = 'mnist'" in tags["mlflow.note.content"]


def test_a_deleted_experiment_is_one_clear_line(root: Path) -> None:
    store = Store()
    store.client.delete_experiment(store.experiment)
    with pytest.raises(UserError, match=r"mlflow experiments restore --experiment-id"):
        Store()


def test_baselines_whose_logging_was_killed_are_ended_and_completed(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first is logged, the run of the second has begun."""
    scores = {"dummy": {"accuracy": 0.5}, "logistic_regression": {"accuracy": 0.75}}
    (root / "dvc.yaml").touch()  # now it is a project, too
    monkeypatch.chdir(root)
    paths.project.cache_clear()
    file = paths.baseline("hours")
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps(scores))
    log_scores = Run.log_scores

    def killed(run: Run, values: dict[str, float]) -> None:
        if values == {"test_accuracy": 0.75}:
            raise KeyboardInterrupt
        log_scores(run, values)

    store = Store()
    monkeypatch.setattr(Run, "log_scores", killed)
    with pytest.raises(KeyboardInterrupt):
        log_baselines(store, "hours")
    monkeypatch.setattr(Run, "log_scores", log_scores)
    (begun,) = store.client.search_runs([store.experiment], "attributes.status = 'RUNNING'")
    with subprocess.Popen([sys.executable, "-c", ""]) as dead:
        dead.wait()
    store.client.set_tag(begun.info.run_id, "pid", str(dead.pid))
    store.kill_stale_runs()
    assert store.client.get_run(begun.info.run_id).info.status == "KILLED"
    assert log_baselines(store, "hours")
    assert not log_baselines(store, "hours")
    finished = store.client.search_runs([store.experiment], "attributes.status = 'FINISHED'")
    assert sorted(run.data.tags["model"] for run in finished) == sorted(scores)
