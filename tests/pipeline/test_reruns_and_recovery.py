"""What happens when something changes, fails or is lost: real DVC runs, kill -9 and a real MLflow store.

In a project of a few of the experiments, whose DVC commands take a tenth of the time.
"""

import json
import os
import re
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.clone import SMALL_SET, Clone, executed, running
from tests.pipeline.test_pipeline import runs, store


def test_one_experiment_alone(small_project: Clone) -> None:
    done = small_project("dvc exp run -S experiments.mnist_cnn.lr=0.05")
    assert executed(done.stdout) == {"check", "train@mnist_cnn", "evaluate@mnist_cnn", "export@mnist_cnn", "report"}
    assert not list(small_project.folder.glob("metrics/*/tensorboard"))
    small_project("dvc repro -f -s train@mnist_mlp", TORCHPRIMER_TENSORBOARD="1")
    (events,) = small_project.folder.glob("metrics/mnist_mlp/tensorboard/*/events.*")
    assert b"validation_accuracy" in events.read_bytes()
    small_project("dvc exp run -S experiments.mnist_cnn.lr=0.00001 check")  # DVC writes 1e-05, a string to PyYAML


def test_a_mistake_stops_before_any_work_and_loses_nothing(small_project: Clone) -> None:
    before = sorted(file.name for file in (small_project.folder / "models").iterdir())
    count = len(runs(small_project))
    done = small_project("dvc exp run -S experiments.mnist_cnn.optimizer=Adm -S seed=1", fails=True)
    assert executed(done.stdout) == {"check"}
    assert "experiments.mnist_cnn.optimizer: 'Adm' is not allowed; one of: SGD, Adam" in done.stderr + done.stdout
    assert "Traceback" not in done.stderr
    assert sorted(file.name for file in (small_project.folder / "models").iterdir()) == before
    assert len(runs(small_project)) == count


def test_sync_brings_back_a_deleted_store(small_project: Clone) -> None:
    passing = {"restored", "pid", "pid_started", "git_dirty", "mlflow.source.git.commit", "champion"}

    def content() -> dict[str, Any]:
        client = store(small_project)
        fingerprints = {
            json.loads((small_project.folder / "models" / name / "experiment.json").read_text())["fingerprint"]
            for name in SMALL_SET
        }
        found = {}
        for run in runs(small_project):
            if run.data.tags.get("fingerprint") in fingerprints:
                paths = {
                    item.path
                    for folder in ("training", "test")
                    for item in client.list_artifacts(run.info.run_id, folder)
                }
                history = [(m.step, m.value) for m in client.get_metric_history(run.info.run_id, "validation_accuracy")]
                tags = {
                    key: value
                    for key, value in run.data.tags.items()
                    if key not in passing and not key.startswith("DVC_")
                }
                data = [(given.dataset.name, given.dataset.digest) for given in run.inputs.dataset_inputs]
                # timing.json is of the last training in the workspace, which git does not restore
                metrics = {key: value for key, value in run.data.metrics.items() if key != "training_seconds"}
                whole = run.data.params, metrics, sorted(paths), history, run.info.status, tags, data
                found.setdefault(run.info.run_name, whole)  # the oldest: the run that wrote the workspace's files
        return found

    small_project("dvc repro")
    small_project("python src/torchprimer sync")
    before = content()
    assert set(before) == set(SMALL_SET)
    assert "nothing to do" in small_project("python src/torchprimer sync").stdout
    for file in small_project.folder.glob("mlflow.db*"):
        file.unlink()
    everything = len(SMALL_SET) + len(list((small_project.folder / "data" / "splits").glob("*.rejected.csv")))
    assert f"{everything} runs logged" in small_project("python src/torchprimer sync").stdout
    assert content() == before
    client = store(small_project)
    for model in client.search_registered_models():
        scores = [
            version.tags["validation_score"] for version in client.search_model_versions(f"name = '{model.name}'")
        ]
        champion = client.get_model_version_by_alias(model.name, "champion")
        assert champion.tags["validation_score"] == max(scores, key=lambda score: score != "None" and float(score))
    count = len(runs(small_project))
    assert "nothing to do" in small_project("python src/torchprimer sync").stdout
    assert len(runs(small_project)) == count

    assert [run.data.tags["model"] for run in runs(small_project) if run.data.tags["type"] == "fold"] == ["mlp"] * 10
    folds = small_project.folder / "metrics" / "diabetes_tuned" / "folds.csv"
    own = pd.read_csv(folds)["fingerprint"].unique().item()
    small_project.replace("metrics/diabetes_tuned/folds.json", "{", "{ ")
    assert "diabetes_tuned: logged folds" in small_project("python src/torchprimer sync").stdout
    assert len(runs(small_project)) == count  # in place of those before
    folds.write_text(folds.read_text().replace(own, "f" * 64))  # of an earlier training
    small_project.replace("metrics/diabetes_tuned/folds.json", "{ ", "{  ")
    assert "nothing to do" in small_project("python src/torchprimer sync").stdout


def test_what_dvc_restores_is_synced(small_project: Clone) -> None:
    """A training restored from the run cache runs no code, and MLflow sees nothing until `sync`."""
    for file in small_project.folder.glob("mlflow.db*"):
        file.unlink()
    (small_project.folder / "dvc.lock").unlink()
    done = small_project("dvc repro")
    assert {stage.partition("@")[0] for stage in executed(done.stdout)} == {
        "download"
    }  # DVC caches no persisted output
    assert not (small_project.folder / "mlflow.db").exists()
    assert "mnist_cnn: logged training, evaluation, export" in small_project("python src/torchprimer sync").stdout


