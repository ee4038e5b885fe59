"""MLflow: a store that many may open at once, runs that always end, what its pages show, champions."""

import json
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.clone import PROJECT, clean_environment, running
from torchprimer import paths
from torchprimer.errors import UserError
from torchprimer.tracking import Tracker, meeting_place
from torchprimer.tracking.client import Store, champions, should_promote
from torchprimer.tracking.registry import signature_of, validation_score
from torchprimer.tracking.run_metadata import compared, description, schema, tags_of, training_metrics
from torchprimer.tracking.runs import Run, log_baselines, new_run
from torchprimer.tracking.ui import address

RECORD: dict[str, Any] = {
    "experiment": "tiny",
    "params": {
        "dataset": "mnist", "model": "mlp", "loop": "supervised", "lr": 0.1,
        "scheduler": {"name": "StepLR", "step_size": 3},
    },
    "run": {"seed": 0, "limit": None, "device": "cpu", "precision": "float32"},
    "data": {
        "kind": "images", "task": "classification", "shape": [1, 28, 28], "classes": ["0", "1"], "held_out": True,
        "samples": {"train": 5, "validation": 2, "test": 3},
    },
    "data_digest": "d" * 64,
    "versions": {"torch": "2.13.0"},
    "fingerprint": "f" * 64,
}  # fmt: skip
TRAINING = {
    "epochs": 7, "best_epoch": 5, "validation_loss_best": 0.25, "validation_accuracy_best": 0.9,
    "train_loss_final": 0.1, "validation_loss_final": 0.3, "seconds": 12.5, "parameters": 1234,
}  # fmt: skip
TEST = {"loss": 0.26, "accuracy": 0.875, "precision_macro": 0.8, "f1_macro": 0.85, "true_positives": 3}


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
        "dataset": "mnist", "model": "mlp", "loop": "supervised", "lr": "0.1", "scheduler.name": "StepLR",
        "scheduler.step_size": "3", "seed": "0", "limit": "None", "device": "cpu", "precision": "float32",
        "samples_train": "5", "samples_validation": "2", "samples_test": "3",
    }  # fmt: skip
    found = {"type": "experiment", "dataset": "mnist", "kind": "images", "task": "classification", "model": "mlp"}
    assert stored.data.tags.items() >= {**found, "loop": "supervised"}.items()
    assert stored.inputs is not None
    (given,) = stored.inputs.dataset_inputs
    assert (given.dataset.name, given.dataset.digest) == ("mnist", "dddddddd")
    assert json.loads(given.dataset.profile or "") == {
        "num_rows": 10, "train": 5, "validation": 2, "test": 3, "input": "1 x 28 x 28", "classes": "0, 1"
    }  # fmt: skip
    assert [(tag.key, tag.value) for tag in given.tags] == [("mlflow.data.context", "training")]
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
    zombie = new_run(store, RECORD)
    unasked = subprocess.Popen([sys.executable, "-c", ""], stdout=subprocess.PIPE)
    assert unasked.stdout is not None
    assert unasked.stdout.read() == b""  # it has ended, and nobody has asked how: in a container it may stay like that
    store.client.set_tag(zombie.id, "pid", str(unasked.pid))
    store.client.set_tag(zombie.id, "pid_started", str(psutil.Process(unasked.pid).create_time()))
    elsewhere = new_run(store, RECORD)
    store.client.set_tag(elsewhere.id, "host", "another machine")
    mine = new_run(store, RECORD)
    store.kill_stale_runs()
    status = {run.id: store.client.get_run(run.id).info.status for run in (gone, zombie, elsewhere, mine)}
    assert unasked.communicate() == (b"", None)
    assert status == {gone.id: "KILLED", zombie.id: "KILLED", elsewhere.id: "RUNNING", mine.id: "RUNNING"}


