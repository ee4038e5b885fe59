"""A small project of four experiments, end to end, with the installed `dvc` and `python`: what a user's machine does.

The other tests of the pipeline run it with `torchprimer repro`, which is compared with `dvc repro` here. The tests of
this file share one project and run in this order; each leaves it committed and up to date.
"""

import csv
import filecmp
import io
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

from tests.clone import SMALL_SET, Clone, executed, keep_experiments, running
from tests.pipeline.test_pipeline import runs
from tests.pipeline.test_reruns_and_recovery import wait_for

UP_TO_DATE = "Data and pipelines are up to date."


def run_small_project(folder: Path, command: str, raw: Path | None = None) -> Clone:
    """A copy with a cache of its own, in which `command` has run the pipeline, committed to git; `raw`: downloads."""
    (folder / "project").mkdir()
    clone = Clone(folder / "project", folder / "cache")
    keep_experiments(clone, SMALL_SET)
    clone.replace("params.yaml", "\nepochs:", "\nepochs: 1")
    clone.replace("params.yaml", "\nlimit:", "\nlimit: 256")
    clone("git rm -q -r dvc.lock metrics && git commit -q -a -m 'a small project'")
    if raw:
        shutil.copytree(raw, clone.folder / "data" / "raw", dirs_exist_ok=True)
    clone(command)
    clone("git add -A && git commit -q -m 'first results'")
    return clone