def wait_for(condition: Any, seconds: float, every: float = 0.05) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(every)


def test_a_killed_training_goes_on_to_the_same_weights(small_project: Clone) -> None:
    """Batch norm, dropout, augmentation, AdamW, one-cycle schedule: killed twice, finished by the third repro."""
    small_project.replace("params.yaml", "epochs: 1", "epochs: 30")
    small_project.replace("params.yaml", "\nlr:", "\nlr: 0.0017")
    checkpoints = small_project.folder / ".checkpoints"

    def state() -> list[float]:
        return [file.stat().st_mtime for file in checkpoints.glob("*.pt")]

    for how in (signal.SIGKILL, signal.SIGTERM):
        before = state()
        with running(
            ["dvc", "repro", "train@dogs_vs_cats_cnn"], cwd=small_project.folder, env=small_project.environment,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        ) as process:  # fmt: skip
            wait_for(lambda before=before: state() not in ([], before), 180)
            tagged = runs(small_project)[-1]
            assert tagged.info.status == "RUNNING"
            os.kill(int(tagged.data.tags["pid"]), how)
            assert process.wait() != 0
        if how == signal.SIGTERM:  # after SIGKILL the next stage ends the run
            wait_for(lambda: runs(small_project)[-1].info.status == "KILLED", 60)
        assert not (small_project.folder / "models" / "dogs_vs_cats_cnn").exists()
    resumed = small_project("dvc repro train@dogs_vs_cats_cnn")
    assert "resumes an interrupted training from its last completed epoch" in resumed.stdout
    weights = (small_project.folder / "models" / "dogs_vs_cats_cnn" / "model.safetensors").read_bytes()
    assert len(pd.read_csv(small_project.folder / "metrics" / "dogs_vs_cats_cnn" / "history.csv")) == 30
    assert not state()
    undisturbed = small_project("dvc repro -f -s train@dogs_vs_cats_cnn")
    assert "resumes" not in undisturbed.stdout
    assert (small_project.folder / "models" / "dogs_vs_cats_cnn" / "model.safetensors").read_bytes() == weights
    assert [run.info.status for run in runs(small_project)[-4:]] == ["KILLED", "KILLED", "KILLED", "FINISHED"]
    assert (
        runs(small_project)[-2].data.tags["superseded_by"] == runs(small_project)[-1].info.run_id
    )  # the same training


def test_two_processes_take_the_same_steps_as_one(small_project: Clone) -> None:
    """torchrun, gloo: batches shared, gradients added up, batch norm's statistics agreed on; one run in MLflow."""
    from safetensors.numpy import load_file

    models = small_project.folder / "models"
    alone = load_file(models / "mnist_mlp" / "model.safetensors")
    losses = [pd.read_csv(small_project.folder / "metrics" / "mnist_mlp" / "history.csv")["validation_loss"].item()]
    before = set(Path(tempfile.gettempdir()).glob("torchelastic_*"))
    small_project("dvc exp run -S processes=2 train@mnist_mlp train@dogs_vs_cats_cnn")
    assert set(Path(tempfile.gettempdir()).glob("torchelastic_*")) == before
    shared = load_file(models / "mnist_mlp" / "model.safetensors")
    losses += [pd.read_csv(small_project.folder / "metrics" / "mnist_mlp" / "history.csv")["validation_loss"].item()]
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)
    for name, values in alone.items():
        assert shared[name] == pytest.approx(values, abs=1e-6)
    folder = small_project.folder / "metrics" / "dogs_vs_cats_cnn"
    best = json.loads((folder / "train.json").read_text())["validation_accuracy_best"]
    assert best == pd.read_csv(folder / "history.csv")["validation_accuracy"].max()
    found = [run for run in runs(small_project) if run.data.params.get("processes") == "2"]
    assert {(run.info.run_name, run.info.status) for run in found} == {
        ("mnist_mlp", "FINISHED"), ("dogs_vs_cats_cnn", "FINISHED")
    }  # fmt: skip


def test_queue_and_temporary_runs_share_one_store(small_project: Clone) -> None:
    """Two workers start at once on no store at all; their working folders are thrown away, their runs stay."""
    for file in small_project.folder.glob("mlflow.db*"):
        file.unlink()
    small_project(
        "dvc exp run --queue -S experiments.mnist_cnn.lr=0.02,0.03 -n sweep train@mnist_cnn"
    )  # a run for each value
    small_project("dvc queue start --jobs 2")
    wait_for(lambda: not re.search("Running|Queued", small_project("dvc queue status").stdout), 400, every=2)
    small_project("dvc exp run --temp -S experiments.mnist_cnn.lr=0.04 -n three train@mnist_cnn")
    found = {run.data.tags["DVC_EXP_NAME"]: run for run in runs(small_project)}
    assert set(found) == {"sweep-1", "sweep-2", "three"}
    assert {run.info.status for run in found.values()} == {"FINISHED"}
    assert {float(run.data.params["lr"]) for run in found.values()} == {0.02, 0.03, 0.04}
    assert all("mlartifacts" in run.info.artifact_uri for run in found.values())
    shown = small_project("dvc exp show --csv").stdout
    assert all(name in shown for name in found)