def test_a_killed_process_has_its_run_ended_at_once(root: Path) -> None:
    script = (
        "import time\nfrom torchprimer.tracking import Tracker\n"
        "with Tracker() as tracker:\n"
        f"    tracker.begin({RECORD!r})\n"
        "    print('running', flush=True)\n"
        "    time.sleep(60)\n"
    )
    environment = clean_environment() | {"DVC_ROOT": str(root), "PYTHONPATH": str(PROJECT / "src")}
    with running([sys.executable, "-c", script], env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "running\n"
        process.kill()
    store = Store()
    deadline = time.monotonic() + 30
    while (status := store.client.search_runs([store.experiment])[0].info.status) == "RUNNING":
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert status == "KILLED"


def test_the_next_stage_finds_the_process_of_the_last(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It need not import MLflow again, logs under its own DVC stage, and never into a database that was deleted."""

    def stage(name: str) -> None:
        monkeypatch.setenv("DVC_STAGE", name)
        with Tracker() as tracker:
            tracker.begin(RECORD)

    def waits() -> bool:
        return meeting_place().exists()

    def await_(condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 30
        while not condition():
            assert time.monotonic() < deadline
            time.sleep(0.05)

    stage("train@one")
    await_(waits)
    (server,) = [p for p in psutil.process_iter(["cmdline"]) if str(meeting_place()) in (p.info["cmdline"] or ())]
    stage("train@two")
    await_(waits)
    assert server.is_running()
    with sqlite3.connect(root / "mlflow.db") as database:  # MLflow here would change this environment: see below
        tags = database.execute(
            "SELECT value FROM tags JOIN runs USING (run_uuid) WHERE key = 'DVC_STAGE' ORDER BY start_time"
        )
        assert tags.fetchall() == [("train@one",), ("train@two",)]

    monkeypatch.setenv("MLFLOW_ANYTHING", "1")  # in another environment it is another process
    assert not waits()
    monkeypatch.delenv("MLFLOW_ANYTHING")
    (root / "mlflow.db").unlink()
    stage("train@three")
    server.wait(60)
    with sqlite3.connect(root / "mlflow.db") as database:
        assert database.execute("SELECT count(*) FROM runs WHERE status = 'FINISHED'").fetchone() == (1,)


def test_two_stages_at_once_have_a_process_each(root: Path) -> None:
    with Tracker() as one, Tracker() as two:
        ids = {one.begin(RECORD), two.begin(RECORD)}
    assert len(ids) == 2


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


def test_what_pages_show_is_there_from_the_start_and_a_users_changes_stay(root: Path) -> None:
    store = Store()
    tags = store.client.get_experiment(store.experiment).tags
    assert tags["mlflow.experimentKind"] == "custom_model_development"  # else the pages are those for language models
    assert "tags.dataset = 'mnist'" in tags["mlflow.note.content"]
    key = "mlflow.sharedViewState.results"
    view = json.loads(tags[key])
    assert json.loads(view["state"])["searchFilter"] == "tags.type = 'experiment'"
    assert address("http://127.0.0.1:5000", store.experiment).endswith("&viewStateShareKey=results")
    store.client.set_experiment_tag(store.experiment, key, "mine")
    store.client.delete_experiment_tag(store.experiment, "mlflow.note.content")
    tags = Store().client.get_experiment(store.experiment).tags
    assert tags[key] == "mine"
    assert "tags.dataset = 'mnist'" in tags["mlflow.note.content"]


def test_an_experiment_that_somebody_deleted_is_one_clear_line(root: Path) -> None:
    store = Store()
    store.client.delete_experiment(store.experiment)
    with pytest.raises(UserError, match=r"mlflow experiments restore --experiment-id"):
        Store()


def test_baselines_that_were_killed_half_way_are_ended_and_completed(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first was logged, the second begun; it does not stay RUNNING for ever, nor is it missing for ever."""
    scores = {"dummy": {"accuracy": 0.5}, "logistic_regression": {"accuracy": 0.75}}
    (root / "dvc.yaml").touch()  # now it is a project, too
    monkeypatch.chdir(root)
    paths.project.cache_clear()
    file = paths.baseline("hours")
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps(scores))
    log_scores = Run.log_scores

    def killed(run: Run, found: dict[str, float]) -> None:
        if found == {"test_accuracy": 0.75}:
            raise KeyboardInterrupt
        log_scores(run, found)

    store = Store()
    monkeypatch.setattr(Run, "log_scores", killed)
    with pytest.raises(KeyboardInterrupt):
        log_baselines(store, "hours")
    monkeypatch.setattr(Run, "log_scores", log_scores)
    (begun,) = store.client.search_runs([store.experiment], "attributes.status = 'RUNNING'")
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        gone.wait()
    store.client.set_tag(begun.info.run_id, "pid", str(gone.pid))
    store.kill_stale_runs()
    assert store.client.get_run(begun.info.run_id).info.status == "KILLED"
    assert log_baselines(store, "hours")
    assert not log_baselines(store, "hours")
    finished = store.client.search_runs([store.experiment], "attributes.status = 'FINISHED'")
    assert sorted(run.data.tags["model"] for run in finished) == sorted(scores)


def test_who_finishes_hears_that_mlflow_lost_something(root: Path) -> None:
    """So `train` keeps its checkpoint until the run is whole."""
    with Tracker() as tracker:
        tracker.begin(RECORD)
        tracker.send("training", "tiny")  # there are no files of it
        with pytest.raises(UserError, match=r"No such file.*tiny"):
            tracker.finish()
    store = Store()
    (run,) = store.client.search_runs([store.experiment])
    assert run.info.status == "FAILED"


def test_few_metrics_and_a_description() -> None:
    assert training_metrics(TRAINING) == {
        "best_epoch": 5, "validation_loss_best": 0.25, "validation_accuracy_best": 0.9, "training_seconds": 12.5,
        "parameters": 1234,
    }  # fmt: skip
    assert compared(TEST, "test_") == {"test_loss": 0.26, "test_accuracy": 0.875, "test_f1_macro": 0.85}
    assert compared({"mse": 4.0, "rmse": 2.0}, "test_") == {"test_rmse": 2.0}
    assert compared({"mse": 4.0}, "test_") == {"test_mse": 4.0}
    text = description(RECORD, TRAINING, TEST, {})
    assert text.startswith("Multilayer perceptron: linear layers with a nonlinearity between them.")
    for line in (
        "accuracy 0.9000 on validation, 0.8750 on test",
        "- command: `dvc repro train@tiny`",
        "- data: `mnist`, images of 1 x 28 x 28, 2 classes (0, 1); 5 train, 2 validation, 3 test",
        "- training: `supervised`, 7 epochs in 12.5 s on cpu in float32; 1,234 parameters",
        "| score | validation, epoch 5 | test |",
        "| accuracy | 0.9000 | 0.8750 |",
        "| true_positives |  | 3 |",
    ):
        assert line in text.splitlines()
    assert "Not evaluated yet" in description(RECORD, TRAINING, {}, {})
    reduced = RECORD | {"run": RECORD["run"] | {"limit": 256}}
    folds = {"accuracy_mean": 0.75, "accuracy_std": 0.03, "folds": 10}
    text = description(reduced, TRAINING, TEST, folds)
    assert "- reduced to at most 256 samples of each split" in text.splitlines()
    assert (
        "- cross-validation: accuracy 0.7500 ± 0.0300 over 10 folds, each a run beneath this one" in text.splitlines()
    )
    toy = RECORD | {"data": RECORD["data"] | {"held_out": False}}
    assert "none are held back" in description(toy, TRAINING, TEST, {})


def test_features_belong_to_the_dataset_of_their_images() -> None:
    """A classifier of what a frozen net sees takes the same images, so it competes with all others for them."""
    data = {"kind": "features", "task": "classification", "dataset": "dogs_vs_cats", "shape": [512]}
    record = RECORD | {"data": data, "params": RECORD["params"] | {"dataset": "dogs_vs_cats_seen"}}
    assert tags_of(record, "experiment")["dataset"] == "dogs_vs_cats"
    generator = RECORD | {"params": RECORD["params"] | {"model": "gan"}}
    assert tags_of(generator, "experiment")["task"] == "generation"


def test_a_dataset_has_its_columns_or_the_shapes_of_its_arrays() -> None:
    table = {
        "kind": "tabular", "task": "regression", "numeric": {"temp": {}}, "categorical": {"hr": []}, "target": "bikers",
    }  # fmt: skip
    columns = json.loads(schema(table))["mlflow_colspec"]
    assert [(column["name"], column["type"]) for column in columns] == [
        ("temp", "double"), ("hr", "string"), ("bikers", "double")
    ]  # fmt: skip
    arrays = json.loads(schema(RECORD["data"]))["mlflow_tensorspec"]
    assert json.loads(arrays["features"])[0]["tensor-spec"] == {"dtype": "uint8", "shape": [-1, 1, 28, 28]}


def test_signature_of_each_kind() -> None:
    def names(kind: str, classes: list[str] | None, column: str) -> tuple[list[str], list[str]]:
        signature = signature_of({"kind": kind, "classes": classes, "columns": [{"name": column, "type": "string"}]})
        return signature.inputs.input_names(), signature.outputs.input_names()

    assert names("images", ["cat", "dog"], "image") == (["image"], ["prediction", "p_cat", "p_dog"])
    assert names("tabular", None, "temp") == (["temp"], ["prediction"])
    assert names("sequences", ["h", "e"], "text") == (["text"], ["prediction"])
    assert names("autoencoder", None, "image") == (["image"], ["image", "mse"])
    assert names("generator", None, "seed") == (["seed"], ["image"])


def version(
    score: float | None, samples: str = "a", limit: int | None = None, *, loss: float = 0.5, fingerprint: str = "new"
) -> dict[str, str]:
    values = {"validation_score": score, "validation_loss": loss, "validation": samples, "limit": limit}
    return {key: str(value) for key, value in (values | {"fingerprint": fingerprint, "experiment": "E"}).items()}


OLD = version(0.90, fingerprint="old")


@pytest.mark.parametrize(
    ("challenger", "champion", "wins"),
    [
        (version(0.91), OLD, True),
        (version(0.90), OLD, False),  # moved only when better
        (version(0.89), OLD, False),
        (version(0.90, loss=0.4), OLD, True),  # at the same score the loss decides, so the order of exports does not
        (version(0.90, loss=0.6), OLD, False),
        (version(0.91, loss=9.0), OLD, True),
        (version(0.90, fingerprint="old"), OLD, True),  # the same training, exported anew
        (version(1.0, "b", 256), OLD, False),  # a reduced run says nothing about the whole data
        (version(0.5), version(1.0, "b", 256, fingerprint="old"), True),
        (version(0.5, "b"), OLD, True),  # other samples: the scores do not compare, the newer data counts
        (version(0.6, "b", 256), version(0.9, "c", 512, fingerprint="old"), True),
        (version(None), version(None, fingerprint="old"), True),  # a generator: the newest
        (version(0.9), {"owner": "somebody else"}, False),  # a team's server has models of others, too
    ],
)
def test_champion(challenger: dict[str, str], champion: dict[str, str], wins: bool) -> None:
    assert should_promote(challenger, champion) is wins


def test_the_score_that_decides() -> None:
    assert validation_score(TRAINING) == 0.9
    assert validation_score({"validation_loss_best": 0.5, "validation_r2_best": 0.8}) == 0.8
    assert validation_score({"validation_loss_best": 0.5}) == -0.5
    assert validation_score({"generator_loss_final": 0.5}) is None


def test_champions_move_only_to_better_ones(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert champions() == {}
    assert not (root / "mlflow.db").exists()  # asking makes no store
    store = Store()
    assert champions() == {}
    runs = []
    for experiment, score, loss in (("one", 0.8, 0.5), ("two", 0.9, 0.5), ("three", 0.85, 0.1), ("four", 0.9, 0.4)):
        run = new_run(store, RECORD)
        run.end("FINISHED")
        tags = version(score, loss=loss, fingerprint=experiment) | {"experiment": experiment}
        store.register("mnist", f"runs:/{run.id}/model", run.id, tags, "", "")
        runs.append(run.id)
        tagged = store.client.search_runs([store.experiment], "tags.champion = 'mnist'")
        best = {"one": "one", "two": "two", "three": "two", "four": "four"}[experiment]
        assert champions()["mnist"][0] == best
        assert [run.info.run_id for run in tagged] == [runs[("one", "two", "three", "four").index(best)]]
    generator = version(None, fingerprint="gan") | {"experiment": "mnist_gan"}
    store.register("mnist_gan", f"runs:/{runs[0]}/model", runs[0], generator, "", "")
    found = champions()
    assert found == {"mnist": ("four", "4", 0.9, "four"), "mnist_gan": ("mnist_gan", "1", None, "gan")}
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{root / 'mlflow.db'}")  # another store is asked by MLflow
    assert champions() == found