@pytest.fixture(scope="module")
def stock(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """The project after its first `dvc repro`."""
    return run_small_project(tmp_path_factory.mktemp("stock"), "dvc repro")


def assert_up_to_date(clone: Clone) -> None:
    """`dvc repro` has nothing to do, and git sees no change."""
    output = clone("dvc repro").stdout
    assert executed(output) == set()
    assert output.strip().endswith(UP_TO_DATE)
    assert clone("git status --porcelain").stdout == ""


def test_repro_runs_every_stage_once(stock: Clone) -> None:
    assert_up_to_date(stock)
    trained = [run for run in runs(stock) if run.data.tags["type"] == "experiment"]
    assert sorted(run.info.run_name for run in trained) == sorted(SMALL_SET)
    for name in SMALL_SET:
        assert (stock.folder / "models" / name / "model.safetensors").is_file()
        assert (stock.folder / "models" / f"{name}.export" / "model.onnx").is_file()
        assert json.loads((stock.folder / "metrics" / name / "test.json").read_text())["accuracy"] > 0
    assert all(name in (stock.folder / "reports" / "index.html").read_text("utf-8") for name in SMALL_SET)


@pytest.mark.parametrize("jobs", [1, 2])
def test_torchprimer_repro_writes_the_same_bytes(stock: Clone, tmp_path: Path, jobs: int) -> None:
    """dvc.lock and the weights."""
    ours = run_small_project(tmp_path, f"torchprimer repro --jobs {jobs}", stock.folder / "data" / "raw")
    assert (ours.folder / "dvc.lock").read_bytes() == (stock.folder / "dvc.lock").read_bytes()
    weights = [f"models/{name}/model.safetensors" for name in SMALL_SET]
    assert [name for name in weights if not filecmp.cmp(ours.folder / name, stock.folder / name, shallow=False)] == []
    assert_up_to_date(ours)


def test_a_changed_number_reruns_only_its_experiment(stock: Clone) -> None:
    params = (stock.folder / "params.yaml").read_text("utf-8")
    section = params[params.index("\n  mnist_cnn:") :]
    changed = re.sub(r"lr: [\d.]+", "lr: 0.05", section, count=1)
    assert changed != section
    (stock.folder / "params.yaml").write_text(params.replace(section, changed), "utf-8")
    output = stock("dvc repro").stdout
    assert executed(output) == {"check", "train@mnist_cnn", "evaluate@mnist_cnn", "export@mnist_cnn", "report"}
    difference = stock("dvc metrics diff --targets metrics/mnist_cnn/test.json").stdout
    assert re.search(r"metrics/mnist_cnn/test.json +loss +[\d.]+ +[\d.]+ +-?[\d.]+", difference)
    assert "mnist_mlp" not in difference

    stock("git restore .")  # the way back trains nothing: DVC has the old results in its run cache
    assert executed(stock("dvc repro").stdout) == set()
    assert_up_to_date(stock)


def test_a_training_resumes_after_ctrl_c_to_the_same_weights(stock: Clone) -> None:
    """A terminal sends SIGINT to the whole process group: DVC, the stage, and its children."""
    stock.replace("params.yaml", "\nepochs: 1", "\nepochs: 30")
    weights = stock.folder / "models" / "dogs_vs_cats_cnn" / "model.safetensors"
    checkpoints = stock.folder / ".checkpoints"
    command = ["dvc", "repro", "train@dogs_vs_cats_cnn"]
    with running(
        command, cwd=stock.folder, env=stock.environment, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    ) as process:  # fmt: skip
        wait_for(lambda: list(checkpoints.glob("dogs_vs_cats_cnn-*.pt")), 180)
        os.killpg(process.pid, signal.SIGINT)
        output, _ = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "torchprimer: interrupted" in output
    assert "Traceback" not in output
    wait_for(lambda: runs(stock)[-1].info.status == "KILLED", 60)
    assert not weights.exists()

    resumed = stock(" ".join(command)).stdout
    assert "last completed epoch" in resumed
    resumed_weights = weights.read_bytes()
    assert not list(checkpoints.iterdir())
    undisturbed = stock("dvc repro -f -s train@dogs_vs_cats_cnn").stdout
    assert "last completed epoch" not in undisturbed
    assert weights.read_bytes() == resumed_weights

    stock("git restore .")
    assert executed(stock("dvc repro").stdout) == set()
    assert_up_to_date(stock)


def test_an_experiment_is_compared_and_applied(stock: Clone) -> None:
    output = stock("dvc exp run -S experiments.mnist_mlp.lr=0.05 -n higher_lr").stdout
    assert executed(output) == {"check", "train@mnist_mlp", "evaluate@mnist_mlp", "export@mnist_mlp", "report"}
    tried = json.loads((stock.folder / "metrics" / "mnist_mlp" / "test.json").read_text())["accuracy"]
    table = {row["Experiment"]: row for row in csv.DictReader(io.StringIO(stock("dvc exp show --csv").stdout))}
    assert float(table["higher_lr"]["experiments.mnist_mlp.lr"]) == 0.05
    assert float(table["higher_lr"]["metrics/mnist_mlp/test.json:accuracy"]) == tried
    assert [run.data.tags["DVC_EXP_NAME"] for run in runs(stock)[-1:]] == ["higher_lr"]

    stock("git restore . && dvc checkout -q")
    assert_up_to_date(stock)
    stock("dvc exp apply higher_lr")
    assert json.loads((stock.folder / "metrics" / "mnist_mlp" / "test.json").read_text())["accuracy"] == tried
    stock("git commit -qam 'lr 0.05'")
    assert_up_to_date(stock)


def test_a_tracking_server_by_http(stock: Clone, tmp_path: Path) -> None:
    """`export MLFLOW_TRACKING_URI=http://...`: the run and its artifacts are on the server, no stage reruns."""
    from mlflow import MlflowClient

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address, count = f"http://127.0.0.1:{port}", len(runs(stock))
    log = tmp_path / "log"
    command = f"mlflow server --port {port} --workers 1 --backend-store-uri sqlite:///{tmp_path}/mlflow.db"
    with log.open("w") as output, running(
        [*command.split(), "--artifacts-destination", str(tmp_path / "artifacts")], cwd=tmp_path,
        stdout=output, stderr=output, start_new_session=True,
    ) as server:  # fmt: skip
        try:
            wait_for(lambda: "Application startup complete" in log.read_text() or server.poll() is not None, 120)
            assert executed(stock("dvc repro", MLFLOW_TRACKING_URI=address).stdout) == set()
            stock("dvc repro -f -s train@mnist_mlp", MLFLOW_TRACKING_URI=address)
            client = MlflowClient(address)
            experiment = client.get_experiment_by_name("torchprimer")
            assert experiment is not None
            (run,) = client.search_runs([experiment.experiment_id])
            assert (run.info.run_name, run.info.status) == ("mnist_mlp", "FINISHED")
            artifacts = {item.path for item in client.list_artifacts(run.info.run_id, "training")}
            assert "training/model.safetensors" in artifacts
        finally:
            os.killpg(server.pid, signal.SIGTERM)
            time.sleep(0)
    assert len(runs(stock)) == count
    assert_up_to_date(stock)
