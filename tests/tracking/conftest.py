"""What the tests of MLflow share: a record of a training, an empty store, a small project."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.clone import PROJECT, clean_environment
from tests.objects import make_experiment, make_meta
from torchprimer.models import Record, RunSettings

RECORD = Record(
    experiment="tiny",
    params=make_experiment(
        model="mlp", dataset="mnist", lr=0.1, scheduler={"name": "StepLR", "step_size": 3, "gamma": 0.5}
    ),
    run=RunSettings(seed=0, limit=None, device="cpu", precision="float32", processes=1, threads=1),
    data=make_meta(
        kind="images", shape=[1, 28, 28], classes=["0", "1"], samples={"train": 5, "validation": 2, "test": 3}
    ),
    data_digest="d" * 64,
    init_from_digest="e" * 64,
    versions={"torch": "2.13.0"},
    fingerprint="f" * 64,
)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder as the main checkout: the store is created there."""
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    return tmp_path


class SmallProject:
    """A folder with the params and stages of the project, in which the data of one experiment is prepared.

    The experiment, `hours_logistic`, has three rows of data and 1,000 epochs, which take about a second.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def command(self, *args: str) -> list[str]:
        return [sys.executable, "src/torchprimer", *args]

    def run(self, *args: str, fails: bool = False, **environment: str) -> subprocess.CompletedProcess[str]:
        """Runs a command of torchprimer; the test fails if its exit code is not as expected."""
        done = subprocess.run(
            self.command(*args), cwd=self.folder, env=clean_environment() | environment, capture_output=True,
            text=True, check=False, timeout=300,
        )  # fmt: skip
        assert (done.returncode != 0) == fails, f"{args}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done


@pytest.fixture(scope="session")
def prepared_project(tmp_path_factory: pytest.TempPathFactory) -> SmallProject:
    folder = tmp_path_factory.mktemp("small") / "project"
    folder.mkdir()
    (folder / "data").mkdir()
    for name in ("dvc.yaml", "params.yaml", "data/catalog.yaml"):
        shutil.copy(PROJECT / name, folder / name)
    (folder / "src").symlink_to(PROJECT / "src")
    (folder / "models" / "scratch").mkdir(parents=True)
    project = SmallProject(folder)
    project.run("check")
    for stage in ("download", "split", "preprocess"):
        project.run(stage, "hours")
    return project


@pytest.fixture
def project(prepared_project: SmallProject, tmp_path: Path) -> SmallProject:
    """A copy of the small project, before any stage that is logged to MLflow."""
    folder = tmp_path / "project"
    shutil.copytree(prepared_project.folder, folder, symlinks=True)
    return SmallProject(folder)
